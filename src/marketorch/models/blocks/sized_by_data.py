"""Models that are fitted, not trained, and hold as much as the data have."""

from __future__ import annotations

from typing import Any

from torch import nn


class SizedByData(nn.Module):
    """A module some of whose buffers are as long as what it was fitted on."""

    sized_by_data: tuple[str, ...] = ()
    """Buffers whose size only the data know; a checkpoint makes room for them."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        """Makes room first."""
        for name in self.sized_by_data:
            stored, own = state.get(prefix + name), getattr(self, name)
            if stored is not None:
                setattr(self, name, own.new_zeros(stored.shape))
        super()._load_from_state_dict(state, prefix, *others)
