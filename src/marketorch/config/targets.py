"""What a config may build. It may come from anybody, so its ``_target_`` names nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from marketorch.config.composition import plain
from marketorch.errors import ConfigError, closest

ALLOWED = ("marketorch.",)
OPTIMIZERS = "marketorch.optim.optimizers"
BUILT = ("marketorch.tasks.", "marketorch.models.", "marketorch.data.", "marketorch.engine.trainer")
"""Whose classes a config builds; besides these, the functions of `OPTIMIZERS`."""


ABOUT = "about"
"""The key of a node that describes what it builds, licences of data say; nothing is built of it."""


def locate(target: str, path: str = "_target_") -> Callable[..., Any]:
    """Imports what ``_target_`` names.

    Raises:
        ConfigError: it is not marketorch's, does not exist, or does more than to make an object.
    """
    if not str(target).startswith(ALLOWED):
        raise ConfigError(f"{path}: _target_ '{target}' is outside {', '.join(ALLOWED)}*.")
    module_name, _, name = target.rpartition(".")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ConfigError(f"{path}: there is no module '{module_name}'.") from error
    if not hasattr(module, name):
        names = [n for n in vars(module) if not n.startswith("_")]
        raise ConfigError(f"{path}: {module_name} has no '{name}'.{closest(name, names)}")
    found: Callable[..., Any] = getattr(module, name)
    if not str(getattr(found, "__module__", "")).startswith(ALLOWED):
        raise ConfigError(f"{path}: {module_name} only imports '{name}'; it is not marketorch's.")
    is_ours = inspect.isclass(found) and found.__module__.startswith(BUILT)
    if not is_ours and found.__module__ != OPTIMIZERS:
        raise ConfigError(
            f"{path}: '{target}' is not for a config, which builds tasks, models, data, "
            "a Trainer and optimizers."
        )
    return found


class Waiting(partial[Any]):
    """What a config names, with the config's arguments: a call adds those of the task.

    Raises:
        ConfigError: on the call, if both together are not what the signature takes: the model is
            one for another task.
    """

    def __call__(self, /, *positional: Any, **added: Any) -> Any:
        """Builds it."""
        try:
            inspect.signature(self.func).bind(*positional, **self.keywords | added)
        except TypeError as error:
            raise ConfigError(
                f"{self.func.__module__}.{self.func.__qualname__} does not fit this task, which "
                f"gives it {', '.join(added) or 'nothing'}: {error}."
            ) from error
        return super().__call__(*positional, **added)


def build(node: Any, **arguments: Any) -> Any:
    """Instantiates a config node; ``arguments`` are added to, and win over, its own.

    A node with ``_partial_: true`` becomes a function that waits for the rest. What is built inside
    a node, such as the model of a learner, is built first.
    """
    values = plain(node)
    target = locate(values["_target_"])
    own = {
        key: build(value) if isinstance(value, dict) and "_target_" in value else value
        for key, value in values.items()
        if not key.startswith("_") and key != ABOUT
    }
    given = own | arguments
    return Waiting(target, **given) if values.get("_partial_") else target(**given)
