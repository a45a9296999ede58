"""Runs scripts in this process, as if each had one of its own: see test_ddp_scripts.

python script_after_script.py '[["folder", "train", "argument", …], …]'
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import torch

from marketorch.distributed import process_group

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"

if __name__ == "__main__":
    start = Path.cwd()
    with process_group(torch.device("cpu")):  # once: ranks cannot meet twice under one torchrun
        for folder, name, *arguments in json.loads(sys.argv[1]):
            os.chdir(start / folder)
            script = str(SCRIPTS / f"{name}.py")
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
