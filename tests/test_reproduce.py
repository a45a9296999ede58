"""scripts/reproduce.py: its table says what RESULTS.md says, and a claim that is wrong is told."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from marketorch import ConfigError, check, compose
from marketorch.config import load, plain, save

PAGE = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
NAMES = list(yaml.safe_load((ROOT / "scripts" / "results.yaml").read_text(encoding="utf-8")))
COLUMNS = {
    "accuracy": ("accuracy",),
    "f1_macro": ("macro-F1",),
    "auroc": ("AUROC", "AUC"),
    "auprc": ("AUPRC",),
    "log_loss": ("log-loss",),
    "ece": ("ECE", "calibration error"),
    "lift@10%": ("lift, top tenth",),
    "profit": ("profit a customer",),
    "qini": ("Qini",),
    "auuc": ("AUUC",),
    "map": ("mAP",),
    "map_50": ("mAP50",),
    "f1_presence": ("brand in photo, F1",),
    "share_of_voice_error": ("share of voice, error",),
    "sampled_recall@10": ("HR@10 among 99",),
    "sampled_ndcg@10": ("NDCG@10 among 99",),
    **{f"recall@{k}": (f"Recall@{k}", f"Recall@{k} among all") for k in (10, 20)},
    **{f"ndcg@{k}": (f"NDCG@{k}", f"NDCG@{k} among all") for k in (10, 20)},
    **{f"coverage@{k}": (f"coverage@{k}",) for k in (10, 20)},
    "mrr@10": ("MRR@10",),
}
"""What the heads of the page's tables call a metric."""


@pytest.fixture
def reproduce(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import reproduce

    yield reproduce
    for name in ("reproduce", "results"):
        sys.modules.pop(name, None)


@pytest.fixture
def rows(reproduce: Any) -> dict[str, Any]:
    return reproduce.read_table(ROOT / "scripts" / "results.yaml")


# -- table and page ---------------------------------------------------------------------------


def section(title: str) -> str:
    """The part of the page under the one heading that begins with ``title``."""
    (found,) = [part for part in re.split(r"^##+ ", PAGE, flags=re.M) if part.startswith(title)]
    return found


def cells(line: str) -> list[str]:
    return [cell.strip().replace("*", "") for cell in line.strip("|").split("|")]


def lines_of_tables(part: str) -> Iterator[dict[str, str]]:
    """Each line of the tables in a section: the column's name and what stands there."""
    for block in re.findall(r"(?:^\|.*\n)+", part, re.MULTILINE):
        head, _, *lines = block.splitlines()
        for line in lines:
            yield dict(zip(cells(head), cells(line), strict=True))


def is_there(metric: str, figure: str, line: dict[str, str]) -> bool:
    """Whether a line has ``figure``, and nothing else, in the column of a metric."""
    found = [
        value
        for column, value in line.items()
        if any(re.fullmatch(re.escape(name) + r"(?: \(.*\))?", column) for name in COLUMNS[metric])
    ]
    return found == [figure]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_composes_and_is_told_from_another_config(
    name: str, rows: dict[str, Any], tmp_path: Path
) -> None:
    """What a run has written must be found equal to what would be run."""
    row = rows[name]
    config = compose([*row.overrides(row.seeds[-1], row.folds[-1], "D"), f"run_dir={tmp_path}"])
    check(config)
    save(config, tmp_path / "config.yaml")
    assert plain(load(tmp_path / "config.yaml")) == plain(config)
    assert ("$s" in row.train) == (len(row.seeds) > 1)
    assert ("$f" in row.train) == (len(row.folds) > 1)
    assert row.start is None or rows[row.start].train.split()[0] == f"experiment={row.start}"


@pytest.mark.parametrize("name", NAMES)
def test_what_a_row_claims_stands_on_the_page(name: str, rows: dict[str, Any]) -> None:
    row = rows[name]
    part = section(row.section)
    figures = {metric: text.partition(" within")[0] for metric, text in row.claims.items()}
    in_a_sentence = all(
        f"`{name}`" in part and f"{COLUMNS[metric][0]} {figure}" in part
        for metric, figure in figures.items()
    )
    in_a_table = any(
        all(is_there(metric, figure, line) for metric, figure in figures.items())
        for line in lines_of_tables(part)
    )
    assert in_a_table or in_a_sentence, figures
    assert row.commit in part


def commands() -> list[tuple[str, list[str]]]:
    """Each training command of the page, with its section: the words that make its config."""
    found = []
    for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE):
        for command in re.findall(r"python scripts/train\.py ([^`;&]+)", part):
            words = re.sub(r"\[.*?\]", "", command).replace("=S ", "=$s ").split()
            own = [w for w in words if not w.startswith(("run_dir=", "init_from="))]
            found.append((part.splitlines()[0], own))
    return found


def test_every_training_command_of_the_page_is_a_row(rows: dict[str, Any]) -> None:
    assert len(commands()) >= 20
    for title, words in commands():
        alike = [row for row in rows.values() if set(words) == set(row.train.split())]
        assert any(title.startswith(row.section) for row in alike), (title, words)


@pytest.mark.parametrize("name", NAMES)
def test_every_word_of_a_row_stands_on_the_page(name: str, rows: dict[str, Any]) -> None:
    """In its section's code: in the command, or as what is added to it."""
    part = section(rows[name].section)
    words = re.findall(r"[\w.]+=[^\s;`\]]+", " ".join(re.findall(r"`([^`]+)`", part)))
    written = {word.replace("=S", "=$s") for word in words}
    embedded = "`make demo`" in part and rows[name].train == f"experiment={name}"
    stage = not rows[name].claims
    assert embedded or stage or set(rows[name].train.split()) <= written


# -- running ----------------------------------------------------------------------------------

TINY = """
tiny:
  section: Nowhere
  train: experiment=propensity model=logistic data.num_train=90 data.num_validation=40
    data.num_test=40 data.seed=$s seed=$s
  seeds: [0, 1]
  commit: none
  note: Made by a test.
  claims: {auroc: CLAIM, auprc: .5 within 1}
"""


def write(path: Path, claim: str) -> str:
    path.write_text(TINY.replace("CLAIM", claim), encoding="utf-8")
    return f"table={path}"


def test_a_right_claim_passes_and_a_wrong_one_does_not(
    reproduce: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_script: Any, capsys: Any
) -> None:
    """The second time the run that is there is taken: nothing is trained or measured again."""
    monkeypatch.setenv("COLUMNS", "120")
    called = []

    def call(script: str, *arguments: str) -> None:
        called.append(script)
        done = call_script(script, *arguments)
        assert done.returncode == 0, done.stderr

    monkeypatch.setattr(reproduce, "call", call)
    own = ["tiny", f"runs_dir={tmp_path}/runs", "seeds=1"]
    reproduce.main([*own, write(tmp_path / "t.yaml", ".5 ± .2 within .5")])
    said = capsys.readouterr().out
    assert re.search(r"auroc .* \.5 ± \.2 .* pass", said)
    assert re.search(r"auprc .* needs all runs", said)
    assert "Made by a test." in said
    found = json.loads((tmp_path / "runs/tiny/1/evaluation/test.json").read_text())["metrics"]
    with pytest.raises(SystemExit) as end:
        reproduce.main([*own, write(tmp_path / "t.yaml", "2 ± .01 within .1")])
    assert end.value.code == 1
    line = re.search(r"auroc .* differs", capsys.readouterr().out)
    assert line
    assert f" {found['auroc'] - 2:+.4f} " in line[0]
    assert f" {0.1 + 3 * 0.01 * math.sqrt(0.5):.4f} " in line[0]  # one of two runs
    assert called == ["train", "evaluate"]


def test_a_script_that_fails_ends_it(
    reproduce: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
    monkeypatch.setattr(reproduce, "SCRIPTS", tmp_path)
    reproduce.call("train", "0")
    with pytest.raises(SystemExit) as end:
        reproduce.call("train", "3")
    assert end.value.code == 3


def test_a_run_that_was_cut_goes_on(
    reproduce: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where it is cut once more, nothing is measured."""
    table = write(tmp_path / "t.yaml", ".5 within 1")
    written = tmp_path / "runs" / "tiny" / "0" / "config.yaml"
    words = reproduce.read_table(tmp_path / "t.yaml")["tiny"].overrides(0, 0, "")
    save(compose([*words, f"run_dir={written.parent}"]), written)
    called = []
    monkeypatch.setattr(reproduce, "call", lambda *words: called.append(words))
    with pytest.raises(SystemExit):
        reproduce.main(["tiny", table, f"runs_dir={tmp_path}/runs"])
    assert called == [("train", f"resume={written.parent}")]


def test_a_run_of_another_config_is_not_taken(reproduce: Any, tmp_path: Path) -> None:
    written = tmp_path / "runs" / "tiny" / "0" / "config.yaml"
    table = write(tmp_path / "t.yaml", ".5 within 1")
    words = reproduce.read_table(tmp_path / "t.yaml")["tiny"].overrides(0, 0, "")
    own = [*words, "trainer.eval_batch_size=7", f"run_dir={written.parent}"]
    save(compose(own), written)
    with pytest.raises(ConfigError, match="holds a run of another config"):
        reproduce.main(["tiny", table, f"runs_dir={tmp_path}/runs"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["leeds"], "There is no row 'leeds'. Did you mean 'leads'"),
        (["leads"], "leads reads real data, and data_dir is missing"),
        (["leads", "data_dir=nowhere"], "data_dir=nowhere is no folder"),
        (["rare_event", "seeds=1,7"], r"seeds=7: the runs of rare_event have \[0, 1, 2\]"),
        (["rare_event", "seed=1"], "One row is asked for"),
        (["rare_event", "table=none.yaml"], "table=none.yaml: there is no such file"),
    ],
)
def test_wrong_arguments_are_told(reproduce: Any, arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reproduce.main(arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tiny: {train: a, section: b, comit: c}", "tiny: .*'comit'"),
        (TINY.replace("CLAIM", ".5 ± .1"), "tiny, auroc: '.5 ± .1' is no claim"),
    ],
)
def test_a_table_that_is_wrong_is_told(
    reproduce: Any, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        reproduce.main(["tiny", f"table={tmp_path / 't.yaml'}"])


def test_the_rows_are_listed(reproduce: Any, capsys: pytest.CaptureFixture[str]) -> None:
    reproduce.main(["list"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)
