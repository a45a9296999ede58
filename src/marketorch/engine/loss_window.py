"""The losses since the last log line: kept on the device, read in one sync, checked for NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from marketorch import distributed
from marketorch.engine.loading import Key
from marketorch.errors import NonFiniteError

NORM = "gradient_norm"


class BatchSums(NamedTuple):
    """What one batch added up to on this rank; nothing here has been waited for."""

    key: Key
    weight: Tensor
    sums: dict[str, Tensor]


class LossWindow:
    """Collects the sums of batches until they are read."""

    def __init__(self) -> None:
        self.batches: list[BatchSums] = []

    def __len__(self) -> int:
        return len(self.batches)

    def add(self, key: Key, weight: Tensor, sums: dict[str, Tensor]) -> None:
        """Adds a batch: its weight ``()`` and sums ``()`` over its examples."""
        self.batches.append(BatchSums(key, weight, sums))

    def end_step(self, norm: Tensor) -> None:
        """Notes, at the batch that ends a step, its gradient norm ``()`` times its weight."""
        self.batches[-1].sums[NORM] = norm

    def averages(
        self, device: torch.device, *, step: int, ids: Sequence[object] | None
    ) -> dict[str, float]:
        """Empties the window and returns each sum over the summed weight, over all ranks.

        Args:
            step: updates done, to name a step by.
            ids: names of the examples by index.

        Raises:
            NonFiniteError: naming the first batch with a loss or gradient that is not finite.
        """
        names = list(dict.fromkeys(name for batch in self.batches for name in batch.sums))
        nothing = torch.zeros((), device=device)
        values = torch.stack(
            [
                torch.stack([weight.float(), *(sums.get(n, nothing).float() for n in names)])
                for _, weight, sums in self.batches
            ]
        ).cpu()
        bad = (~torch.isfinite(values)).any(1).nonzero()
        if len(bad):
            self._stop_at(int(bad[0]), step, ids)
        total, *sums = distributed.reduce_sum(values.double().sum(0).to(device)).tolist()
        self.batches.clear()
        return {name: value / max(total, 1e-12) for name, value in zip(names, sums, strict=True)}

    def _stop_at(self, position: int, step: int, ids: Sequence[object] | None) -> None:
        key = self.batches[position].key
        examples = [ids[i] if ids is not None else i for i in key.indices]
        since = sum(NORM in batch.sums for batch in self.batches[position:])
        raise NonFiniteError(
            f"The loss or gradient is not finite at step {step + 1 - since} (epoch {key.epoch}, "
            f"batch {key.batch}). Examples: {examples}. Nothing was saved since; resume continues "
            "from the last checkpoint. Look at these examples, or lower optim.lr or "
            "trainer.clip_norm."
        )
