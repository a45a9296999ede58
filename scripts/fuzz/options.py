"""Arguments of a data source, drawn by the types that its signature names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from damage import pick, token
from numpy.random import Generator

from marketorch.config.signatures import argument_types

FILES = ("path", "validation", "test", "exclude", "hub_config")
MOST = 3  # arguments that are drawn at once
SHARES = {"validation_fraction": 0.25, "test_fraction": 0.25}  # of a few rows
NUMBERS = [-1, 0, 1, 2, 3, 5, 9, 1000]
FRACTIONS = [-0.5, 0.0, 0.1, 0.5, 0.9, 1.0, 2.0, float("nan")]


def drawn_options(
    rng: Generator, source: Callable[..., Any], columns: Sequence[str], *fixed: str
) -> dict[str, Any]:
    """Some arguments of a data source, of the right types.

    Args:
        columns: names that a column may have.
        fixed: arguments that are not drawn.
    """
    types = argument_types(source)
    names = [name for name in types if name not in (*FILES, "size", "encoding", *fixed)]
    words = [*columns, *re.findall(r"``([\w-]+)``", inspect.getdoc(source) or "")]
    chosen = rng.permutation(names)[: int(rng.integers(0, MOST + 1))].tolist()
    drawn = {name: _drawn(rng, types[name], words) for name in chosen}
    usual = SHARES | ({"on_bad": str(pick(rng, ["error", "skip"]))} if "on_bad" in types else {})
    return usual | drawn


def _drawn(rng: Generator, kind: Any, words: Sequence[str]) -> Any:
    """A value of a type."""
    if get_origin(kind) in (Union, UnionType):
        return _drawn(rng, pick(rng, get_args(kind)), words)
    kind = get_origin(kind) or kind
    if kind is NoneType:
        return None
    if kind is bool:
        return bool(rng.integers(2))
    if kind is int:
        return int(pick(rng, NUMBERS))
    if kind is float:
        return float(pick(rng, FRACTIONS))
    if kind is Sequence:
        return [_word(rng, words) for _ in range(int(rng.integers(0, 3)))]
    if kind is Mapping:
        return {_word(rng, words): _word(rng, words) for _ in range(int(rng.integers(0, 3)))}
    return _word(rng, words) if kind is str or rng.random() < 0.5 else int(pick(rng, NUMBERS))


def _word(rng: Generator, words: Sequence[str]) -> str:
    return token(rng) if rng.random() < 0.2 else str(pick(rng, words))
