"""The arguments of the Trainer, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketorch.errors import ConfigError

AT_LEAST_ONE = ("batch_size", "eval_batch_size", "accumulate", "log_every", "dear_every")


@dataclass(kw_only=True)
class Settings:
    """How a task is trained.

    Args:
        run_dir: the run directory; checkpoints go to ``run_dir/checkpoints``.
        seed: with the position in the run, the source of all randomness.
        device: ``auto``, ``cpu``, ``gpu`` or ``cuda:<number>``.
        precision: ``auto`` (bf16 where the hardware has it), ``fp32`` or ``bf16``.
        epochs: passes over the training split; the schedule spans them.
        max_steps: cuts the run, and with it the schedule, to so many updates.
        max_minutes: stops early; changes nothing but where the run stops.
        batch_size: examples a forward pass sees, over all ranks together.
        eval_batch_size: examples a forward pass of an evaluation sees on one rank.
        accumulate: batches an update.
        schedule: ``cosine``, ``linear`` or ``constant`` after ``warmup`` (a share or steps).
        clip_norm: largest gradient norm, or None.
        ema_decay: decay of the averaged weights that are evaluated and kept as best; 0 is off.
        eval_every: steps between evaluations; None: after each epoch.
        dear_every: evaluations between those with the task's dear metrics; the last has them.
        save_every: steps between checkpoints; None: after each evaluation.
        log_every: steps between lines in metrics.jsonl; losses are checked for NaN then.
        patience: evaluations without improvement before the run stops; None: never.
        monitor: metric that picks the best weights; None: the task's main metric. ``last`` keeps
            the final weights.
        mode: ``max`` or ``min``; None: as the task says.
        backends: further places to log to, see `Tracker`.
        on_event: called as ``on_event(name, trainer)`` at ``start log evaluate save end``.

    Raises:
        ConfigError: a value that is none of those.
    """

    run_dir: Path
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    epochs: int = 10
    max_steps: int | None = None
    max_minutes: float | None = None
    batch_size: int = 64
    eval_batch_size: int = 256
    accumulate: int = 1
    schedule: str = "cosine"
    warmup: float = 0.06
    final_lr: float = 0.0
    clip_norm: float | None = 1.0
    ema_decay: float = 0.0
    eval_every: int | None = None
    dear_every: int = 1
    save_every: int | None = None
    log_every: int = 20
    patience: int | None = None
    monitor: str | None = None
    mode: str | None = None
    channels_last: bool = False
    compile: bool = False
    num_workers: int = 0
    num_threads: int | None = None
    backends: Sequence[str] = ()
    on_event: Callable[[str, Any], None] | None = None

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                value = getattr(self, name)
                raise ConfigError(f"trainer.{name} is {value}; expected at least 1.")
