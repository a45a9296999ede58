"""Recommendation: which items of the whole catalogue a user takes next.

A model reads histories ``items (B, L)``, says how many items it reads (``length``) and gives
scores ``(B, N + 1)`` of every item as the next one. One that is trained has ``states`` for every
position and an ``output`` layer; one that is counted has ``fit(histories)`` instead.

Ranking is over the full catalogue, without what the user has already taken. Where scores tie, an
item has the mean rank of the tie: equal scores for all items are worth what chance is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torchmetrics import MetricCollection

from marketorch.data.events import EventDataset
from marketorch.data.ragged import PAD
from marketorch.engine.metrics import MeanOfSums
from marketorch.engine.task import Batch, Predictions, Row, Step, Task
from marketorch.tasks.catalogue_loss import FullSoftmax
from marketorch.tasks.ranking import Coverage, RankMetric, mean_ranks


class HistoryDataset:
    """Histories to learn from or to continue; a batch is one index, whatever its size.

    Batches hold ``items (B, L)``, ``index (B,)`` and, to evaluate, ``seen (B, S)`` and
    ``targets (B, T)``.
    """

    def __init__(self, dataset: EventDataset, length: int) -> None:
        self.histories, self.targets = dataset.histories, dataset.targets
        self.width = length + dataset.training  # a history of L steps has L + 1 items
        self.lengths = self.histories.lengths.clamp_max(self.width)
        self.ids = dataset.ids

    def __len__(self) -> int:
        return len(self.histories)

    def __getitems__(self, indices: list[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        batch = {"index": index, "items": self.histories.pad(index, self.width)}
        if self.targets is not None:
            batch["targets"] = self.targets.pad(index)
        return batch | {"seen": self.histories.pad(index)}


class Recommendation(Task):
    """The task of every model that ranks a catalogue.

    Args:
        model: builds the model from ``num_items``.
        schema: the data's description; ``num_items`` is the size of the catalogue.
        positions: most positions of a batch that are trained on, chosen at random; the softmax
            over the catalogue is what a step costs.
        at: list lengths that are measured.
        mask_seen: never recommend what a user has taken; off where people come back to things.
    """

    main_metric = "ndcg@10"

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        positions: int = 8192,
        at: Sequence[int] = (10,),
        mask_seen: bool = True,
    ) -> None:
        super().__init__()
        self.schema, self.positions = schema, positions
        self.at, self.mask_seen = tuple(at), mask_seen
        self.main_metric = f"ndcg@{self.at[0]}"
        self.model: Any = model(num_items=schema["num_items"])
        self.loss = FullSoftmax(schema["num_items"])

    def prepare(self, train: EventDataset) -> None:
        """Counts what a model counts."""
        if hasattr(self.model, "fit"):
            self.model.fit(train)

    def encode(self, dataset: EventDataset) -> HistoryDataset:
        """Histories as the model reads them."""
        return HistoryDataset(dataset, self.model.length)

    def forward(self, batch: Batch) -> Step:
        """Cross-entropy over the catalogue at a random choice of the batch's positions."""
        positives = self.model.positives(batch).sample(self.positions)
        loss = self.loss(self.model, positives)
        return Step(loss, loss.new_tensor(float(len(positives.rows))))

    def predict(self, batch: Batch) -> Predictions:
        """The best items ``(B, k)`` with their scores, and the ranks of the targets ``(B, T)``."""
        scores = self.model(batch).float().clone()
        scores[:, PAD] = -torch.inf
        if self.mask_seen:
            scores.scatter_(1, batch["seen"], -torch.inf)
        best = scores.topk(min(max(self.at), scores.shape[1] - 1), dim=1)
        predictions = {"index": batch["index"], "items": best.indices, "scores": best.values}
        if "targets" in batch:
            predictions["ranks"] = mean_ranks(scores, batch["targets"])
        return predictions

    def metrics(self) -> MetricCollection:
        """Recall, NDCG and MRR at each list length, and the share of the catalogue shown."""
        kinds = ("recall", "ndcg", "mrr")
        metrics: dict[str, MeanOfSums | Coverage] = {
            f"{kind}@{k}": RankMetric(kind, k) for k in self.at for kind in kinds
        }
        for k in self.at:
            metrics[f"coverage@{k}"] = Coverage(self.schema["num_items"], k)
        return MetricCollection(metrics, compute_groups=False)

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds ranks and shown items of a batch."""
        for name, metric in metrics.items(keep_base=True):
            shown = predictions["items"] if name.startswith("coverage") else predictions["ranks"]
            metric.update(shown)

    def rows(
        self, predictions: Predictions, dataset: EventDataset, *, explain: int = 0
    ) -> list[Row]:
        """One row a user: what to recommend, best first, by id, title and score."""
        rows = []
        parts = [predictions[name].tolist() for name in ("index", "items", "scores")]
        for index, items, scores in zip(*parts, strict=True):
            ids = [dataset.items[number - 1] for number in items]
            row: Row = {} if dataset.ids is None else {"user": dataset.ids[index]}
            row["items"] = ids
            if dataset.titles:
                row["titles"] = [dataset.titles.get(item, "") for item in ids]
            row["scores"] = [round(score, 4) for score in scores]
            rows.append(row)
        return rows
