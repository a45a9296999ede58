"""Configs: composed from the command line by hydra, or loaded from a run's config.yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from marketorch.config.moved import with_current_targets
from marketorch.config.plain_yaml import read_plain
from marketorch.engine.files import write_atomically
from marketorch.errors import ConfigError, closest

GROUPS = ("task", "model", "data", "optim", "trainer")


def config_dir() -> Path:
    """The project's ``configs`` folder (``$MARKETORCH_CONFIGS`` if set)."""
    return Path(
        os.environ.get("MARKETORCH_CONFIGS", Path(__file__).resolve().parents[3] / "configs")
    )


# -- compose ----------------------------------------------------------------------------------


def compose(overrides: Sequence[str] = (), name: str = "train") -> DictConfig:
    """Composes ``configs/<name>.yaml`` with hydra overrides such as ``experiment=sentiment``.

    An option of another kind than the experiment's own (``model=nb_logistic``) stands as its file
    says: what the experiment wrote for its own model does not apply to it.

    Raises:
        ConfigError: an override names a key or an option that does not exist.
    """
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base=None):
            config = _compose_choices(name, loosened(overrides))
        return resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, name, overrides)) from error
    except (ValueError, TypeError, AttributeError, OSError, RecursionError) as error:  # of hydra
        raise ConfigError(f"{' '.join(overrides)}: {_first_line(error)}") from error
    finally:
        GlobalHydra.instance().clear()


def tiny(experiment: str, *overrides: str) -> list[str]:
    """Overrides for the tiny form of an experiment, which takes seconds on a CPU, and more."""
    return [f"experiment={experiment}", f"tiny={experiment}", *overrides]


def loosened(overrides: Sequence[str]) -> list[str]:
    """Lets overrides name arguments that a group's file does not list; `check` knows them all."""
    inside = tuple(f"{group}." for group in _groups())
    return [f"++{override}" if override.startswith(inside) else override for override in overrides]


WHOLE = ("experiment", "tiny")  # groups whose options change the whole config


def _compose_choices(name: str, overrides: list[str]) -> DictConfig:
    chosen = [o.partition("=")[0] for o in overrides if o.partition("=")[0] in _groups()]
    inside = {
        group: [o for o in overrides if o.lstrip("+~").startswith((f"{group}=", f"{group}."))]
        for group in chosen
        if group not in WHOLE
    }
    others = [o for o in overrides if not any(o in part for part in inside.values())]
    alone: dict[str, Any] = {}
    if inside:
        own = hydra.compose(name, overrides=others)
        for group, part in inside.items():
            option = hydra.compose(name, overrides=["~experiment", *part])
            if kinds(own[group]) != kinds(option[group]):
                brought = [key for key in BROUGHT.get(group, ()) if not _sets(others, key)]
                alone |= {key: option[key] for key in (group, *brought)}
            else:
                others += part
    config = hydra.compose(name, overrides=others)
    OmegaConf.set_struct(config, False)
    for key, value in alone.items():
        config[key] = value
    return config


def _sets(overrides: Sequence[str], key: str) -> bool:
    return any(override.lstrip("+~").startswith(f"{key}=") for override in overrides)


BROUGHT = {"task": ("baselines",)}
"""Keys of the whole config that the options of a group set besides their own."""


def kinds(node: Any) -> list[Any]:
    """What a node builds, and what the nodes inside of it build."""
    values: Any = OmegaConf.to_container(node) if isinstance(node, DictConfig) else node
    inner = [kinds(value) for value in values.values() if isinstance(value, dict)]
    return [values.get("_target_"), *(kind for kind in inner if any(kind))]


def resolve(config: DictConfig) -> DictConfig:
    """Returns the config with its interpolations replaced by values, and targets that moved."""
    values = with_current_targets(OmegaConf.to_container(config, resolve=True))
    resolved = OmegaConf.create(values)
    assert isinstance(resolved, DictConfig)
    OmegaConf.set_struct(resolved, True)
    return resolved


def load(path: Path, overrides: Sequence[str] = ()) -> DictConfig:
    """Reads a run's ``config.yaml`` and applies dotted overrides to it.

    ``run_dir`` is the folder of the file, wherever the run was when it began.

    Raises:
        ConfigError: the file holds more than values, or no run; an override names a key that the
            config does not have, and that is no argument of anything it builds either (`check`
            judges those).
    """
    try:
        config: Any = OmegaConf.create(read_plain(path))
        needed = (*(f"{group}._target_" for group in GROUPS), "name", "data_dir")
        lacking = [key for key in needed if OmegaConf.select(config, key) in (None, "")]
    except (YAMLError, OmegaConfBaseException, ValueError, AssertionError) as error:
        raise ConfigError(f"{path} is no YAML of a run: {' '.join(str(error).split())}") from error
    if lacking:
        raise ConfigError(f"{path} has no {lacking[0]}: it is no config of a run.")
    known = list(_keys(config))
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        built = key.rpartition(".")[0] + "._target_" in known
        if key not in known and not built and not override.startswith("+"):
            raise ConfigError(f"{path} has no key '{key}'.{closest(key, known)}")
        try:
            OmegaConf.update(config, key, _typed(key, value))
        except (OmegaConfBaseException, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: {override}: {_first_line(error)}") from error
    config.run_dir = str(path.parent)
    try:
        return resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}, {' '.join(overrides)}: {_first_line(error)}") from error


def _typed(key: str, value: str) -> Any:
    """A value as YAML reads it; what is no YAML, such as ``a: b``, is text."""
    try:
        return OmegaConf.create(f"value: {value or 'null'}").value
    except YAMLError as error:
        if value[0] in "[{'\"":
            raise ConfigError(f"{key}={value}: a bracket or a quote is not closed.") from error
        return value


def save(config: DictConfig | dict[str, Any], path: Path) -> None:
    """Writes a config as YAML."""
    text = OmegaConf.to_yaml(config)
    write_atomically(path, lambda file: file.write(text.encode()))


def plain(config: Any) -> Any:
    """Returns nested dicts and lists."""
    is_node = isinstance(config, (DictConfig, ListConfig))
    return OmegaConf.to_container(config, resolve=True) if is_node else config


def _explain(error: BaseException, name: str, overrides: Sequence[str]) -> str:
    """One sentence for a composition error: the path, and the closest name that exists."""
    text = str(error)
    missing_option = re.search(r"Could not find '([\w-]+)/([^']+)'", text)
    if missing_option:
        group, option = missing_option.groups()
        return _unknown_option(group, option)
    key_like = re.search(r"[Cc]ould not override '?([\w./@-]+)'?", text)
    for override in [key_like.group(1)] if key_like else overrides:
        key = override.lstrip("+~").partition("=")[0]
        known = [*_keys(compose([], name) if overrides else OmegaConf.create()), *_groups()]
        if key not in known:
            return f"There is no config key '{key}'.{closest(key, known)}"
    return f"{' '.join(overrides)}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _unknown_option(group: str, option: str) -> str:
    options = sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))
    if not options:
        return f"There is no config group '{group}'.{closest(group, _groups())}"
    guess = closest(option, options)
    return f"There is no {group} '{option}'.{guess} Available: {', '.join(options)}."


def _groups() -> list[str]:
    return sorted(path.name for path in config_dir().iterdir() if path.is_dir())


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, DictConfig):
        name: Any  # text, or a number: the classes of data.class_names
        for name in config:
            yield f"{prefix}{name}"
            if not (OmegaConf.is_interpolation(config, name) or OmegaConf.is_missing(config, name)):
                yield from _keys(config[name], f"{prefix}{name}.")


# -- check ------------------------------------------------------------------------------------


# -- build ------------------------------------------------------------------------------------


# -- command line -----------------------------------------------------------------------------
