"""Options of predict.py that belong to a run's data or task, and who may know their names."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from marketorch.config import compose, save
from marketorch.data.events.source import EventData
from marketorch.data.images.source import ImageData
from marketorch.data.texts.source import TextData
from marketorch.errors import ConfigError
from marketorch.runs.options import RunOptions, check_options, data_options, read_options

GENERAL = ("runs", "sharing", "listening/listener.py")  # of src/marketorch: they serve any task


class Source:
    """A data source whose inputs take options of several kinds."""

    def inputs(
        self, source: str, *, language: str | None = None, days: int = 7, strict: bool = False
    ) -> list[str]:
        """Reads lines."""
        return [source]


def test_options_are_the_keyword_arguments_of_inputs() -> None:
    assert data_options(Source.inputs) == ["language", "days", "strict"]
    assert data_options(TextData.inputs) == ["contains"]
    assert data_options(EventData.inputs) == ["exclude"]
    assert data_options(ImageData.inputs) == []


def test_values_from_a_command_line_are_read_by_their_annotations() -> None:
    texts = {"language": "1", "days": "3", "strict": "true"}
    assert read_options(Source.inputs, texts) == {"language": "1", "days": 3, "strict": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"langauge": "en"}, r"langauge=en: .* no such option.*\blanguage\b.*take: language, days"),
        ({"days": "soon"}, r"days is 'soon'; expected a whole number"),
        ({"strict": 3}, r"strict is 3; expected true or false"),
    ],
)
def test_options_are_checked_like_a_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_options(Source.inputs, options)


def test_what_cannot_be_asked_of_images_says_so() -> None:
    with pytest.raises(ConfigError, match=r"contains=x: the data of this run have no such option"):
        check_options(ImageData.inputs, {"contains": "x"})


def test_the_help_of_a_run_lists_its_own_options(tmp_path: Path) -> None:
    save(compose(["experiment=sentiment"]), tmp_path / "config.yaml")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.safetensors").touch()
    shown = RunOptions(tmp_path).help()
    own = "explain=N, rank=NAME, also=RUN_DIR, contains=…"
    assert f"sentiment (TextClassification) has: {own}." in shown
    assert "keep those alone that mention this" in shown
    assert "counts" not in shown


def general_files() -> list[Path]:
    """The modules that may know no task and no kind of data."""
    places = [ROOT / "src" / "marketorch" / name for name in GENERAL]
    return [f for p in places for f in (p.rglob("*.py") if p.is_dir() else [p])]


@pytest.mark.parametrize("file", general_files(), ids=lambda file: file.stem)
def test_what_serves_any_task_imports_none(file: Path) -> None:
    """Nor a kind of data or a model: a tenant that moves in has nothing to edit here."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        room = node.module.removeprefix("marketorch.").split(".")
        assert room[0] != "models", f"{file}:{node.lineno}"
        assert room[0] != "tasks" or room[-1] in ("card", "exports"), f"{file}:{node.lineno}"


@pytest.mark.parametrize("file", general_files(), ids=lambda file: file.stem)
def test_what_serves_any_task_names_no_class_of_one(file: Path) -> None:
    """Not in code and not in strings: what they ask is declared by `engine.task.Task`."""
    names = {
        node.name
        for room in ("tasks", "models")
        for path in (ROOT / "src" / "marketorch" / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name not in ("ExportedFunction", "TaskCard")
    }
    source = file.read_text(encoding="utf-8")
    words = {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}
    words |= {
        part
        for n in ast.walk(ast.parse(source))
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and "\n" not in n.value
        for part in n.value.replace(".", " ").split()
    }
    assert not words & names, f"{file} knows {words & names}"
