"""Compose, check, build: what turns a command line or a run's config.yaml into objects.

`compose` turns command-line overrides into a config, `check` binds every ``_target_`` to the
signature of what it names before anything is loaded, and `build` instantiates a node, for
marketorch's own classes only. Hydra and omegaconf are imported in this package alone.
"""

from marketorch.config.composition import (
    DictConfig,
    compose,
    config_dir,
    load,
    loosened,
    plain,
    save,
    tiny,
)
from marketorch.config.signatures import check
from marketorch.config.targets import build

__all__ = [
    "DictConfig",
    "build",
    "check",
    "compose",
    "config_dir",
    "load",
    "loosened",
    "plain",
    "save",
    "tiny",
]
