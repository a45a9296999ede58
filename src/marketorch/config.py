"""Compose, check, build: the only module that imports hydra and omegaconf.

`compose` turns command-line overrides into a config, `check` binds every ``_target_`` to the
signature of what it names before anything is loaded, and `build` instantiates a node, for
marketorch's own classes only.
"""

from __future__ import annotations

import inspect
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from marketorch.annotated import check_kinds
from marketorch.engine.files import write_atomically
from marketorch.errors import ConfigError, closest
from marketorch.plain_yaml import read_plain
from marketorch.targets import Waiting, locate

GROUPS = ("task", "model", "data", "optim", "trainer")
FROM_OUTSIDE = {"run_dir", "seed", "schema", "model"}
"""Arguments that the code, not the config, fills in."""
HYDRA_FLAGS = ("-m", "--multirun", "-h", "--help", "-c", "--cfg", "-i", "--info", "--hydra-help")
HELP = """Trains one experiment and leaves a run directory.

  python scripts/train.py                                    the embedded demo, under two minutes
  python scripts/train.py experiment=NAME [key=value …]      any experiment, any key changed
  python scripts/train.py resume=RUN_DIR                     continue exactly where a run was cut
  python scripts/train.py -m experiment=NAME seed=0,1,2      a sweep
  torchrun --nproc-per-node 2 scripts/train.py …             several processes or GPUs

== Experiments ==

{experiments}

== Groups and their options (choose with group=option) ==

{groups}

== The config of the embedded demo (override anything: trainer.epochs=2) ==

{config}"""


def config_dir() -> Path:
    """The project's ``configs`` folder (``$MARKETORCH_CONFIGS`` if set)."""
    return Path(
        os.environ.get("MARKETORCH_CONFIGS", Path(__file__).resolve().parents[2] / "configs")
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


def loosened(overrides: Sequence[str]) -> list[str]:
    """Lets overrides name arguments that a group's file does not list; `check` knows them all."""
    inside = tuple(f"{group}." for group in _groups())
    return [f"++{override}" if override.startswith(inside) else override for override in overrides]


def _compose_choices(name: str, overrides: list[str]) -> DictConfig:
    chosen = [o.partition("=")[0] for o in overrides if o.partition("=")[0] in _groups()]
    inside = {
        group: [o for o in overrides if o.lstrip("+~").startswith((f"{group}=", f"{group}."))]
        for group in chosen
        if group != "experiment"
    }
    others = [o for o in overrides if not any(o in part for part in inside.values())]
    alone: dict[str, DictConfig] = {}
    if inside:
        own = hydra.compose(name, overrides=others)
        for group, part in inside.items():
            option = hydra.compose(name, overrides=["~experiment", *part])[group]
            if kinds(own[group]) != kinds(option):
                alone[group] = option
            else:
                others += part
    config = hydra.compose(name, overrides=others)
    OmegaConf.set_struct(config, False)
    for group, option in alone.items():
        config[group] = option
    return config


def kinds(node: Any) -> list[Any]:
    """What a node builds, and what the nodes inside of it build."""
    values: Any = OmegaConf.to_container(node) if isinstance(node, DictConfig) else node
    inner = [kinds(value) for value in values.values() if isinstance(value, dict)]
    return [values.get("_target_"), *(kind for kind in inner if any(kind))]


def resolve(config: DictConfig) -> DictConfig:
    """Returns the config with every interpolation replaced by its value."""
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
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
            if key.startswith("_") or key in names:
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


# -- build ------------------------------------------------------------------------------------


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
        if not key.startswith("_")
    }
    given = own | arguments
    return Waiting(target, **given) if values.get("_partial_") else target(**given)


# -- command line -----------------------------------------------------------------------------


def run_main(function: Callable[[list[str]], object], name: str = "train") -> None:
    """Runs ``function(overrides)`` of a script: once, or once a job of hydra's sweep (``-m``)."""
    arguments = sys.argv[1:]
    flags = [a for a in arguments if a.startswith("-")]
    if not flags:
        function(arguments)
        return
    unknown = [a for a in flags if a.partition("=")[0] not in HYDRA_FLAGS]
    if unknown:
        raise ConfigError(
            f"Unknown flag {unknown[0]}; overrides are written key=value, without dashes."
        )
    if {"-h", "--help"} & set(flags):
        print(help_text())
        return
    known = [*compose([], name), *_groups()]
    for override in set(arguments) - set(flags):
        key = override.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] not in known:
            raise ConfigError(f"There is no config key '{key}'.{closest(key, known)}")
    sys.argv[1:] = loosened(arguments)

    def job(config: DictConfig) -> None:
        function(list(HydraConfig.get().overrides.task))

    hydra.main(version_base=None, config_path=str(config_dir()), config_name=name)(job)()


def help_text() -> str:
    """What ``train.py --help`` prints: the calls, the experiments, the groups and every key."""
    experiments = [
        f"  {path.stem:24} {headline(path)}"
        for path in sorted((config_dir() / "experiment").glob("*.yaml"))
    ]
    groups = [
        f"  {group:8} {', '.join(sorted(p.stem for p in (config_dir() / group).glob('*.yaml')))}"
        for group in _groups()
        if group != "experiment"
    ]
    return HELP.format(
        experiments="\n".join(experiments),
        groups="\n".join(groups),
        config=OmegaConf.to_yaml(compose()),
    )


def headline(path: Path) -> str:
    """The first sentence of a config file's leading comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = itertools.takewhile(lambda line: line.startswith("#"), lines)
    text = " ".join(c.lstrip("# ") for c in comments if not c.startswith("# @package"))
    return text.partition(". ")[0].rstrip(".") + "."
