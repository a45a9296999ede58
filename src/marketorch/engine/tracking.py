"""What a run writes and prints: metrics.jsonl always, a live bar on a terminal, lines in a pipe."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import (
    Progress,
)

from marketorch import distributed
from marketorch.console import console, progress_bar, say
from marketorch.engine.files import write_atomically, writing
from marketorch.errors import CheckpointError, ConfigError


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON, whole or not at all; what is not a finite number becomes null."""
    text = json.dumps(finite(value), indent=2, allow_nan=False)
    write_atomically(path, lambda file: file.write(f"{text}\n".encode()))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that a run wrote. CheckpointError if it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no JSON that can be read: {error}.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {value!r:.40}; expected an object.")
    return value


@contextmanager
def as_written(shown: str | Path) -> Iterator[None]:
    """Around what uses the JSON of a run: an entry may be missing, or of another kind.

    Raises:
        CheckpointError: it is; ``shown`` names the run.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise CheckpointError(
            f"{shown}: report.json or an evaluation is not as it was written: {reason}."
        ) from error


def finite(value: Any) -> Any:
    """The same nested lists and dicts with None for NaN and infinities, which JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (list, tuple)) else value


class Tracker:
    """Records scalars by step and shows how far the run is.

    Args:
        run_dir: where ``metrics.jsonl`` goes.
        total_steps: length of the run, for the bar.
        start_step: the step a resumed run starts from; later lines of its file are dropped.
        backends: any of ``tensorboard``, ``wandb``, ``mlflow``; each must be installed.
    """

    def __init__(
        self, run_dir: Path, *, total_steps: int, start_step: int = 0, backends: Iterable[str] = ()
    ) -> None:
        self.main = distributed.is_main()
        self.path = run_dir / "metrics.jsonl"
        self.backends = [open_backend(name, run_dir) for name in backends] if self.main else []
        if self.main:
            run_dir.mkdir(parents=True, exist_ok=True)
            _keep_until(self.path, start_step)
        self.progress: Progress | None = None
        if self.main and console.is_terminal and total_steps:
            self.progress = progress_bar()
            self.bar = self.progress.add_task("train", total=total_steps, shown="")
            self.progress.start()
            self.progress.update(self.bar, completed=start_step)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Appends a line to metrics.jsonl."""
        if not self.main:
            return
        line = {"step": step} | {name: _plain(value) for name, value in values.items()}
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for write in self.backends:
            write(step, {k: v for k, v in line.items() if isinstance(v, (int, float))})

    def announce(
        self,
        step: int,
        epoch: float,
        seconds: float,
        metrics: Mapping[str, float],
        weights: str = "",
    ) -> None:
        """Prints an evaluation: its first six metrics that are not of a single class.

        ``weights`` says which weights were measured where they are not those of ``step``.
        """
        shown = [f"{name} {value:.4f}" for name, value in metrics.items() if name.count("/") == 1]
        place = f"step {step:>6}  epoch {epoch:5.2f}  {seconds:6.0f} s"
        place = f"{weights:<31}" if weights else place
        say("  ".join([place, *shown[:6]]))

    def advance(self, step: int, shown: str = "") -> None:
        """Moves the bar."""
        if self.progress:
            fields: dict[str, Any] = {"shown": shown} if shown else {}
            self.progress.update(self.bar, completed=step, **fields)

    def close(self) -> None:
        """Takes the bar off the screen."""
        if self.progress:
            self.progress.stop()


def open_backend(name: str, run_dir: Path) -> Any:
    """Returns ``write(step, values)`` of a tracking service. ConfigError if it is not installed."""
    try:
        if name == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(run_dir / "tensorboard"))

            def write(step: int, values: Mapping[str, float]) -> None:
                for name, value in values.items():
                    writer.add_scalar(name, value, step)

            return write
        if name == "wandb":
            import wandb

            run = wandb.init(dir=str(run_dir), project="marketorch", name=run_dir.name)
            return lambda step, values: run.log(values, step=step)
        if name == "mlflow":
            import mlflow

            mlflow.start_run(run_name=run_dir.name)
            return lambda step, values: mlflow.log_metrics(
                {k.replace("@", "_at_"): v for k, v in values.items()}, step=step
            )
    except ImportError as error:
        raise ConfigError(f"trainer.backends asks for {name}: pip install {name}") from error
    raise ConfigError(f"trainer.backends has '{name}'; expected tensorboard, wandb or mlflow.")


def _keep_until(path: Path, step: int) -> None:
    """Drops the lines a killed run wrote after its last checkpoint; a new run starts empty."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() and step else ""
    kept = "".join(f"{line}\n" for line in text.splitlines() if _is_of(line, step))
    write_atomically(path, lambda file: file.write(kept.encode()))


def _is_of(line: str, step: int) -> bool:
    """Whether a line was whole when the run was cut, and a run resumed at ``step`` has it too.

    Of ``weights`` a line speaks once a run is over; every resumed run comes to that again.
    """
    try:
        values = json.loads(line)
        return values["step"] <= step and "weights" not in values
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):  # no whole line of ours
        return False


def _plain(value: Any) -> Any:
    """A value for metrics.jsonl: six significant digits, null for NaN."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    return finite(value)
