"""Reads the README and the pages in docs/, and runs their commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
PRIVATE = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|Users)/")  # folders of one machine
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

RUNNER = """
import json, os, runpy, sys
scripts = sys.argv[1]
for name, arguments in json.load(sys.stdin):
    sys.argv = [name, *arguments]
    print("$", name, *arguments, flush=True)
    runpy.run_path(os.path.join(scripts, name), run_name="__main__")
"""


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for found, body in FENCE.findall(page) if found == language]


def commands(page: str) -> list[list[str]]:
    """The lines of the bash blocks, each as its words."""
    lines = "".join(blocks(page, "bash")).splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def shortened(words: list[str]) -> list[str]:
    """A train command in the tiny form of its experiment; others as they are."""
    if not words[0].endswith("train.py") or any(w.startswith("resume=") for w in words):
        return words
    named = (w.removeprefix("experiment=") for w in words if w.startswith("experiment="))
    short = [f"tiny={next(named, 'sentiment')}", "trainer.max_steps=3"]
    if "data=brand_marks" in words:
        short += ["data.num_train=48", "data.num_validation=8", "data.num_test=8", "data.size=64"]
    if "data=detection_files" in words:
        short += ["data.size=64"]
    return [*words, *short]


def run(calls: list[list[str]], folder: Path, root: Path = ROOT) -> str:
    """Runs python scripts in turn, in ``folder``, with the code of ``root``; returns the output.

    They run in one process, because on a busy core importing torch takes longer than they do.
    """
    names = [[words[0].removeprefix("scripts/"), shortened(words)[1:]] for words in calls]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(root / "scripts")],
        input=json.dumps(names),
        cwd=folder,
        env=os.environ | {"COLUMNS": "120", "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def write_rows(path: Path, rows: list[list[str]]) -> None:
    """Writes a CSV whose fields need no quotes."""
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
