"""The Task protocol: all that the engine knows of a problem.

A Task holds a model and says how its problem is prepared, encoded, scored and decoded. The
Trainer and the evaluation loop call these methods and nothing else, so they never learn a batch
key, a class count or a tokenizer. There is one Task per *problem*, not per model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

from marketorch import distributed
from marketorch.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

Batch = dict[str, Any]
Row = dict[str, Any]


@runtime_checkable
class Dataset(Protocol):
    """A map-style dataset.

    Either ``__getitem__`` (one example, collated by ``collate`` or torch's default) or, faster,
    ``__getitems__`` (a list of positions to a whole batch). An optional ``lengths`` tensor
    ``(N,)`` makes the loader batch examples of similar length; an optional ``ids`` sequence names
    the examples in error messages. An optional ``order(seed)`` gives the positions ``(N,)`` of an
    epoch in the data set's own order (by time, by shards) instead of a shuffled one; it must be a
    function of ``seed``, another one each epoch, because a resumed run asks for it again.
    """

    def __len__(self) -> int: ...


class DataSource(Protocol):
    """Where examples come from. Constructing one reads nothing; ``split`` does."""

    @property
    def schema(self) -> dict[str, Any]:
        """Plain JSON description of the training split: class names, counts, ..."""

    def split(self, name: str) -> Dataset:
        """Returns ``"train"``, ``"validation"`` or ``"test"``."""

    def inputs(self, source: Any) -> Dataset:
        """Reads what to predict on: what a command line may name, or values of Python."""

    def fingerprint(self) -> str:
        """A hash that changes when the training data change."""


@dataclass
class Step:
    """What one forward pass hands the Trainer.

    ``loss_sum`` is a sum, not a mean: the Trainer divides by ``weight`` summed over accumulated
    batches *and* ranks, so a ragged last batch gives the exact loss. ``logs`` are scalar sums
    in the same unit, divided by the same weight when printed.
    """

    loss_sum: Tensor
    weight: Tensor
    logs: dict[str, Tensor] = field(default_factory=dict)


Predictions = Mapping[str, Any]
"""Decoded output of one batch. ``"index"`` holds the examples' positions ``(B,)``; no loss."""


class Task(nn.Module):
    """Base class of every problem; its ``schema`` travels with the weights.

    The data sets it is handed are those of its own data sources (see `Dataset`).
    """

    schema: dict[str, Any]
    main_metric: str
    """The metric that picks the best checkpoint unless ``trainer.monitor`` names another."""
    lower_is_better: bool = False

    def prepare(self, train: Any) -> None:
        """Fits vocabularies, statistics or a closed-form model once, on the training split."""

    refreshes: bool = False
    """Whether `refresh` is to be called."""

    def refresh(self, train: Any) -> None:
        """Derives anew, as each epoch begins, what depends on the training split and the weights.

        Hard negatives, say. It belongs into buffers: other ranks and resumed runs get the state.

        Args:
            train: the encoded training split.
        """

    def encode(self, dataset: Any) -> Any:
        """Turns raw examples into tensors once, with what ``prepare`` learnt."""
        return dataset

    def forward(self, batch: Batch) -> Step:
        """Computes the training loss of a batch."""
        raise TypeError(f"{type(self).__name__} does not define forward")

    def predict(self, batch: Batch) -> Predictions:
        """Decodes a batch. Called in eval mode, without gradients.

        What is drawn at random should be a function of the examples' positions
        (`marketorch.tasks.sampling.uniform`), so that it is the same in any batch. Tensors
        ``(B, …)`` of different lengths in different batches are joined as lists.
        """
        raise TypeError(f"{type(self).__name__} does not define predict")

    def metrics(self) -> MetricCollection:
        """Returns fresh torchmetrics, whose keys are the project's metric names.

        What takes seconds to import, torchmetrics and the modules that derive from it, is imported
        here, so a training gets to its first step without it.
        """
        from torchmetrics import MetricCollection

        return MetricCollection({})

    def dear_metrics(self) -> dict[str, Any]:
        """Further torchmetrics by name that cost much, such as a decoding or a simulation.

        They are part of the last evaluation of a training, of evaluate.py, and of every
        ``trainer.dear_every``-th evaluation before.
        """
        return {}

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds one batch of predictions to the metrics."""

    @property
    def calibrates(self) -> bool:
        """Whether `calibrate` is to be called, for which the validation split is predicted."""
        return False

    def calibrate(self, predictions: Predictions, validation: Any) -> bool:
        """Fits what belongs to the validation split, a temperature say, on the best weights.

        Called when training ends, and again when a finished run is resumed: it starts from the
        same point each time, never from what an earlier call has left. Returns whether anything
        changed.
        """
        return False

    def rows(self, predictions: Predictions, dataset: Any, *, explain: int = 0) -> list[Row]:
        """Turns predictions into one readable row an example; ``explain`` asks for reasons."""
        return [{"index": int(i)} for i in predictions["index"]]

    def figures(self, collected: Predictions, dataset: Any, folder: Path) -> Sequence[Path]:
        """Draws pictures of a whole evaluated split into ``folder``; returns their paths."""
        return []

    # -- what predict.py, export.py and listening ask; the defaults are for tasks without it -----

    card: Any = None
    """What a model card says of every model of the task (`marketorch.tasks.card.TaskCard`)."""
    classes: Sequence[str] = ()
    """Names of the classes, by which rows can be ranked."""
    rank_by: str | None = None
    """The class or the column of numbers that rows are ranked by unless another is named."""
    explanation: str | None = None
    """The column of a row that holds what ``explain`` asks for: dicts, each with a ``weight``."""
    compares: bool = False
    """Whether rows have a ``label`` and ``p_…`` columns, so that a second run can answer too."""
    summarises: bool = False
    """Whether the task has a `summary`."""

    def summary(self, rows: Sequence[Row]) -> list[Row]:
        """A table of what all ``rows`` hold together, such as how often each class is in them."""
        return []

    def first(self, rows: Sequence[Row], number: int) -> list[Row]:
        """The best ``number`` of ranked rows."""
        return list(rows[:number])

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """Rows as a flat table, for the terminal, CSV and Parquet."""
        return list(rows)

    def check_readable(self, dataset: Any, where: str) -> None:
        """Raises ConfigError, which begins with ``where``, if the model cannot read a data set."""

    def answers_about(self, source: Any) -> str | None:
        """What of a post it answers about: ``text``, ``photo``, ``face`` or ``brands``; or nothing.

        Args:
            source: where the data of the run come from.
        """
        return None

    def export(self, source: Any) -> Any:
        """The function that is exported, a `marketorch.tasks.exports.ExportedFunction`.

        Raises:
            ConfigError: there is none for this task, or for its model.
        """
        model = type(getattr(self, "model", None)).__name__
        raise ConfigError(f"{type(self).__name__} by {model} has no exported function.")


def prepare(task: Task, train: Any) -> None:
    """Calls ``task.prepare`` on rank 0 and gives every rank its result."""
    _on_main_rank(task, task.prepare, train)


def refresh(task: Task, train: Any) -> None:
    """Calls ``task.refresh`` on rank 0, if the task wants it, and gives every rank its result."""
    if task.refreshes:
        _on_main_rank(task, task.refresh, train)


def _on_main_rank(task: Task, change: Callable[[Any], None], train: Any) -> None:
    if distributed.is_main():
        change(train)
    task.load_state_dict(distributed.broadcast(task.state_dict()))


def check_not_empty(dataset: Dataset, split: str) -> None:
    """Raises DataError, with the split's name, if a data set has no examples."""
    if len(dataset) == 0:
        raise DataError(f"The {split} split is empty: it has no examples.")
