"""marketorch: deep-learning models for marketing. These are the names a notebook uses."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from marketorch.config import build, check, compose
from marketorch.engine.evaluation import predict_loop
from marketorch.engine.task import Predictions, Step, Task
from marketorch.engine.trainer import Trainer
from marketorch.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    NonFiniteError,
    UserError,
)
from marketorch.runs import Run, build_task, evaluate, load_run, train

if TYPE_CHECKING:
    from marketorch.listening import Listener, analyse_folder, brand_report

LAZY = ("Listener", "analyse_folder", "brand_report")  # imported when they are first asked for
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


def __getattr__(name: str) -> Any:
    """Names of social listening, whose imports nobody else needs."""
    if name in LAZY:
        return getattr(import_module("marketorch.listening"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
