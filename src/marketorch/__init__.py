"""marketorch: deep-learning models for marketing. These are the names a notebook uses."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from marketorch.config import build, check, compose
from marketorch.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    NonFiniteError,
    UserError,
)

if TYPE_CHECKING:
    from marketorch.engine.evaluation import predict_loop
    from marketorch.engine.task import Predictions, Step, Task
    from marketorch.engine.trainer import Trainer
    from marketorch.listening import Listener, analyse_folder, brand_report
    from marketorch.runs import Run, build_task, evaluate, load_run, train

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Listener",
    "NonFiniteError",
    "Predictions",
    "Run",
    "Step",
    "Task",
    "Trainer",
    "UserError",
    "analyse_folder",
    "brand_report",
    "build",
    "build_task",
    "check",
    "compose",
    "evaluate",
    "load_run",
    "predict_loop",
    "train",
]
LATER = {
    "Listener": "listening",
    "Predictions": "engine.task",
    "Run": "runs",
    "Step": "engine.task",
    "Task": "engine.task",
    "Trainer": "engine.trainer",
    "analyse_folder": "listening",
    "brand_report": "listening",
    "build_task": "runs",
    "evaluate": "runs",
    "load_run": "runs",
    "predict_loop": "engine.evaluation",
    "train": "runs",
}
"""Names that need torch, and their modules, imported when a name is first asked for."""


def __getattr__(name: str) -> Any:
    """Imports one of `LATER`."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LATER[name]}"), name)


def __dir__() -> list[str]:
    """All names, for who completes them by tabulator, whether they are imported yet or not."""
    return sorted({*globals(), *__all__})
