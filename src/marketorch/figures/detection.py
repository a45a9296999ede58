"""Pictures of what a detector found in a split: curve, shares, and photos with boxes drawn.

Shapes: N photos, D detections a photo (padded, label -1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from marketorch.data.boxes.dataset import BoxDataset
from marketorch.figures.plots import ACCENT, INK, QUIET, blank, save

TRUE, FALSE = "#3a9d5d", "#c0392b"
SHOWN = 12  # photos in a gallery
MOST = 20  # boxes drawn into a photo: captions of more cannot be read
TITLES = {
    "found": "Found (blue; green: annotated)",
    "false": "False alarms (red; blue: right, green: annotated)",
    "missed": "Missed (green: annotated; blue and red: detected)",
}


class Marked(NamedTuple):
    """A box of a picture, its colour and what is written at it."""

    box: Sequence[float]
    colour: str
    caption: str = ""


def precision_recall(right: Tensor, scores: Tensor, number: int, folder: Path) -> Path:
    """Precision over recall as the score from which a detection counts goes down.

    Args:
        right, scores: of all detections ``(N, D)``.
        number: boxes there are.
    """
    order = scores.flatten().argsort(descending=True)
    hits = right.flatten()[order].cumsum(0).double()
    precision = hits / torch.arange(1, len(hits) + 1)
    figure = blank(4.6, 4.2)
    axes = figure.subplots()
    axes.plot(hits / max(number, 1), precision, color=ACCENT)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title("All classes together, IoU .5", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, folder / "precision_recall.png")


def share_of_voice(there: Tensor, found: Tensor, classes: Sequence[str], folder: Path) -> Path:
    """Shares of the classes among the boxes there are and among those found ``(K,)``."""
    shares = [counts / counts.sum().clamp_min(1) for counts in (there, found)]
    order = shares[0].argsort()
    rows = torch.arange(len(classes))
    figure = blank(5.2, 1.2 + 0.24 * len(classes))
    axes = figure.subplots()
    axes.barh(rows + 0.2, shares[0][order], 0.4, color=QUIET, label="annotated")
    axes.barh(rows - 0.2, shares[1][order], 0.4, color=ACCENT, label="detected")
    axes.set_yticks(rows, [classes[i] for i in order.tolist()], fontsize=8)
    axes.set(xlabel="share of all boxes", title="Share of voice")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return save(figure, folder / "share_of_voice.png")


def galleries(
    found: Mapping[str, Any], right: Tensor, threshold: float, dataset: BoxDataset, folder: Path,
    classes: Sequence[str],
) -> list[Path]:  # fmt: skip
    """Photos with the surest right and false detections, and those with the most missed.

    Args:
        found: ``boxes (N, D, 4)``, ``scores`` and ``labels (N, D)``.
        right: whether each is ``(N, D)``.
        threshold: score from which a detection counts.
    """
    assert dataset.labels is not None
    scores, sure = found["scores"], found["scores"] >= threshold
    there = torch.tensor([len(labels) for labels in dataset.labels])
    strength = {
        "found": (scores * (right & sure)).amax(1),
        "false": (scores * (sure & ~right)).amax(1),
        "missed": (there - (right & sure).sum(1)).float(),
    }
    drawn = []
    for kind, values in strength.items():
        places = values.argsort(descending=True, stable=True)
        places = places[values[places] > 0][:SHOWN].tolist()
        if places:
            marks = [
                [Marked(box.tolist(), TRUE) for box in dataset.boxes[i]]
                + _detected(found, right, sure, i, classes)
                for i in places
            ]
            images = [dataset.images[i] for i in places]
            drawn.append(gallery(images, marks, TITLES[kind], folder / f"{kind}.png"))
    return drawn


def _detected(
    found: Mapping[str, Any], right: Tensor, sure: Tensor, place: int, classes: Sequence[str]
) -> list[Marked]:
    """The detections in one photo, the surest `MOST` of them."""
    marks = []
    order = found["scores"][place].argsort(descending=True, stable=True)
    for number in order[sure[place][order]][:MOST].tolist():
        name = classes[int(found["labels"][place, number])]
        caption = f"{name} {float(found['scores'][place, number]):.0%}"
        colour = ACCENT if right[place, number] else FALSE
        marks.append(Marked(found["boxes"][place, number].tolist(), colour, caption))
    return marks


def gallery(
    images: Sequence[Tensor], marks: Sequence[Sequence[Marked]], title: str, path: Path
) -> Path:
    """Photos ``(3, S, S)`` uint8 side by side with their boxes."""
    from matplotlib.patches import Rectangle  # see `plots`

    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure = blank(3 * columns, 3 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, image, own in zip(panels, images, marks, strict=False):
        axes.imshow(image.permute(1, 2, 0))
        for (x1, y1, x2, y2), colour, caption in own:
            corner, sides = (x1, y1), (x2 - x1, y2 - y1)
            axes.add_patch(Rectangle(corner, *sides, fill=False, color=colour, linewidth=1.8))
            if caption:
                style = {"facecolor": colour, "edgecolor": "none", "pad": 1}
                place = x1, max(y1, 8)
                axes.text(*place, caption, fontsize=7, color="white", bbox=style, clip_on=True)
    figure.suptitle(title, fontsize=11, color=INK)
    figure.tight_layout()
    return save(figure, path)
