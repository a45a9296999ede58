"""Checks a config against the signatures of what it builds, before anything is loaded.

Names of arguments must exist, and values must be of the kind that is annotated: numbers, lists and
mappings are told apart, so that ``data.size=abc`` is refused where it is written and not where it
is first used. What an annotation says beyond that, the constructor judges.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf

from marketorch.config.composition import plain
from marketorch.config.targets import ABOUT, locate
from marketorch.errors import ConfigError, closest

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
        hints = argument_types(target)
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


def argument_types(target: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of the arguments of a function, a class or a dataclass."""
    if not inspect.isclass(target):
        return get_type_hints(target)
    if "__dataclass_fields__" not in vars(target):  # it may inherit from a dataclass
        return get_type_hints(target.__init__)
    hints = get_type_hints(target)  # by the module of each class that it inherits from
    own = {name: hints[name] for name in inspect.signature(target).parameters}
    return {name: kind.type if isinstance(kind, InitVar) else kind for name, kind in own.items()}


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value may be of a kind; of kinds without `WORDS` every value may."""
    if kind not in WORDS or (kind is int and isinstance(value, float) and value.is_integer()):
        return True
    return isinstance(value, WORDS[kind][1])


FROM_OUTSIDE = {"run_dir", "seed", "schema", "model"}
"""Arguments that the code, not the config, fills in."""


def check(config: DictConfig) -> None:
    """Binds every ``_target_`` in the config to its signature.

    Raises:
        ConfigError: naming the config path of an unknown target, of a misspelt, missing or
            superfluous argument, with the closest right name, or of a value of another kind.
    """
    for path, node in _targets(config):
        target = locate(node["_target_"], path)
        parameters = inspect.signature(target).parameters
        names = [n for n, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
        for key in map(str, node):
            if key.startswith("_") or key in names or key == ABOUT:
                continue
            raise ConfigError(
                f"{path}.{key}: {node['_target_']} takes no argument '{key}'."
                f"{closest(key, names)} It takes: {', '.join(names)}."
            )
        check_kinds(target, plain(node), path)
        if node.get("_partial_"):
            continue
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and name not in {*node, *FROM_OUTSIDE}:
                raise ConfigError(f"{path}.{name} is missing: {node['_target_']} needs it.")


def _targets(config: Any, path: str = "") -> Iterator[tuple[str, DictConfig]]:
    if isinstance(config, DictConfig):
        if "_target_" in config:
            yield path, config
        name: Any
        for name in config:
            if OmegaConf.is_missing(config, name):
                key = f"{path}.{name}".lstrip(".")
                raise ConfigError(f"{key} is missing; set it: {key}=…")
            yield from _targets(config[name], f"{path}.{name}".lstrip("."))
    elif isinstance(config, ListConfig):
        for place, item in enumerate(config):
            yield from _targets(item, f"{path}[{place}]")
