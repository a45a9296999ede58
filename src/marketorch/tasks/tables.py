"""What every task on tables of customers shares: how they are read, fitted and explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.encoding import EncodedCustomers, TableEncoder
from marketorch.engine.task import Batch, Predictions, Row, Task
from marketorch.explain.columns import LogOdds, ablate_columns, rank_columns
from marketorch.tasks.card import PERSONAL_DATA, TaskCard

CARD = TaskCard(
    "tabular-classification",
    "tells how likely each customer is to do something, and ranks them by it",
    "Choosing in which order to call, write to or look after customers, with a person who answers "
    "for it, and on customers like those it was trained on. `reasons` name the columns that count.",
    (
        "Denying anybody a service, a price, credit, insurance, a home or work by it alone.",
        "Saying why people do something, or what a call or a discount would change: for that, "
        "customers have to be drawn by lot (`task=uplift`).",
        "Other customers, years or offers than those it learnt from, unless it is measured on "
        "them.",
    ),
    "No row of the table is in the files, but these are: the levels that at least "
    "`data.min_count` customers share, and up to 512 values of each number, the smallest and the "
    "largest among them. If these are confidential, so are the files.",
    '"customers.csv"',
    PERSONAL_DATA,
)


class CustomerTask(Task):
    """Base of the tasks on tables; ``model`` may have ``fit(train)`` for what has a closed form.

    Attributes:
        encoder: turns tables into what the model reads.
        model: the model.
        value: what a customer who is contacted rightly brings; None: no profit is counted.
        cost: of contacting a customer, in the same unit.
    """

    card = CARD
    explanation = "reasons"
    encoder: TableEncoder
    model: Any
    value: float | None
    cost: float

    def prepare(self, train: CustomerDataset) -> None:
        """Measures the columns of training customers; fits what has a closed form."""
        self.encoder.fit(train)
        if hasattr(self.model, "fit"):
            self.model.fit(self.encode(train))

    def encode(self, dataset: CustomerDataset) -> EncodedCustomers:
        """Customers as tensors, by what ``prepare`` has measured."""
        return self.encoder.encode(dataset)

    def inputs(self, batch: Batch) -> Any:
        """Numbers ``(B, F)`` and categories ``(B, C)``."""
        return batch["numbers"], batch["categories"]

    def rows(
        self, predictions: Predictions, dataset: CustomerDataset, *, explain: int = 0
    ) -> list[Row]:
        """One row a customer: its name, what is predicted, and the ``explain`` best reasons."""
        own = zip(predictions["index"].tolist(), predictions["probabilities"].tolist(), strict=True)
        rows = [
            {"customer": dataset.ids[index]} | self.describe_prediction(shares)
            for index, shares in own
        ]
        if explain:
            every = self.reasons(dataset, rows, explain)
            rows = [row | {"reasons": reasons} for row, reasons in zip(rows, every, strict=True)]
        return rows

    def describe_prediction(self, shares: Sequence[float]) -> Row:
        """What is said of a customer with these probabilities."""
        raise NotImplementedError

    def reasons(self, dataset: CustomerDataset, rows: Sequence[Row], number: int) -> Any:
        """At most ``number`` reasons for what each of ``rows`` says."""
        raise NotImplementedError

    def strongest_columns(
        self, score: LogOdds, dataset: CustomerDataset, asked: Tensor, number: int
    ) -> list[list[dict[str, Any]]]:
        """The columns without which ``score`` changes most, of each customer.

        Args:
            score: from numbers, categories and what is asked to one number a customer ``(B,)``.
            asked: a number for each customer ``(N,)`` that ``score`` knows.
        """
        encoded = self.encode(dataset)
        found, columns = ablate_columns(
            score,
            encoded.numbers,
            encoded.categories,
            asked,
            self.encoder.typical(),
            self.encoder.sources,
        )
        columns_of = {name: dataset.column(name) for name in columns}
        return rank_columns(found, columns, lambda i, name: columns_of[name][i].as_py(), number)

    def on_device(self, numbers: Tensor, categories: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded customers where the model is."""
        device = self.encoder.lengths.device
        return numbers.to(device), categories.to(device).long()


def table_encoder(model: Callable[..., Any], schema: dict[str, Any]) -> TableEncoder:
    """The encoder of what the builder of a model reads: scaled numbers, or raw ones for trees."""
    return TableEncoder(schema["columns"], raw=reads_raw(model), ignored=schema.get("dropped", {}))


def reads_raw(model: Callable[..., Any]) -> bool:
    """Whether what a partial builds, or the model inside of it, reads numbers as they are."""
    inner = getattr(model, "keywords", {}).get("model")
    if inner is not None:
        return reads_raw(inner)
    return bool(getattr(getattr(model, "func", model), "raw", False))
