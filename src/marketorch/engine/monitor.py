"""Which evaluation was the best so far, and whether to go on waiting for a better one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from marketorch.engine.task import Task
from marketorch.errors import ConfigError, check_choice, closest


@dataclass
class Best:
    """The best evaluation so far and the number of evaluations since then."""

    value: float | None = None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    evaluations_since: int = 0


class Monitor:
    """Watches one validation metric.

    Args:
        name: its name, with or without ``val/``; None: the task's main metric. With ``last`` every
            evaluation is the best.
        mode: ``max`` or ``min``; None: as the task says.
        patience: evaluations in a row that may be no improvement; None: any number.

    Raises:
        ConfigError: ``mode`` or ``patience`` is no such value.
    """

    def __init__(
        self, name: str | None = None, *, mode: str | None = None, patience: int | None = None
    ) -> None:
        if patience is not None and patience < 1:
            raise ConfigError(f"trainer.patience is {patience}; expected at least 1, or null.")
        check_choice("trainer.mode", mode, ("max", "min", None), ConfigError)
        self.name, self.mode, self.patience = name, mode, patience
        self.best = Best()

    def watch(self, task: Task) -> None:
        """Starts anew, with what ``task`` measures.

        A metric may give several numbers, so ``recall/positive`` passes where there is a
        ``recall``, and ``map_50`` where there is a ``map``.

        Raises:
            ConfigError: the task has no metric of that name.
        """
        self.best = Best()
        self.lower = self.mode == "min" if self.mode else task.lower_is_better
        name = (self.name or task.main_metric).removeprefix("val/")
        self.key = name if name == "last" else f"val/{name}"
        if name in ("last", task.main_metric):
            return  # and metrics, which take seconds to import, are built when they are fed
        measured = [str(key) for key in task.metrics()]
        families = tuple(f"{key}{mark}" for key in measured for mark in "/_@")
        known = {"last", task.main_metric, *measured}
        if measured and name not in known and not name.startswith(families):
            raise ConfigError(
                f"trainer.monitor is '{name}'.{closest(name, known)} "
                f"Measured are: {', '.join(measured)}."
            )

    def improves(self, metrics: dict[str, float], step: int) -> bool:
        """Updates the record with an evaluation; True if it is one to keep.

        Raises:
            ConfigError: it has no metric of that name.
        """
        if self.key == "last" or not metrics:
            self.best = Best(None, step, metrics)
            return True
        if self.key not in metrics:
            raise ConfigError(
                f"trainer.monitor is '{self.key}'.{closest(self.key, metrics)} "
                f"Measured are: {', '.join(metrics)}."
            )
        value, best = metrics[self.key], self.best.value
        better = best is None or math.isnan(best) or (value < best if self.lower else value > best)
        if (better and not math.isnan(value)) or not self.best.metrics:
            self.best = Best(value, step, metrics)
            return True
        self.best.evaluations_since += 1
        return False

    @property
    def out_of_patience(self) -> bool:
        """Whether improvement has been waited for long enough."""
        return self.patience is not None and self.best.evaluations_since >= self.patience
