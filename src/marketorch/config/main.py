"""The command line of a training: overrides, sweeps, help."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from marketorch.config.composition import _groups, compose, config_dir, loosened
from marketorch.errors import ConfigError, closest

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
        if group not in ("experiment", "tiny")
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
