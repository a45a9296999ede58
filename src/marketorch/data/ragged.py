"""Sequences of different lengths as two tensors, batched by one vectorised index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PAD = 0


@dataclass(frozen=True)
class Ragged:
    """``num`` integer sequences: sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``."""

    values: Tensor  # (total,) int32
    offsets: Tensor  # (num + 1,) int64

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Ragged:
        """Packs a list of sequences."""
        lengths = np.fromiter((len(s) for s in sequences), np.int64, len(sequences))
        offsets = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
        values = np.empty(int(offsets[-1]), np.int32)
        for start, sequence in zip(offsets, sequences, strict=False):
            values[start : start + len(sequence)] = sequence
        return cls(torch.from_numpy(values), torch.from_numpy(offsets))

    @classmethod
    def packed(cls, values: Tensor, lengths: Tensor) -> Ragged:
        """Sequences that stand one after the other in ``values``."""
        return cls(values, torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """Length of each sequence ``(num,)``."""
        return self.offsets.diff()

    def pad(self, indices: Tensor, last: int | None = None, width: int = 1) -> Tensor:
        """Returns sequences ``indices`` ``(B,)`` as ``(B, L)`` int64, padded with `PAD`.

        ``last`` keeps so many entries at the end of each; ``width`` is the least that L may be.
        """
        starts = self.offsets[indices]
        lengths = self.offsets[indices + 1] - starts  # not `self.lengths`, which is of them all
        if last is not None:
            starts = starts + (lengths - last).clamp_min(0)
            lengths = lengths.clamp_max(last)
        width = max(width, int(lengths.max())) if len(indices) else width
        columns = torch.arange(width)
        inside = columns < lengths[:, None]
        positions = (starts[:, None] + columns).where(inside, torch.zeros((), dtype=torch.int64))
        values = self.values if len(self.values) else torch.zeros(1, dtype=torch.int32)
        return values[positions].long() * inside


def windows(sequences: Ragged, steps: int) -> tuple[Ragged, Tensor]:
    """Cuts each sequence into pieces of at most ``steps`` steps, and says whose each is ``(W,)``.

    A step leads from an entry to the next, so a piece has one entry more, the first of the next
    piece: no step is lost and none is seen twice. Pieces are cut from the end, which is full.
    """
    numbers = ((sequences.lengths - 1).clamp_min(1) + steps - 1) // steps
    owners = torch.repeat_interleave(torch.arange(len(sequences)), numbers)
    rank = torch.arange(len(owners)) - (numbers.cumsum(0) - numbers)[owners]
    ends = sequences.offsets[1:][owners] - (numbers[owners] - 1 - rank) * steps
    starts = torch.maximum(sequences.offsets[:-1][owners], ends - steps - 1)
    lengths = ends - starts
    shift = torch.repeat_interleave(starts - (lengths.cumsum(0) - lengths), lengths)
    place = torch.arange(len(shift)) + shift
    return Ragged.packed(sequences.values[place], lengths), owners


def select_rows(sequences: Ragged, rows: Tensor) -> Ragged:
    """The sequences where ``rows`` ``(num,)`` is True."""
    kept = torch.repeat_interleave(rows, sequences.lengths)
    return Ragged.packed(sequences.values[kept], sequences.lengths[rows])


def pairs(sequences: Ragged) -> Tensor:
    """One number for each (sequence, entry) ``(total,)`` int64."""
    owners = torch.repeat_interleave(torch.arange(len(sequences)), sequences.lengths)
    return owners << 32 | sequences.values.long()
