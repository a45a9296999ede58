"""Options of predictions that the data or the task of a run have, beside those of every run.

What a data source takes when it reads inputs are the keyword-only parameters of its ``inputs``, and
they are checked like the arguments of a config.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from marketorch import config as configs
from marketorch.config.signatures import check_kinds
from marketorch.config.targets import locate
from marketorch.errors import ConfigError, closest
from marketorch.runs.loading import CONFIG, find_run


def data_options(inputs: Callable[..., Any]) -> list[str]:
    """Names of the options that a data source's ``inputs`` takes."""
    parameters = inspect.signature(inputs).parameters.values()
    return [own.name for own in parameters if own.kind is own.KEYWORD_ONLY]


def check_options(inputs: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raises ConfigError if ``inputs`` has no such option, or takes values of another kind."""
    names = data_options(inputs)
    for name in options:
        if name not in names:
            known = f" Its data take: {', '.join(names)}." if names else ""
            raise ConfigError(
                f"{name}={options[name]}: the data of this run have no such option."
                f"{closest(name, names)}{known}"
            )
    check_kinds(inputs, options, "")


def read_options(inputs: Callable[..., Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Values as they were written on a command line, as ``inputs`` takes them: text, numbers, …."""
    hints = get_type_hints(inputs)
    kinds = {name: get_args(hints.get(name)) or (hints.get(name),) for name in texts}
    return {n: text if str in kinds[n] else yaml.safe_load(text) for n, text in texts.items()}


class RunOptions:
    """What predictions of a run can be asked for, by its config alone.

    Args:
        path: of the run.
    """

    def __init__(self, path: str | Path) -> None:
        self.config = configs.load(find_run(path) / CONFIG)
        self.source: Any = locate(self.config.data["_target_"])
        self.task: Any = locate(self.config.task["_target_"])

    @property
    def of_data(self) -> list[str]:
        """Options of the data source's ``inputs``."""
        return data_options(self.source.inputs)

    def help(self) -> str:
        """The run's own options, as text."""
        own = {"explain=N": self.task.explanation, "rank=NAME": self.task.compares}
        own |= {"also=RUN_DIR": self.task.compares, "counts=FILE": self.task.summarises}
        names = [name for name, has in own.items() if has]
        names += [f"{name}=…" for name in self.of_data]
        lead = f"{self.config.name} ({self.task.__name__}) has: {', '.join(names) or 'none more'}."
        return f"{lead}\ninput: {inspect.getdoc(self.source.inputs)}"
