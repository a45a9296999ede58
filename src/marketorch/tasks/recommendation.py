"""Recommendation: which items of the whole catalogue a user takes next.

A model (`marketorch.models.recommenders.base`) reads histories and scores every item. One that is
trained says which items its queries led to; one that is counted or solved has ``fit`` alone.

Ranking is over the full catalogue, without what the user has already taken. Where scores tie, an
item has the mean rank of the tie: equal scores for all items are worth what chance is worth. Where
the data give negatives, there are metrics of the rank among those as well, called ``sampled_…``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from marketorch.data.events.catalogue import Catalogue, Sizes
from marketorch.data.events.dataset import EventDataset
from marketorch.data.events.histories import HistoryDataset, numbered
from marketorch.data.events.requests import Requests
from marketorch.data.ragged import PAD
from marketorch.engine.task import Batch, Predictions, Row, Step, Task
from marketorch.figures import plots
from marketorch.metrics.ranks import mean_ranks, ranks_among
from marketorch.models.recommenders.base import Recommender, VectorRecommender
from marketorch.models.recommenders.sequential_transformer import SequentialTransformer
from marketorch.tasks.card import TaskCard
from marketorch.tasks.catalogue_loss import CatalogueLoss

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

    from marketorch.tasks.exports import ExportedFunction


CARD = TaskCard(
    None,
    "ranks the items of a catalogue by what somebody takes next",
    "Recommending items of this catalogue to people who can decline, from what they have taken "
    "before.",
    (
        "Saying what is good for anyone: it repeats what people took, the popular most of all.",
        "Inferring what people did not tell (health, beliefs, means) from what they take.",
        "Prices, credit or access that depend on a person's history.",
    ),
    "The ids of all items and of all users that it was trained on are in the checkpoint. Give "
    "users other ids before training if theirs tell who they are.",
)


class Recommendation(Task):
    """The task of every model that ranks a catalogue.

    Args:
        model: builds the model from ``sizes``.
        schema: the data's description, with the fields of `Sizes`.
        loss, negatives, popularity, in_batch, calibration: see `CatalogueLoss`.
        positions: most positives of a batch that are trained on, chosen at random.
        at: list lengths that are measured; ``predict`` shows the longest.
        mask_seen: never recommend what a user has taken; off where people come back to things.
    """

    main_metric = "ndcg@10"
    card = CARD

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        loss: str = "softmax",
        negatives: int = 1024,
        popularity: float = 0.0,
        in_batch: bool = False,
        calibration: float = 0.75,
        positions: int = 20_000,
        at: Sequence[int] = (10,),
        mask_seen: bool = True,
    ) -> None:
        super().__init__()
        self.schema, self.positions = schema, positions
        self.at, self.mask_seen = tuple(at), mask_seen
        self.main_metric = f"ndcg@{self.at[0]}"
        sizes = Sizes(**{name: schema[name] for name in Sizes._fields if name in schema})
        self.model: Recommender = model(sizes=sizes)
        self.loss = CatalogueLoss(
            sizes.num_items,
            loss,
            negatives=negatives,
            popularity=popularity,
            in_batch=in_batch,
            calibration=calibration,
        )
        self.catalogue: Catalogue | None = None

    def prepare(self, train: EventDataset) -> None:
        """Keeps the catalogue and counts or solves what a model counts or solves."""
        self.catalogue = train.catalogue
        self.loss.fit(train.histories)
        self.model.fit(train)

    def get_extra_state(self) -> Tensor:
        """The catalogue as bytes ``(n,)`` uint8."""
        return (self.catalogue or Catalogue([])).to_bytes()

    def set_extra_state(self, state: Tensor) -> None:
        """Reads what `get_extra_state` wrote."""
        self.catalogue = Catalogue.from_bytes(state)

    def encode(self, dataset: EventDataset | Requests) -> HistoryDataset:
        """Histories as the model reads them; requests are numbered by the catalogue."""
        if isinstance(dataset, Requests):
            assert self.catalogue is not None
            dataset = numbered(dataset, self.catalogue)
        return HistoryDataset(dataset, self.model.length)

    def forward(self, batch: Batch) -> Step:
        """The loss of what the batch teaches."""
        model = cast(VectorRecommender, self.model)
        positives = model.positives(batch).sample(self.positions)
        loss = self.loss(model, positives)
        return Step(loss, loss.new_tensor(float(len(positives.rows))))

    def predict(self, batch: Batch) -> Predictions:
        """The best items ``(B, k)`` with their scores, and the ranks of the targets ``(B, T)``."""
        similar = batch.get("similar")
        scores = self.model(batch) if similar is None else self.model.similar(similar)
        scores = scores.float().clone()
        scores[:, PAD] = -torch.inf
        ranks = {}
        if "negatives" in batch:
            ranks["sampled_ranks"] = ranks_among(scores, batch["targets"], batch["negatives"])
        if self.mask_seen or similar is not None:
            scores.scatter_(1, batch["seen"], -torch.inf)
        if "excluded" in batch:
            scores.scatter_(1, batch["excluded"], -torch.inf)
        if "targets" in batch:
            ranks["ranks"] = mean_ranks(scores, batch["targets"], max(self.at))
        best = scores.topk(min(max(self.at), scores.shape[1] - 1), dim=1)
        return {"index": batch["index"], "items": best.indices, "scores": best.values} | ranks

    def metrics(self) -> MetricCollection:
        """Recall, NDCG and MRR at each list length; which items are shown, and how popular."""
        from torchmetrics import MetricCollection

        from marketorch.metrics.recommendation import Coverage, Popularity, RankMetric

        metrics: dict[str, Any] = {}
        for k in self.at:
            for kind in ("recall", "ndcg", "mrr"):
                metrics[f"{kind}@{k}"] = RankMetric(kind, k)
                if self.schema.get("given_negatives"):
                    metrics[f"sampled_{kind}@{k}"] = RankMetric(kind, k)
            metrics[f"coverage@{k}"] = Coverage(self.schema["num_items"], k)
            share = self.loss.counts / max(1, self.schema.get("num_users", 1))
            metrics[f"popularity@{k}"] = Popularity(share, k)
        return MetricCollection(metrics, compute_groups=False)

    def update(self, metrics: MetricCollection, predictions: Predictions, batch: Batch) -> None:
        """Feeds ranks and shown items of a batch."""
        sources = {"coverage": "items", "popularity": "items", "sampled": "sampled_ranks"}
        for name, metric in metrics.items(keep_base=True):
            source = sources.get(re.split("[_@]", name)[0], "ranks")
            if source in predictions:
                metric.update(predictions[source])

    def figures(self, collected: Predictions, dataset: EventDataset, folder: Path) -> list[Path]:
        """How many targets stand in the list, by how popular they are and how much is known."""
        assert dataset.targets is not None
        found = collected["ranks"][collected["ranks"].isfinite()] <= self.at[0]
        owners = torch.repeat_interleave(torch.arange(len(dataset)), dataset.targets.lengths)
        groups = {
            "training events of the item": self.loss.counts.cpu()[dataset.targets.values],
            "items in the user's history": dataset.histories.lengths[owners],
        }
        varied = {name: values for name, values in groups.items() if len(values.unique()) > 1}
        name = f"targets found in the first {self.at[0]}"
        return [plots.share_by_group(found.float(), varied or groups, name, folder)]

    def rows(self, predictions: Predictions, dataset: Any, *, explain: int = 0) -> list[Row]:
        """One row a user: what to recommend, best first, by id, title and score."""
        assert self.catalogue is not None
        names = dataset.users if isinstance(dataset, Requests) else dataset.ids
        rows = []
        parts = [predictions[name].tolist() for name in ("index", "items", "scores")]
        for index, items, scores in zip(*parts, strict=True):
            shown = [n for n, score in zip(items, scores, strict=True) if score > -math.inf]
            row: Row = {} if names is None else {"user": names[index]}
            row["items"] = [self.catalogue.items[number - 1] for number in shown]
            if self.catalogue.titles:
                row["titles"] = [self.catalogue.titles[number - 1] for number in shown]
            row["scores"] = [round(score, 4) for score in scores[: len(shown)]]
            rows.append(row)
        return rows

    def first(self, rows: Sequence[Row], number: int) -> list[Row]:
        """The first items of each user."""
        return [
            {name: own[:number] if isinstance(own, list) else own for name, own in row.items()}
            for row in rows
        ]

    def table(self, rows: Sequence[Row]) -> list[Row]:
        """A row a recommended item instead of a row a user."""
        return [one for row in rows for one in unrolled(row)]

    def export(self, source: Any) -> ExportedFunction:
        """Histories to scores of the catalogue, of the sequential transformer."""
        from marketorch.tasks.exports import ItemExport

        if isinstance(self.model, SequentialTransformer):
            return ItemExport(self, source)
        return super().export(source)  # type: ignore[no-any-return]


def unrolled(row: Row) -> list[Row]:
    """The items of one user, a row each."""
    lists = [row[name] for name in ("items", "titles", "scores") if name in row]
    names = ["item", *(["title"] if "titles" in row else []), "score"]
    own = {name: value for name, value in row.items() if not isinstance(value, list)}
    return [
        own | {"rank": rank} | dict(zip(names, values, strict=True))
        for rank, values in enumerate(zip(*lists, strict=True), start=1)
    ]
