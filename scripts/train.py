"""Trains: python scripts/train.py experiment=NAME [key=value …], or resume=RUN_DIR."""

from __future__ import annotations

from marketorch.command_line import split_option
from marketorch.config import compose, load
from marketorch.config.main import run_main
from marketorch.errors import guard


def main(arguments: list[str]) -> None:
    """Trains what the overrides compose, or continues the run that ``resume=`` names."""
    with guard():
        from marketorch.runs import (
            find_resumable,  # with torch, which --help does not need
            train,  # with torch, which --help does not need
        )

        resume, overrides = split_option(arguments, "resume")
        if resume is None:
            train(compose(overrides))
        else:
            train(load(find_resumable(resume), overrides), resume=True)


if __name__ == "__main__":
    with guard():
        run_main(main)
