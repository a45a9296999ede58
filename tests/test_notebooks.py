"""Every notebook runs from top to bottom, in a folder of its own, and is kept without outputs."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from pages import PRIVATE

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMALL: dict[str, dict[str, Any]] = {  # what the cell tagged "parameters" says, but smaller
    "01_sentiment": {"TRAIN": 300, "VALIDATION": 100, "TEST": 100, "EPOCHS": 2},
    "02_recommender": {"SHOPPERS": 200, "EPOCHS": 1},
    "03_emotion": {"TRAIN": 256, "VALIDATION": 64, "TEST": 64, "EPOCHS": 1},
    "04_logo": {"TRAIN": 24, "VALIDATION": 12, "TEST": 6, "EPOCHS": 1},
    "05_social_listening": {"RUNS": None, "POSTS": 24, "SIDE": 160},
    "06_propensity": {"TRAIN": 600, "VALIDATION": 200, "TEST": 200, "EPOCHS": 1},
}


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def made_small(notebook: Any, values: dict[str, Any]) -> None:
    """Adds a cell behind the one tagged ``parameters`` that gives its names other values."""
    (place,) = [i for i, cell in enumerate(notebook.cells)
                if "parameters" in cell.metadata.get("tags", [])]  # fmt: skip
    names = {node.id for node in ast.walk(ast.parse(notebook.cells[place].source))
             if isinstance(node, ast.Name)}  # fmt: skip
    assert names == set(values)
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(SMALL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """What a machine has written into it would be stale, large and may name its folders."""
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
    text = path.read_text(encoding="utf-8")
    assert not PRIVATE.search(text)
    assert "site-packages" not in text
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert shown
    for picture in shown:
        assert (path.parent / picture).is_file(), picture


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    notebook = nbformat.read(path, as_version=4)
    values = dict(SMALL[path.stem])
    if "RUNS" in values:
        values["RUNS"] = str(request.getfixturevalue("tiny_runs"))
    made_small(notebook, values)
    client = NotebookClient(
        notebook,
        timeout=600,
        startup_timeout=600,  # a busy machine imports slowly
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
