"""Which runs the page takes, and what it says of how good they are."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from marketorch import load_run
from marketorch.app.answers import Answers
from marketorch.app.page import imported, in_words
from marketorch.app.runs import loaded, measured_run, select_runs
from marketorch.errors import ConfigError, DataError


def test_without_runs_those_of_the_demo_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there are no runs in .*demo, which `make demo` makes"):
        select_runs({}, tmp_path / "demo")
    for name in ("sentiment", "logo", "another"):
        (tmp_path / "demo" / name).mkdir(parents=True)
    assert list(select_runs({}, tmp_path / "demo")) == ["logo", "sentiment"]
    assert select_runs({"logo": "a"}, tmp_path / "demo") == {"logo": "a"}


def test_the_recommender_must_be_one(tiny_runs: Path) -> None:
    with pytest.raises(ConfigError, match=r"recommender=.*: expected a run of Recommendation"):
        loaded({"recommender": str(tiny_runs / "sentiment")})
    assert list(loaded({"recommender": str(tiny_runs / "recommender")})) == ["recommender"]


def test_how_good_a_run_is_stands_beside_its_baselines(tiny_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_runs / "sentiment", tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert measured_run("sentiment", run).values == {}
    page = Answers({"sentiment": run}).about()
    assert f"python scripts/evaluate.py run={tmp_path / 'run'}" in page
    result = {"num_examples": 1200, "metrics": {"accuracy": 0.9, "auroc": 1.0}}
    result |= {"baselines": {"<b>": {"accuracy": 0.5}, "other": {"auroc": 0.5}}}
    (tmp_path / "run" / "evaluation").mkdir()
    file = tmp_path / "run" / "evaluation" / "test.json"
    file.write_text(json.dumps(result))
    assert measured_run("sentiment", run).values == {"sentiment": 0.9, "<b>": 0.5}
    page = Answers({"sentiment": run}).about()
    for part in ("0.900", "0.500", "1,200 examples", "accuracy", "&lt;b&gt;"):
        assert part in page
    for broken in ("{", "[]", '{"metrics": {}}'):
        file.write_text(broken)
        assert measured_run("sentiment", run).values == {}


def test_what_is_wrong_is_said_on_the_page() -> None:
    def fails(text: str) -> str:
        raise DataError(f"no {text}")

    assert "no &lt;b&gt;" in in_words(fails)("<b>")
    assert in_words(str.upper)("a") == "A"


def test_a_missing_gradio_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ConfigError, match=r'pip install "marketorch\[app\]"'):
        imported()


def test_nobody_but_the_page_imports_gradio_and_nobody_imports_the_page() -> None:
    """The page itself does so inside of a function, when it is asked for."""
    source = ROOT / "src" / "marketorch"
    for path in source.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        every, outside = names_imported(ast.walk(tree)), names_imported(iter(tree.body))
        assert not any(name.startswith("gradio") for name in outside), path
        if path.name != "page.py" or path.parent.name != "app":
            assert not any(name.startswith("gradio") for name in every), path
        if path.parent.name != "app":
            assert not any(name.startswith("marketorch.app") for name in every), path


def names_imported(nodes: Iterator[ast.AST]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        if isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["sentimet=a"], ["sentimet=a: unknown option", "Did you mean 'sentiment'"]),
        (["port=x"], ["port=x: expected a whole number"]),
        (["port=70000"], ["port=70000: expected 1 to 65535"]),
        (["sentiment=nowhere"], ["there is no such folder"]),
        ([], ["there are no runs in runs/demo"]),
    ],
    ids=" ".join,
)
def test_mistakes_are_explained(
    call_script: Any, arguments: list[str], messages: list[str]
) -> None:
    result = call_script("app", *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    for message in messages:
        assert message in result.stderr
