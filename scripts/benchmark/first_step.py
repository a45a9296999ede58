"""A training that ends after its first step: python scripts/benchmark/first_step.py KEY=VALUE ….

It goes the way of `marketorch.train` and says on stderr when it gets where. `-X importtime` writes
there too, so what was imported on the way stands between the two marks (see `startup.py`).
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any

from marketorch import build, build_task, check, compose
from marketorch.errors import guard

MARK = "reached:"


def reached(place: str) -> None:
    """Says when the process got to a place, in seconds of the clock that all processes share."""
    print(MARK, place, time.time(), file=sys.stderr, flush=True)


def on_event(name: str, trainer: Any) -> None:
    """The trainer is ready at "start"; with ``log_every=1`` the first "log" ends the first step."""
    if name == "start":
        reached("ready")
    if name == "log":
        reached("step")
        raise SystemExit


def main(overrides: list[str]) -> None:
    """Composes, reads the data, prepares and makes one step."""
    config = compose([*overrides, "trainer.log_every=1"])
    check(config)
    reached("config")
    data = build(config.data)
    training, validation, schema = data.split("train"), data.split("validation"), data.schema
    reached("data")
    with tempfile.TemporaryDirectory() as folder:
        trainer = build(config.trainer, run_dir=folder, seed=config.seed, on_event=on_event)
        task = build_task(config, schema)
        trainer.fit(task, training, validation, build(config.optim))


if __name__ == "__main__":
    with guard():
        main(sys.argv[1:])
