"""What the README and the pages in docs/ say is true: commands run, code runs, names exist.

All commands of a page run in turn (a page's first command trains the run that its second one
evaluates). Training is cut to three steps.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from drawings import folder, photos
from omegaconf import OmegaConf
from pages import FENCE, PAGES, PRIVATE, blocks, commands, run, write_rows
from PIL import Image

from marketorch.config import check
from marketorch.config.targets import locate
from marketorch.data.events.source import EventData
from marketorch.data.images.source import ImageData
from marketorch.data.scenes.invented_marks import MARKS
from marketorch.data.tables.encoding import TableEncoder
from marketorch.data.tables.source import CustomerData
from marketorch.data.texts.source import TextData
from marketorch.errors import DataError

README, ADDING = PAGES["README.md"], PAGES["docs/adding.md"]
GROUPS = ("task", "model", "data", "optim", "trainer", "experiment")
NAMED = re.compile(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


# -- commands ---------------------------------------------------------------------------------


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    found = commands(README)
    assert [words for words in found if words[0] == "make"] == [["make", "demo"], ["make", "test"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
    calls = [words[1:] for words in found if words[0] == "python"]
    torchrun = [words for words in found if words[0] == "torchrun"]
    calls += [words[words.index("scripts/train.py") :] for words in torchrun]  # as one process
    assert len(calls) == 24
    assert len(calls) + 2 == len(found)

    tones = [["body", "tone", "image", "text"]]
    tones += [
        [f"the battery is {word} {i}", tone, f"shelf/{photo}.png", f"It is {word}."]
        for i in range(30)
        for word, tone, photo in (
            *(("bad", "negative", "two"), ("fine", "neutral", "none")),
            ("good", "positive", "gone"),
        )
    ]
    write_rows(tmp_path / "posts.csv", tones)
    write_rows(
        tmp_path / "new_posts.csv", [["body"], ["BATTERY is bad"], ["other"], ["my battery"]]
    )
    goods = ("espresso", "grinder", "filter", *(f"cup {i}" for i in range(30)))
    orders = [["customer", "sku", "ordered_at"]]
    for number in range(40):
        name = f"c{number}" if number else "anna"
        bought = (goods[(number + step) % len(goods)] for step in range(6))
        orders += [[name, sku, f"2024-05-{day}"] for day, sku in enumerate(bought, start=10)]
    write_rows(tmp_path / "orders.csv", orders)
    bills = [["customer", "bill", "plan", "churned"]]
    bills += [
        [f"C{i}", f"{20 + i % 31}.5", f"plan {i % 3}", "yes" if i % 3 else "no"] for i in range(90)
    ]
    write_rows(tmp_path / "customers.csv", bills)
    write_rows(tmp_path / "new_customers.csv", [row[:3] for row in bills[:8]])
    folder(tmp_path / "faces", 12)
    photos(tmp_path / "holiday")
    photos(tmp_path / "shelf")
    (tmp_path / "marks").mkdir()
    for name in ("Hestrum", "Morva"):
        (tmp_path / "marks" / f"{name}.svg").write_text(MARKS[name], encoding="utf-8")
    shown = run(calls, tmp_path)
    counts = (tmp_path / "brands.csv").read_text(encoding="utf-8").splitlines()
    assert sorted(row.partition(",")[0] for row in counts[1:]) == ["Hestrum", "Morva"]
    rows = (tmp_path / "brands.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(row)["image"] for row in rows} == {
        f"shelf/{path.name}" for path in (tmp_path / "shelf").iterdir()
    }
    heard = pd.read_parquet(tmp_path / "posts.parquet")
    assert len(heard) == 90
    assert heard["faults"].map(len).sum() == 30  # of the photo that is gone
    assert heard["faces"].dropna().map(len).tolist() == [2, 0] * 30
    assert all(dict(answers)["sentiment"] for answers in heard["text"])
    assert (tmp_path / "report" / "report.html").exists()
    following = (tmp_path / "next.csv").read_text(encoding="utf-8").splitlines()
    assert following[0] == "rank,item,score"
    assert len(following) == 11
    assert not any(",filter," in row for row in following)
    assert "best reachable" in shown
    assert "2 examples" in shown
    assert len((tmp_path / "faces.csv").read_text(encoding="utf-8").splitlines()) == 4
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["two.jpg"]
    ranked = pd.read_csv(tmp_path / "ranked.csv")
    assert ranked["rank"].tolist() == list(range(1, 8))
    assert {"customer", "p_yes", "contact", "expected_profit", "reasons"} <= set(ranked)
    triage = (tmp_path / "triage.csv").read_text(encoding="utf-8").splitlines()
    assert triage[0].startswith("rank,row,text,label,probability,p_negative,p_neutral,p_positive")
    assert len(triage) == 3
    assert len(list((tmp_path / "runs" / "sentiment").glob("*/DONE"))) == 6


def test_the_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks(README, "python")
    assert len(example.splitlines()) <= 12
    tiny = '"data.num_validation=60", "data.num_test=60", "model.dim=32", "trainer.max_steps=3"'
    example = example.replace('"data.num_train=6000"', f'"data.num_train=300", {tiny}')
    assert tiny in example
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert "notebook" not in capsys.readouterr().err


# -- docs/adding.md ---------------------------------------------------------------------------


def test_what_adding_adds_works(tmp_path: Path) -> None:
    """A copy of the project gets the files of the page, and then runs its commands."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "configs", "scripts", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    files = NAMED.findall(ADDING)
    assert len(files) == len(blocks(ADDING, "python") + blocks(ADDING, "yaml")) == 11
    for name, body in files:
        assert not (tmp_path / name).exists(), f"{name} is there already: choose another name"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body, encoding="utf-8")
    for split in ("train", "validation", "test"):
        for tone in ("praise", "blame"):
            folder = tmp_path / "data" / "letters" / split / tone
            folder.mkdir(parents=True)
            for i in range(8):
                (folder / f"{i}.txt").write_text(f"{tone} letter {i}", encoding="utf-8")
    calls = [words[1:] for words in commands(ADDING)]
    assert len(calls) == 8
    (tmp_path / "scripts" / "examples").symlink_to(tmp_path / "examples")
    run(calls, tmp_path, tmp_path)
    report = json.loads((tmp_path / "runs/stars/evaluation/test.json").read_text(encoding="utf-8"))
    assert set(report["metrics"]) == {"mae", "r2"}
    report = json.loads((tmp_path / "runs/letters/report.json").read_text(encoding="utf-8"))
    assert report["data"]["classes"] == ["blame", "praise"]
    tests = ["-q", "-k", "stars", "--bless", "tests/test_experiments.py"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-m", "pytest", *tests]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
    assert {run_dir.name for run_dir in (tmp_path / "runs").iterdir()} == {
        "average_words",
        "five_classes",
        "letters",
        "stars",
    }


# -- docs/data.md -----------------------------------------------------------------------------

ROWS = [["text", "label"]] + [[f"{w} phone {i}", w] for i in range(20) for w in ("good", "bad")]
FACES = [["image", "label"]]
FACES += [[f"{i} 0 {3 * i} 9", ("happy", "sad")[i % 2]] for i in range(40)]
COUNTS = [("9", "1", "0"), ("1", "9", "0"), ("5", "5", "0"), ("1", "1", "8")]
VOTES = [["image", "happy", "sad", "unknown"]]
VOTES += [[f"{i} 0 {3 * i} 9", *COUNTS[i % 4]] for i in range(40)]
SPLIT = [["text", "label", "part"]]
SPLIT += [[f"a {i}", "ab"[i % 2], "learn" if i % 3 else "test"] for i in range(1, 30)]
BILLS = [["bill", "churned"]] + [
    [f"{20 + i % 31}.50", "no" if i % 3 else "yes"] for i in range(300)
]
DAYS = [[*row, f"{i % 12 + 1}/{i % 11 + 1}/2024"] for i, row in enumerate(BILLS, start=-1)]
ENDED = [[*row, "2024-05-01" if row[1] == "yes" else ""] for row in BILLS]
DAYS[0][2] = ENDED[0][2] = "ended"
FILES: dict[str, Any] = {
    "posts.csv": ROWS,
    "new.csv": ROWS[:5],
    "again.csv": [*ROWS, ["GOOD  phone 0", "good"]],
    "empty.csv": [],
    "header.csv": ROWS[:1],
    "posts.xlsx": ROWS,
    "ragged.csv": [["text", "label"], ["a", "good"], ["b", "bad", "3", "4"]],
    "bad.csv": [*ROWS, ["", "good"], ["fine", ""]],
    "one.csv": ROWS[:1] + [[f"t {i}", "good"] for i in range(9)],
    "rare.csv": [*ROWS, ["odd one", "mixed"]],
    "valid.csv": [*ROWS, ["x y", "godo"]],
    "split.csv": SPLIT,
    "log.csv": [["user", "item", "time"], ["ann", "a", "1"], ["ann", "b", "2"]],
    "soon.csv": [["user", "item", "time"], ["ann", "a", "2024-05-31"], ["ann", "b", "soon"]],
    "null.csv": [["user", "item", "time"], ["ann", "a", "1"], ["ann", "", "2"]],
    "faces.csv": FACES,
    "few.csv": FACES[:5],
    "twice.csv": [*FACES, FACES[1]],
    "odd.csv": [*FACES, ["7 8 9", "sad"], ["7 8 9 x", "sad"], ["7 8 9 300", "sad"]],
    "bills.csv": BILLS,
    "words.csv": [*BILLS, ["much", "no"]],
    "wide.csv": [*BILLS, ["1", "no", "3"]],
    "blank.csv": [*BILLS, ["1", ""]],
    "days.csv": DAYS,
    "ended.csv": ENDED,
    "next.csv": [["bil"], ["3"]],
    "votes.csv": VOTES,
    "more_votes.csv": VOTES[:21],
}
MISTAKES: list[dict[str, Any]] = [
    {"path": "posts.csv", "text": "txt"},
    {"path": "post.csv"},
    {"path": "nowhere/deep/posts.csv"},
    {"path": "empty.csv"},
    {"path": "header.csv"},
    {"path": "posts.xlsx"},
    {"path": "latin.csv"},
    {"path": "latin.csv", "encoding": "latin-11"},
    {"path": "ragged.csv"},
    {"path": "bad.csv"},
    {"path": "bad.csv", "on_bad": "skip"},
    {"path": "posts.csv", "exclude": ["new.csv"]},
    {"path": "again.csv"},
    {"path": "one.csv"},
    {"path": "rare.csv"},
    {"path": "posts.csv", "validation": "valid.csv"},
    {"path": "split.csv", "split": "part"},
    {"path": "posts.csv", "test_fraction": 0.0},
    {"path": "posts.csv", "num_labelled": 1},
]
EVENT_MISTAKES: list[dict[str, Any]] = [
    {"path": "log.csv", "user": "usr"},
    {"path": "soon.csv", "time": "time"},
    {"path": "null.csv"},
    {"path": "log.csv", "min_item_events": 5},
    {"path": "log.csv"},
]
CUSTOMER_MISTAKES: list[dict[str, Any]] = [
    {"path": "bills.csv", "target": "churn"},
    {"path": "words.csv"},
    {"path": "words.csv", "on_bad": "skip"},
    {"path": "days.csv"},
    {"path": "wide.csv"},
    {"path": "blank.csv"},
    {"path": "bills.csv", "positive": "maybe"},
    {"path": "bills.csv", "time": "bill", "folds": 5},
    {"path": "ended.csv"},
    {"path": "bills.csv"},  # asked for a table that lacks a column
]
VOTED = {"label": None, "votes": ["happy", "sad"], "rejects": ["unknown"]}
IMAGE_MISTAKES: list[dict[str, Any]] = [
    {"path": "pets"},
    {"path": "odd.csv"},
    {"path": "fish"},
    {"path": "pets/cat"},
    {"path": "faces.csv", "image": "imag"},
    {"path": "faces.csv", "label": None, "votes": ["label"]},
    {"path": "faces.csv", "find_faces": "yes"},
    {"path": "twice.csv"},
    {"path": "faces.csv", "test": "few.csv"},
    {"path": "votes.csv", **VOTED},
    {"path": "votes.csv", "validation": "more_votes.csv", "majority": 0.5, **VOTED},
]


def write_pets(folder: Path) -> None:
    """Sixteen pictures of two classes and three files that are none; a class without any."""
    for name, shade in (("cat", 0), ("dog", 100)):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("L", (4, 4), shade + i).save(folder / "pets" / name / f"{i}.png")
    whole = folder / "whole.png"
    Image.effect_noise((64, 64), 50).save(whole)
    cut = whole.read_bytes()[: whole.stat().st_size // 2]
    for name, content in (("cat/cut", cut), ("dog/note", b"not a picture"), ("dog/none", b"")):
        (folder / "pets" / f"{name}.png").write_bytes(content)
    (folder / "fish" / "cod").mkdir(parents=True)


def test_messages_are_printed_as_the_page_on_data_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, rows in FILES.items():
        write_rows(tmp_path / name, rows)
    (tmp_path / "latin.csv").write_bytes("text,label\nok,good\ncafé,bad\n".encode("latin-1"))
    write_pets(tmp_path)
    printed = []
    sources = [partial(TextData, **mistake) for mistake in MISTAKES]
    sources += [partial(EventData, **mistake) for mistake in EVENT_MISTAKES]
    sources += [partial(CustomerData, **{"target": "churned"} | m) for m in CUSTOMER_MISTAKES]
    sources += [partial(ImageData, **mistake) for mistake in IMAGE_MISTAKES]
    for source in sources:
        try:
            for split in ("train", "validation", "test"):
                source().split(split)
            if source.func is CustomerData:
                data = source()
                encoder = TableEncoder(data.schema["columns"])
                encoder.encode(data.inputs("next.csv"))
        except DataError as error:
            printed.append(f"error: {error}")
    printed += capsys.readouterr().out.splitlines()
    shown = "".join(blocks(PAGES["docs/data.md"], "text")).splitlines()
    assert len(shown) == len(sources)
    for line in shown:
        start = line.removesuffix("…")
        assert any(p.startswith(start) and (p == line or p != start) for p in printed), line


def test_the_yaml_of_the_page_on_data_fits_the_code() -> None:
    (example,) = blocks(PAGES["docs/data.md"], "yaml")
    check(OmegaConf.create({"data": OmegaConf.create(example)}))


# -- names ------------------------------------------------------------------------------------


@cache
def arguments(group: str) -> set[str]:
    """Every argument that an option of ``group`` takes."""
    names: set[str] = set()
    for path in (ROOT / "configs" / group).glob("*.yaml"):
        config = OmegaConf.load(path)
        if target := config.get(group, config).get("_target_"):  # of a file of the whole config
            names |= set(inspect.signature(locate(target)).parameters)
    return names


def in_code(page: str) -> str:
    """The fenced blocks and the spans in backticks of a page."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", page))
    return "\n".join([*spans, *(body for _, body in FENCE.findall(page))])


def added() -> set[str]:
    return {name for name, _ in NAMED.findall(ADDING)}


@pytest.mark.parametrize("name", PAGES)
def test_options_keys_and_experiments_exist(name: str) -> None:
    code = in_code(PAGES[name])
    chosen = re.findall(rf"(?<![\w.])(pretrain|{'|'.join(GROUPS)})=([a-z]\w+)", code)
    for group, option in chosen:
        path = f"configs/{'experiment' if group == 'pretrain' else group}/{option}.yaml"
        assert option == "null" or path in added() or (ROOT / path).exists(), f"{group}={option}"
    own = "task|model|data|optim|trainer"
    assert chosen
    for group, key in re.findall(rf"(?<![\w./])({own})\.(\w+)(?=[=`\s…]|$)", code, re.MULTILINE):
        assert key in arguments(group), f"{group}.{key}"


@pytest.mark.parametrize("name", PAGES)
def test_paths_exist(name: str) -> None:
    page = PAGES[name]
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    for link in links:
        assert ((ROOT / name).parent / link).exists(), link
    tops = "src|scripts|configs|tests|docs|notebooks"
    for path in re.findall(rf"`((?:{tops})/[\w./]*|[A-Z]\w+\.md|Makefile)`", page):
        assert path in added() or (ROOT / path).exists(), path
    for module in re.findall(r"\bmarketorch(?:\.\w+)+", page):
        parts = module.split(".")[1:]
        inside = "/".join(["src", "marketorch", *parts[:-1]])
        file, package = f"{inside}.py", ROOT / inside
        assert (
            file in added() or (ROOT / file).exists() or (package / f"{parts[-1]}.py").exists()
        ), module


def test_the_tests_that_the_readme_names_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    names = re.findall(r"`(test_\w+)`", README)
    assert len(names) >= 10
    for name in names:
        assert f"def {name}(" in sources, name


def test_the_recipe_in_the_readme_is_the_one_in_configs() -> None:
    recipe = (ROOT / "configs" / "experiment" / "sentiment.yaml").read_text(encoding="utf-8")
    assert blocks(README, "yaml") == [recipe]


def test_the_first_table_of_the_readme_repeats_rows_of_the_last() -> None:
    first, _, results = README.partition("\n## Results\n")
    rows = [line for line in first.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert len(rows) > 2
    assert set(rows) <= set(results.splitlines())


def test_the_trees_of_the_design_exist() -> None:
    tree = FENCE.findall(PAGES["docs/design.md"])[0][1]
    for name in re.findall(r"^ {3}(\w+(?:\.py|/))", tree, re.MULTILINE):
        assert (ROOT / "src" / "marketorch" / name).exists(), name
    for name in re.findall(r"^(\w+/)", tree, re.MULTILINE):
        assert (ROOT / name).exists(), name


def test_no_page_names_a_private_path() -> None:
    for name, page in PAGES.items():
        assert not PRIVATE.search(page), name
