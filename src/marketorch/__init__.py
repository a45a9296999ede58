"""marketorch: deep-learning models for marketing. These are the names a notebook uses."""

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

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "NonFiniteError",
    "Predictions",
    "Run",
    "Step",
    "Task",
    "Trainer",
    "UserError",
    "build",
    "build_task",
    "check",
    "compose",
    "evaluate",
    "load_run",
    "predict_loop",
    "train",
]
