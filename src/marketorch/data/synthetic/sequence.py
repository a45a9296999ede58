"""Splits of what is generated: one after the other in a sequence that goes on for ever."""

from __future__ import annotations

from collections.abc import Mapping


def places(sizes: Mapping[str, int], name: str) -> range:
    """Where the split ``name`` lies, among splits of these ``sizes`` in this order."""
    names = list(sizes)
    start = sum(sizes[other] for other in names[: names.index(name)])
    return range(start, start + sizes[name])
