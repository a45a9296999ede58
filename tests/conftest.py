"""What all tests share: one thread, caches of their own, no network, scripts, golden numbers."""

from __future__ import annotations

import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
TINY_DETECTOR = ["model.widths=[8,8,8,8]", "model.depth=[1,1,1]", "model.neck=8"]
TINY_DETECTOR += ["model.num_detections=9"]  # all of them are drawn when nothing is learnt yet
THREADS = os.environ.get("TEST_THREADS", "1")  # set by scripts/processors.py alone
LONG = {"test_notebooks", "test_ddp_scripts", "test_readme", "test_page", "test_onnx_export"}
CACHES = Path(tempfile.mkdtemp(prefix="marketorch-tests-"))

# Set while conftest is imported: `datasets` and `transformers` read them when they are imported.
os.environ |= {
    "OMP_NUM_THREADS": THREADS,
    "HF_HUB_OFFLINE": "1",
    "MARKETORCH_CACHE": str(CACHES / "marketorch"),
    "HF_HOME": str(CACHES / "huggingface"),
    "HF_DATASETS_CACHE": str(CACHES / "datasets"),
}
# Tests make the data they read; the user's own folder must not change what an example does.
os.environ.pop("MARKETORCH_DATA", None)
torch.set_num_threads(int(THREADS))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite tests/golden from this run")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONG)  # or one worker ends with these alone
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.add_marker("numbers")


def pytest_unconfigure() -> None:
    shutil.rmtree(CACHES, ignore_errors=True)


Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_script(tmp_path: Path) -> Script:
    """``run_script("train", "seed=1")`` runs scripts/train.py in a folder of its own."""

    def run(
        name: str, *arguments: object, cwd: Path = tmp_path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"COLUMNS": "200"} | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def call(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same way through a script, but without the seconds that a new process takes."""
    words = [str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", words)
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture
def call_script(tmp_path: Path) -> Script:
    """`call` in a folder of the test's own."""

    def called(
        name: str, *arguments: object, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        return call(name, *arguments, cwd=cwd)

    return called


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of finished runs: ``emotion``, ``smile``, ``scene``, ``logo``, ``sentiment`` and
    ``recommender``."""
    from tiny_runs import train_all  # only when asked for, and after the lines above

    return train_all(tmp_path_factory.mktemp("tiny_runs"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``golden("engine", losses)`` compares with tests/golden/engine.json.

    ``values`` is a list of numbers or a dict of such lists. Only ``pytest --bless`` writes the
    file, so a refactor that moves a loss is seen.
    """

    def compare(
        name: str,
        values: Sequence[float] | Mapping[str, Sequence[float]],
        *,
        rtol: float = 1e-4,
        atol: float = 1e-7,
    ) -> None:
        path = GOLDEN / f"{name}.json"
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        assert path.exists(), (
            f"{path} is missing; write it with: pytest --bless {request.node.nodeid}"
        )
        expected: Any = json.loads(path.read_text(encoding="utf-8"))
        named = values if isinstance(values, Mapping) else {"": values}
        expected = expected if isinstance(expected, Mapping) else {"": expected}
        assert set(named) == set(expected)
        for key, numbers in named.items():
            assert list(numbers) == pytest.approx(expected[key], rel=rtol, abs=atol), key

    return compare
