"""Image classification: which of a few classes a picture belongs to, how surely, and where.

One task for faces, smiles, scenes and whatever else is told apart by looking. An image model maps
normalised images ``(B, C, S, S)`` to logits ``(B, K)`` and may have ``fit(train)`` for what is
learnt in closed form. Images come as bytes and are varied in batches, on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from marketorch.data.cuts import UNLABELLED, evenly_spaced
from marketorch.data.images.augmentation import Augmentation
from marketorch.data.images.dataset import DecodedImages, ImageDataset
from marketorch.engine.task import Batch, Predictions, Row, Step
from marketorch.errors import ConfigError, check_choice
from marketorch.figures import plots
from marketorch.tasks.card import TaskCard
from marketorch.tasks.classification import Classification, log_class_weights

if TYPE_CHECKING:
    from marketorch.tasks.exports import ExportedFunction

SAMPLE = 5000  # images that the mean and the spread of the pixels are taken from


CARD = TaskCard(
    "image-classification",
    "tells which of a few classes an image belongs to",
    "Sorting many pictures of the kind it was trained on, with a person who looks at what matters. "
    "The probabilities say how sure it is.",
    (
        "Identifying people, or judging them by how they look.",
        "Pictures of another kind than those it learnt from.",
    ),
    "",
    '"photo.jpg"',
)


class ImageClassification(Classification):
    """The task of every image classifier.

    Where the data hold votes of annotators and these are the labels, their shares are the targets.
    Votes beside labels are a second thing to predict while training, if ``votes`` says so: what
    people disagree on is told by them and by nothing else. Shapes: K classes, V columns of votes.

    Args:
        model: builds the model from ``num_classes`` and ``num_channels``.
        schema: the data's description: ``classes``, ``class_counts``, ``channels``, ``votes``.
        augment: arguments of `marketorch.data.images.augmentation.Augmentation`; None: none.
        label_smoothing: share of the target spread over all classes.
        balance: 0 weighs each image the same, 1 each class; probabilities are corrected for it,
            so that they stay those of the data.
        votes: weight of the loss on votes that are not the labels.
        views: what is averaged to predict: ``one``, or ``flip`` for the image and its mirror image.
        calibration: fit a temperature and a bias a class to the validation split at the end.
    """

    name = "image_classification"
    card = CARD
    log_weights: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        model: Callable[..., Any],
        schema: dict[str, Any],
        augment: dict[str, Any] | None = None,
        label_smoothing: float = 0.0,
        balance: float = 0.0,
        votes: float = 0.0,
        views: str = "one",
        calibration: bool = True,
    ) -> None:
        check_choice("task.views", views, ("one", "flip"), ConfigError)
        number, channels = len(schema["classes"]), schema.get("channels", 1)
        names = schema.get("votes", [])
        self_voted = bool(names) and len(names) == number and names == schema.get("raw_classes")
        extra = len(names) if votes and not self_voted else 0
        super().__init__(
            model=lambda: model(num_classes=number + extra, num_channels=channels),
            schema=schema,
            label_smoothing=label_smoothing,
            calibration=calibration,
        )
        self.voted, self.votes, self.views = self_voted, votes if extra else 0.0, views
        self.augment = Augmentation(**(augment or {}))
        weights = log_class_weights(schema.get("class_counts"), number, balance)
        self.register_buffer("log_weights", weights)
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    # -- data ---------------------------------------------------------------------------------

    def prepare(self, train: ImageDataset) -> None:
        """Measures mean and spread of the training pixels; fits what has a closed form."""
        places = evenly_spaced(len(train), SAMPLE)
        sample = torch.stack([train.images[i] for i in places.tolist()]).float() / 255
        self.mean = sample.mean((0, 2, 3))[:, None, None]
        self.std = sample.std((0, 2, 3))[:, None, None].clamp_min(1e-3)
        if hasattr(self.model, "fit"):
            every = torch.stack([train.images[i] for i in range(len(train))])
            self.model.fit(DecodedImages(self.normal(every.float() / 255), train.labels))
            self.log_weights.zero_()  # what is fitted so weighs each image the same

    def inputs(self, batch: Batch) -> Tensor:
        """Normalised images ``(B, C, S, S)``."""
        return self.normal(batch["images"].float() / 255)

    def normal(self, images: Tensor) -> Tensor:
        """Images ``(B, C, S, S)`` of 0 to 1, to the training split's zero mean and unit spread."""
        return (images - self.mean) / self.std

    # -- training and prediction --------------------------------------------------------------

    def forward(self, batch: Batch) -> Step:
        """Cross-entropy against labels or shares of votes; images without either count nothing."""
        targets = self.targets(batch)
        images, mixed = self.augment(batch["images"].float() / 255, targets)
        logits = self.model(self.normal(images)).float()
        number = len(self.classes)
        own, other = mixed[:, :number], mixed[:, number:]
        loss = soft_cross_entropy(
            logits[:, :number], own * self.log_weights.exp(), self.head.label_smoothing
        )
        if self.votes:
            loss = loss + self.votes * soft_cross_entropy(logits[:, number:], other, 0.0)
        own = targets[:, :number]
        right = (logits[:, :number].argmax(1) == own.argmax(1)) & (own.sum(1) > 0)
        return Step(loss, own.sum(), {"accuracy": right.sum()})

    def targets(self, batch: Batch) -> Tensor:
        """Shares of the classes ``(B, K)``, followed by those of the votes if these are learnt."""
        if self.voted and "votes" in batch:
            shares: Tensor = batch["votes"].float()
            return shares
        labels = batch["labels"]
        known = (labels != UNLABELLED)[:, None]
        hard = F.one_hot(labels.clamp_min(0), len(self.classes)).float() * known
        return torch.cat([hard, batch["votes"].float()], 1) if self.votes else hard

    def members(self, inputs: Tensor) -> Tensor:
        """Logits ``(B, 1, K)`` in fp32: the mean over the views, corrected for ``balance``."""
        views = [inputs, inputs.flip(3)] if self.views == "flip" else [inputs]
        logits = torch.stack([self.model(view).float() for view in views]).mean(0)
        return (logits[:, : len(self.classes)] - self.log_weights)[:, None]

    # -- what is shown ------------------------------------------------------------------------

    def figures(
        self, collected: Predictions, dataset: ImageDataset, folder: Path
    ) -> Sequence[Path]:
        """Confusion, reliability, the surest mistakes, and where the model looked."""
        drawn = list(super().figures(collected, dataset, folder))
        assert dataset.labels is not None
        shares, labels = collected["probabilities"].float(), dataset.labels
        sure, best = shares.max(1)
        wrong = ((best != labels) & (labels != UNLABELLED)).nonzero()[:, 0]
        wrong = wrong[sure[wrong].argsort(descending=True)][:24]
        titles = [
            f"{self.classes[best[i]]} {sure[i]:.0%}\nlabelled {self.classes[labels[i]]}"
            for i in wrong
        ]
        pictures = [dataset.images[i] for i in wrong.tolist()]
        if pictures:
            drawn.append(
                plots.gallery(pictures, titles, "The surest mistakes", folder / "mistakes.png")
            )
        drawn.append(self._looked(shares, labels, dataset, folder))
        return drawn

    def _looked(self, shares: Tensor, labels: Tensor, dataset: ImageDataset, folder: Path) -> Path:
        """For each class its surest right answers, and what they hung on."""
        best, places = shares.argmax(1), []
        for number in range(len(self.classes)):
            right = ((best == number) & (labels == number)).nonzero()[:, 0]
            places += right[shares[right, number].argsort(descending=True)][:2].tolist()
        images = (
            torch.stack([dataset.images[i] for i in places]) if places else torch.zeros(0, 1, 8, 8)
        )
        maps = self.saliency(images, best[places]) if places else images[:, 0]
        titles = [self.classes[best[i]] for i in places]
        title = "What the answer hangs on (red: covering it lowers the log-odds most)"
        return plots.gallery(
            list(images), titles, title, folder / "saliency.png", overlays=list(maps)
        )

    @torch.no_grad()
    def saliency(self, images: Tensor, labels: Tensor, patch: int = 0) -> Tensor:
        """What the log-odds of ``labels (B,)`` lose where a patch is covered ``(B, S, S)``.

        Occlusion (Zeiler & Fergus 2014) asks the model itself, whatever it is made of.

        Args:
            images: ``(B, C, S, S)`` uint8.
            patch: side of the patch in pixels; 0: a sixth of the image's.
        """
        device, side = self.mean.device, images.shape[-1]
        patch = patch or max(2, side // 6)
        inputs, labels = self.normal(images.to(device).float() / 255), labels.to(device)
        starts = sorted({*range(0, side - patch, max(1, patch // 2)), side - patch})
        whole = self._log_odds(inputs, labels)
        total = torch.zeros(len(images), side, side, device=device)
        times = torch.zeros(side, side, device=device)
        for top in starts:
            for left in starts:
                area = (..., slice(top, top + patch), slice(left, left + patch))
                covered = inputs.clone()
                covered[area] = 0.0  # the mean grey
                total[area] += (whole - self._log_odds(covered, labels))[:, None, None]
                times[area[1:]] += 1
        return (total / times).cpu()

    def _log_odds(self, inputs: Tensor, labels: Tensor) -> Tensor:
        shares = self.head.probabilities(self.members(inputs))
        return shares.gather(1, labels[:, None])[:, 0].logit(eps=1e-6)

    def rows(
        self, predictions: Predictions, dataset: ImageDataset, *, explain: int = 0
    ) -> list[Row]:
        """One row an image: its name, label, probability, all probabilities, and scores if any."""
        rows = []
        for index, shares in zip(
            predictions["index"].tolist(), predictions["probabilities"].tolist(), strict=True
        ):
            row: Row = {} if dataset.ids is None else {"image": dataset.ids[index]}
            row |= {} if dataset.about is None else dataset.about[index]
            rows.append(row | self.answer(shares) | self._scores(shares))
        return rows + list(dataset.skipped)

    def check_readable(self, dataset: Any, where: str) -> None:
        """Images have to have the channels and the side that the model was trained on."""
        images = getattr(dataset, "images", None)
        wanted = [self.schema.get("channels"), self.schema.get("size"), self.schema.get("size")]
        if isinstance(images, Tensor) and list(images.shape[1:]) != wanted:
            found = list(images.shape[1:])
            raise ConfigError(f"{where}: it reads images of {wanted}, not of {found}.")

    def answers_about(self, source: Any) -> str:
        """The faces in the photos of posts if the data are faces, else the whole photos."""
        return "photo" if getattr(source, "find_faces", "never") == "never" else "face"

    def export(self, source: Any) -> ExportedFunction:
        """Images to probabilities."""
        from marketorch.tasks.exports import ImageExport

        return ImageExport(self, source)

    def _scores(self, shares: Sequence[float]) -> Row:
        """Expected values of the numbers that the data give each class, e.g. its valence."""
        pairs = self.schema.get("scores", {}).items()
        weights = {name: [table.get(c, 0.0) for c in self.classes] for name, table in pairs}
        return {
            name: round(sum(w * p for w, p in zip(column, shares, strict=True)), 4)
            for name, column in weights.items()
        }


def soft_cross_entropy(logits: Tensor, shares: Tensor, smoothing: float) -> Tensor:
    """Sum of the cross-entropies of ``logits (B, K)`` against ``shares (B, K)``.

    Args:
        smoothing: part of each image's target that is spread evenly over the classes.
    """
    total = shares.sum(1, keepdim=True)
    targets = shares.lerp(total / shares.shape[1], smoothing) if smoothing else shares
    return -(targets * logits.log_softmax(1)).sum()
