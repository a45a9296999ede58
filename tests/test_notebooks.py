"""Every notebook runs from top to bottom, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    saved = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    for private in ("/home/", "/tmp/", "site-packages"):
        assert private not in saved
    assert path.stat().st_size < 100_000  # no big pictures in the repository
    client = NotebookClient(
        notebook,
        timeout=600,
        startup_timeout=600,  # a busy machine imports slowly
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert any(
        "image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", [])
    )
