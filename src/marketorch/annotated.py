"""Whether values of a config are of the kinds that the arguments they are for are annotated with.

Numbers, lists and mappings are told apart, so that ``data.size=abc`` is refused where it is
written and not where it is first used. What an annotation says beyond that, the constructor judges.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from marketorch.errors import ConfigError

WORDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a text", (str, int, float)),  # a name of digits is read as a number
    NoneType: ("null", (NoneType,)),
    Iterable: ("a list", (list, tuple)),
    Sequence: ("a list", (list, tuple)),
    list: ("a list", (list,)),
    tuple: ("a list", (list, tuple)),
    Mapping: ("a mapping", (dict,)),
    dict: ("a mapping", (dict,)),
}


def check_kinds(target: Callable[..., Any], values: Mapping[Any, Any], path: str) -> None:
    """Raises ConfigError, with the config path, if a value cannot be what ``target`` takes.

    Args:
        target: a class or a function.
        values: plain, by the names of its arguments; a mapping with ``_target_`` is built first.
        path: of the node in the config.
    """
    try:
        hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError:  # an annotation for readers only
        return
    for name, value in values.items():
        if name not in hints or (isinstance(value, dict) and "_target_" in value):
            continue
        hint = hints[name]
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        if not any(_fits(get_origin(kind) or kind, value) for kind in kinds):
            expected = " or ".join(WORDS[get_origin(kind) or kind][0] for kind in kinds)
            raise ConfigError(f"{path}.{name} is {value!r:.60}; expected {expected}.")


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value may be of a kind; of kinds without `WORDS` every value may."""
    if kind not in WORDS or (kind is int and isinstance(value, float) and value.is_integer()):
        return True
    return isinstance(value, WORDS[kind][1])
