"""scripts/benchmark/: what all.py is told, keeps and leaves out, and that both sides do one work.

Nothing here looks at a time: how fast a side is, only a quiet machine can say.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import ROOT

from marketorch import compose
from marketorch.engine import loading
from marketorch.errors import CheckpointError, ConfigError

BENCHMARK = ROOT / "scripts" / "benchmark"
TINY = ["data.num_train=320", "data.num_validation=60", "data.num_test=0", "model.dim=16"]
TINY += ["model.depth=1", "model.vocab_size=200", "trainer.batch_size=16"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """``load("rounds")`` is a module of scripts/benchmark, as the scripts there import it."""
    monkeypatch.syspath_prepend(str(BENCHMARK))
    before, threads = set(sys.modules), torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) in map(str, BENCHMARK.glob("*.py")):
            del sys.modules[name]


@pytest.fixture
def every(load: Callable[[str], Any]) -> Any:
    return load("all")


@pytest.fixture
def part(every: Any) -> dict[str, Any]:
    """A part as it is kept."""
    row = {"part": "text", "comparison": "ours over theirs", "median": 4.4, "lowest": 4.1}
    row |= {"highest": 4.7, "rounds": 3, "unit": "×", "target": "≥ 4", "met": True}
    return {
        "date": "2030-01-02T03:04:05+00:00",
        "machine": every.machine(),
        "versions": every.versions(),
        "commit": "abcdef0123",
        "dirty": False,
        "options": ["rounds=3", "data_dir=/home/me/data"],
        "quick": False,
        "rows": [row],
    }


# -- rows -------------------------------------------------------------------------------------


def test_a_row_is_the_middle_of_its_rounds(load: Callable[[str], Any]) -> None:
    rounds = load("rounds")
    fast, slow = ([rounds.Speed(1.0, n, 0) for n in numbers] for numbers in ((40, 90), (10, 30)))
    row = rounds.Row.of("ours over theirs", rounds.ratios(fast, slow), "≥ 4")
    assert (row.median, row.lowest, row.highest, row.rounds) == (3.5, 3, 4, 2)
    assert row.cells == ("3.50", "3.00–4.00", "≥ 4")
    assert row.met is False
    assert rounds.Row.of("cost", [1.02, 1.03, 1.2], "≤ 1.03").met is True
    assert rounds.Row.of("cost", [1.02, 1.04, 1.2], "≤ 1.03").met is False
    assert rounds.Row.of("seconds", [1.0]).met is None


def test_every_part_reads_the_options_it_is_given(
    every: Any, load: Callable[[str], Any], tmp_path: Path
) -> None:
    shared = {"rounds": 3, "data_dir": str(tmp_path), "quick": True}
    for name, part in every.PARTS.items():
        options = load(name).parse(part.arguments(shared, []))
        assert options["rounds"] == 3
        assert callable(load(name).measure)
        assert options.get("data_dir") == (str(tmp_path) if part.reads else None)


# -- the file ---------------------------------------------------------------------------------


def test_a_part_is_merged_with_those_measured_before(
    every: Any, part: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "benchmarks.json"
    every.merge(out, "startup", part)
    every.merge(out, "text", part)
    again = part | {"date": "2030-02-02"}
    parts = every.merge(out, "startup", again)
    assert list(parts) == ["text", "startup"]
    assert json.loads(out.read_text(encoding="utf-8")) == {"parts": parts}
    assert [parts[name]["date"][:10] for name in parts] == ["2030-01-02", "2030-02-02"]
    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks.json"]


def test_a_quick_part_leaves_a_full_one(every: Any, part: dict[str, Any], tmp_path: Path) -> None:
    out, quick = tmp_path / "benchmarks.json", part | {"quick": True}
    assert every.merge(out, "text", quick)["text"]["quick"]
    assert not every.merge(out, "text", part)["text"]["quick"]
    assert not every.merge(out, "text", quick)["text"]["quick"]


def test_another_file_is_not_written_over(every: Any, tmp_path: Path) -> None:
    out = tmp_path / "package.json"
    out.write_text('{"name": "mine"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"package\.json has no parts"):
        every.main(["startup", f"out={out}"])
    assert out.read_text(encoding="utf-8") == '{"name": "mine"}'


def test_the_table_stands_between_the_markers(
    every: Any, part: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(f"# Speed\n\n{every.START}\nold\n{every.END}\n\nrest\n", encoding="utf-8")
    every.write_between(page, every.markdown({"text": part, "images": part | {"quick": True}}))
    before, _, rest = page.read_text(encoding="utf-8").partition(every.START)
    written, _, after = rest.partition(every.END)
    assert (before, after) == ("# Speed\n\n", "\n\nrest\n")
    assert "| text | ours over theirs | **4.40** × (4.10–4.70) | 3 | ≥ 4: met |" in written
    assert "commit abcdef0, 2030-01-02" in written
    assert "data_dir=D" in written
    for absent in ("old", "/home/me", "images"):
        assert absent not in written
    page.write_text("no markers\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="once each"):
        every.write_between(page, "table")


def test_results_has_the_markers(every: Any) -> None:
    text = every.RESULTS.read_text(encoding="utf-8")
    assert text.count(every.START) == text.count(every.END) == 1


# -- the command line -------------------------------------------------------------------------


def test_help_names_all_parts(every: Any, call_script: Any) -> None:
    done = call_script("benchmark/all", "--help")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in every.PARTS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["imagse"], "imagse: no such part. Did you mean 'images'?"),
        (["imagse.steps=3"], "Did you mean 'images'?"),
        (["roundz=4"], "roundz=4: unknown option. Did you mean 'rounds'?"),
        (["rounds=2"], "rounds=2: expected at least 3."),
        (["quick=true", "results=true"], "quick=true measures nothing"),
    ],
)
def test_what_does_not_exist_is_named(every: Any, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        every.main(words)
    assert message in str(caught.value)


def test_what_is_missing_is_told_and_the_others_go_on(
    every: Any,
    load: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A library, a data set, RecBole's environment; ``startup`` needs none of them."""
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setitem(sys.modules, "text", module_that_imports("accelerate"))
    monkeypatch.setattr(load("recommender"), "ENVIRONMENT", tmp_path / "recbole")
    inter = tmp_path / "recommender" / "ml-100k" / "ml-100k.inter"
    inter.parent.mkdir(parents=True)
    inter.touch()
    out = tmp_path / "benchmarks.json"
    names = ["text", "recommender", "detection", "startup"]
    words = [f"recommender.data_dir={tmp_path}", f"out={out}", "quick=true"]
    with pytest.raises(Exception, match="not measured: text, recommender, detection"):
        every.main([*names, *words])
    said = " ".join(capsys.readouterr().out.split())
    assert "accelerate is not installed: pip install -e '.[benchmark]'" in said
    assert "RecBole's own environment" in said
    assert "`python scripts/benchmark/recommender.py data_dir=DIR` makes it" in said
    assert "data_dir is missing: the folder in which logo/flickrlogos27 lies" in said
    parts = json.loads(out.read_text(encoding="utf-8"))["parts"]
    assert list(parts) == ["startup"]
    (row,) = parts["startup"]["rows"]
    assert row["part"] == "startup"
    assert row["rounds"] == 3
    assert 0 < row["lowest"] <= row["median"] <= row["highest"]


def module_that_imports(name: str) -> ModuleType:
    """A benchmark whose library is imported when it measures."""
    module: Any = ModuleType("text")
    module.parse = list
    module.measure = lambda options: importlib.import_module(name)
    return module


# -- the engine -------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["optim=muon", "trainer.clip_norm=null"]])
def test_both_sides_end_in_the_same_weights(load: Callable[[str], Any], more: list[str]) -> None:
    """Without dropout, which the bare loop does not seed, they differ by rounding alone."""
    engine = load("engine")
    work = engine.Work(compose(["experiment=sentiment", "trainer.device=cpu", *TINY, *more]))
    speed, fitted = engine.fit(work, 3, 4)
    other, bare = engine.run_bare(work, 3, 4)
    assert speed.examples == other.examples == 4 * 16
    own = dict(bare.named_parameters())
    for name, start in work.task(3).named_parameters():
        assert not torch.equal(start, own[name]) or "mix" in name, name
    for name, weights in fitted.named_parameters():
        torch.testing.assert_close(weights, own[name], rtol=1e-3, atol=1e-5)
    encoded = bare.encode(work.train)
    keys = loading.epoch_keys(encoded, 16, seed=0, epoch=0)[:1]
    ((_, batch),) = loading.load(encoded, keys, device=work.device)
    with torch.no_grad():
        losses = [task.eval()(batch).loss_sum for task in (fitted, bare)]
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-4)


def test_a_task_has_a_row_of_its_steps_and_one_of_its_evaluation(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load("engine")
    monkeypatch.setitem(engine.RECIPES, "text_classification", (("experiment=sentiment", *TINY), 2))
    rows = engine.measure(engine.parse(["tasks=text_classification", "rounds=3"]))
    assert [row.target for row in rows] == ["≤ 1.03", "≤ 1"]
    assert all(row.comparison.startswith("text_classification: ") for row in rows)
    assert all(row.rounds == 3 and 0 < row.lowest <= row.median <= row.highest for row in rows)


def test_every_task_has_a_recipe(load: Callable[[str], Any]) -> None:
    tasks = {path.stem for path in (ROOT / "configs" / "task").glob("*.yaml")}
    assert set(load("engine").RECIPES) == tasks
    with pytest.raises(ConfigError, match="Did you mean 'detection'"):
        load("engine").parse(["tasks=detektion"])
