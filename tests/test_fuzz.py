"""Damaged input is answered or refused, never more: a slice of what scripts/fuzz/fuzz.py feeds.

The slice is as seeded as the whole, and every reader has its share. What a hang, a crash, a leak of
memory and a message without a name come to is tried on readers that are made for it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import ROOT

from marketorch.errors import DataError

SCRIPTS = ROOT / "scripts" / "fuzz"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that runs inputs one by one, which lies beside the scripts."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module("watched")
    sys.modules.pop("watched")


def test_a_slice_of_every_reader_is_answered_or_refused(run_script: Any, tmp_path: Path) -> None:
    done = run_script("fuzz/fuzz", "inputs=150", "seed=5", "out=found.json")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    *readers, total = found["readers"]
    assert len(readers) > 25
    assert total["inputs"] >= 140
    assert total["answered"] + total["refused"] == total["inputs"]
    assert min(total["answered"], total["refused"]) > total["inputs"] / 5
    assert not found["failures"]


def test_an_input_is_known_by_its_number(watched: ModuleType, tmp_path: Path) -> None:
    drawn: list[float] = []

    def draw(rng: Any, folder: Path) -> Any:
        drawn.append(rng.random())
        return watched.Asked(lambda: None)

    for number in (1, 2, 1):
        watched.run_case(watched.Reader("x", draw), watched.Case("x", 0, number), tmp_path / "c")
    assert drawn[0] == drawn[2] != drawn[1]


def told(message: str) -> Callable[[], None]:
    def read() -> None:
        raise DataError(message)

    return read


def spin() -> None:
    while True:
        pass


READERS: dict[str, tuple[Callable[[], object], str]] = {
    "answer": (lambda: 1, "answered"),
    "refusal": (told("file.txt, row 1: no"), "refused"),
    "no name": (told("no"), "unnamed"),
    "leak": (lambda: {}["x"], "KeyError"),
    "hang": (spin, "hang"),
    "crash": (lambda: os.kill(os.getpid(), signal.SIGKILL), "crash"),
    "end": (lambda: os._exit(3), "crash"),
    "memory": (lambda: bytearray(1 << 42), "MemoryError"),
}


def test_what_is_neither_an_answer_nor_a_refusal_is_a_failure(
    watched: ModuleType, tmp_path: Path
) -> None:
    """And the inputs after it are read all the same."""

    def reader(name: str, read: Callable[[], object]) -> Any:
        def draw(rng: Any, folder: Path) -> Any:
            (folder / "file.txt").touch()
            return watched.Asked(read)

        return watched.Reader(name, draw)

    readers = {name: reader(name, read) for name, (read, _) in READERS.items()}
    cases = [watched.Case(name, 0, number) for name in READERS for number in (0, 1)]
    results = list(watched.run_all(readers, cases, tmp_path, seconds=0.5))
    assert [result.case for result in results] == cases
    assert [r.kind for r in results] == [kind for _, kind in READERS.values() for _ in (0, 1)]
    assert [r.failed for r in results[:6]] == [False] * 4 + [True] * 2
