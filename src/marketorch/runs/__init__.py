"""The verbs on a run directory: train, evaluate, predict. Scripts and notebooks call these."""

from marketorch.runs.evaluation import evaluate
from marketorch.runs.loading import Run, build_task, find_resumable, find_run, load_run
from marketorch.runs.training import train

__all__ = ["Run", "build_task", "evaluate", "find_resumable", "find_run", "load_run", "train"]
