"""The embedded customers as a data source: no files, no network, what is reachable known."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from marketorch.data.reading import some
from marketorch.data.synthetic.customers import Customers, make_customers
from marketorch.data.synthetic.generated import GeneratedSplits
from marketorch.data.tables.dataset import CustomerDataset
from marketorch.data.tables.source import CustomerData
from marketorch.errors import DataError
from marketorch.metrics.uplift_curves import areas, count


class SyntheticCustomers(GeneratedSplits, CustomerData):
    """Splits of `make_customers`; each is a range of its own of one endless sequence.

    Args:
        num_train, num_validation, num_test: sizes of the splits.
        prevalence: share of customers who leave, down to one in a thousand.
        strength: how much the table tells of who leaves; 2 squares the odds of 1.
        treatment: whether a half, drawn by lot, has had an offer; ``stayed`` is then positive,
            and what the offer adds to each chance is known (``truth(split).uplift``).
        seed: of the sequence.
    """

    def __init__(
        self,
        *,
        num_train: int = 20_000,
        num_validation: int = 5_000,
        num_test: int = 5_000,
        prevalence: float = 0.2,
        strength: float = 1.0,
        treatment: bool = False,
        seed: int = 0,
    ) -> None:
        if not 0 < prevalence < 1:
            raise DataError(f"data.prevalence is {prevalence}; expected a share between 0 and 1.")
        super().__init__(
            path="the synthetic customers",
            target="stayed" if treatment else "churned",
            ids="customer",
            treatment="offer" if treatment else None,
        )
        self.sizes = {"train": num_train, "validation": num_validation, "test": num_test}
        self.prevalence, self.strength = prevalence, strength
        self.offer, self.seed = treatment, seed

    @cached_property
    def schema(self) -> dict[str, Any]:
        """What `CustomerData` tells, and what knowing the true chances reaches."""
        reached = {name: reachable(self.truth(name)) for name, size in self.sizes.items() if size}
        schema = super().schema | {"best_reachable": reached}
        if self.offer:
            schema["mean_uplift"] = {name: float(self._uplift(name).mean()) for name in reached}
        return schema

    def fingerprint(self) -> str:
        """The generator's arguments say it all."""
        number = self.sizes["train"]
        drawn = f"{self.seed}-{self.prevalence}-{self.strength}-{self.offer}"
        return f"synthetic_customers-{drawn}-{number}"

    def _uplift(self, name: str) -> np.ndarray:
        uplift = self.truth(name).uplift
        assert uplift is not None
        return uplift

    def truth(self, name: str) -> Customers:
        """A split with the chance and the uplift of each row. DataError if it has no rows."""
        if not self.sizes.get(name):
            found = [name for name, size in self.sizes.items() if size]
            raise DataError(f"The data have no {name} split (found: {some(found)}).")
        truth: Customers = self.generated(name)
        return truth

    def generate(self, places: range) -> Customers:
        """Customers with their chances."""
        return make_customers(
            places,
            seed=self.seed,
            prevalence=self.prevalence,
            strength=self.strength,
            offer=self.offer,
        )

    def part(self, name: str) -> CustomerDataset:
        """The rows of a split."""
        table = self.truth(name).table
        return self._dataset(table, [(f"{self.paths[0]} ({name})", 0)], table.column_names)


def reachable(customers: Customers) -> dict[str, float]:
    """The metrics of the true chances on these customers; rankings need both classes."""
    # Seconds, which a customer who only reads the columns does not cost.
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    labels, chances = customers.labels, customers.probability
    metrics = {
        "log_loss": float(log_loss(labels, chances, labels=[False, True])),
        "brier": float(2 * np.square(chances - labels).mean()),
    }
    if 0 < labels.sum() < len(labels):
        metrics["auroc"] = float(roc_auc_score(labels, chances))
        metrics["auprc"] = float(average_precision_score(labels, chances))
    if customers.uplift is not None:
        offered = np.asarray(customers.table["offer"].cast("string")) == "yes"
        given, chosen = offered.astype(np.int64), np.ones(len(labels), np.int64)
        ranked = areas(count(customers.uplift, given, labels, chosen, 1))
        metrics |= {name: float(ranked[name]) for name in ("qini", "auuc")}
    return metrics
