"""Golden and repeatability tests as on other processors: python scripts/processors.py [options].

    only=NAME      one of the settings below
    match=WORDS    those tests alone that pytest's -k chooses

Each setting is a process of pytest in which BLAS, torch, oneDNN and numpy take the kernels that
they have for such a processor, or work in two threads:

    here       whatever this machine has
    baseline   SSE: the oldest kernels of each
    avx2       a machine without AVX512
    threads    two threads

Tests are those that use the ``golden`` fixture or are marked ``numbers``. Ends with status 1 if one
fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from marketorch.command_line import arguments_or_help, split_option
from marketorch.console import say, table
from marketorch.errors import ConfigError, guard

ROOT = Path(__file__).parents[1]
AVX2 = {"AVX", "F16C", "FMA3", "AVX2", "X86_V3"}  # numpy's names of what is older than AVX512


def settings() -> dict[str, dict[str, str]]:
    """The environment variables of each setting."""
    numpys = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    newer = [name for name in numpys if name not in AVX2]
    return {
        "here": {},
        "baseline": {
            "OPENBLAS_CORETYPE": "Nehalem",
            "ATEN_CPU_CAPABILITY": "default",
            "DNNL_MAX_CPU_ISA": "SSE41",
            "NPY_DISABLE_CPU_FEATURES": " ".join(numpys),
        },
        "avx2": {
            "OPENBLAS_CORETYPE": "Haswell",
            "ATEN_CPU_CAPABILITY": "avx2",
            "DNNL_MAX_CPU_ISA": "AVX2",
            "NPY_DISABLE_CPU_FEATURES": " ".join(newer),
        },
        "threads": {"TEST_THREADS": "2"},
    }


def run(name: str, variables: dict[str, str], match: str) -> tuple[str, str, str, float]:
    """Runs the tests under one setting: its row of the table."""
    say(f"{name}  " + " ".join(f"{key}='{value}'" for key, value in variables.items()))
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-m", "numbers", "-n", "auto", "--tb=short"]
    command += ["--no-header", "-rfE", "-k", match, "tests"]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True
    )
    lines = ended.stdout.splitlines()
    if ended.returncode:
        print(ended.stdout[-6000:], ended.stderr[-2000:])
    failed = [line.split("::")[-1].split(" - ")[0] for line in lines if line.startswith("FAILED")]
    outcome = "passed" if not ended.returncode else f"exit status {ended.returncode}"
    return name, outcome, ", ".join(failed), time.monotonic() - start


def main() -> None:
    """Runs the chosen settings and prints their table."""
    only, others = split_option(arguments_or_help(__doc__ or ""), "only")
    match, others = split_option(others, "match")
    chosen = settings()
    if others or only not in (None, *chosen):
        raise ConfigError(f"Expected only={'|'.join(chosen)} or match=, not {sys.argv[1:]}.")
    rows = [run(name, own, match or "") for name, own in chosen.items() if only in (None, name)]
    table("As on other processors", ("setting", "tests", "failed", "seconds"), rows)
    if any(row[1] != "passed" for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    with guard():
        main()
