"""Where a run stands. With the seed, this decides everything that is random (see `loading`)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Position:
    """``batch`` batches of ``epoch`` are done, and ``step`` updates in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    examples: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"position.{name} is {value!r:.40}; expected a number from 0 up")

    @property
    def examples_per_second(self) -> float:
        """Mean speed of the whole run, evaluations included."""
        return self.examples / max(self.seconds, 1e-9)
