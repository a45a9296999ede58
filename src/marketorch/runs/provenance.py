"""Where a result comes from: versions and commit."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VERSIONS = ("torch", "transformers", "datasets", "hydra-core", "torchmetrics")


def versions(*others: str) -> dict[str, str]:
    """Versions of what training rests on, and of ``others``; what is not installed is left out."""
    found = {}
    for name in (*VERSIONS, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any]:
    """Commit and whether the tree differs from it; empty outside a checkout."""

    def ask(*words: str) -> str:
        folder = Path(__file__).parent
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}
