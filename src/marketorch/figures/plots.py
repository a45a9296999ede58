"""Pictures of results that more than one task draws. Every function writes one PNG.

matplotlib is imported by `blank`, when the first of them is drawn: training draws none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, ACCENT, QUIET = "#1f2933", "#2f6f8f", "#c7d3da"


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure; without pyplot, so a notebook's own figures are left alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    return path


def confusion(probabilities: Tensor, labels: Tensor, classes: Sequence[str], folder: Path) -> Path:
    """Row-normalised confusion matrix with counts, from ``(N, C)`` and ``(N,)``."""
    number = len(classes)
    flat = labels * number + probabilities.argmax(1)
    counts = torch.bincount(flat, minlength=number * number).reshape(number, number)
    share = counts / counts.sum(1, keepdim=True).clamp_min(1)
    side = 2.2 + 0.9 * number
    figure = blank(side, side)
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(number):
        for col in range(number):
            axes.text(
                col,
                row,
                f"{share[row, col]:.1%}\n{counts[row, col]:,}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if share[row, col] > 0.55 else INK,
            )
    axes.set_xticks(range(number), classes, rotation=30, ha="right")
    axes.set_yticks(range(number), classes)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion (share of the true class)")
    return save(figure, folder / "confusion.png")


def reliability(probabilities: Tensor, labels: Tensor, folder: Path, bins: int = 10) -> Path:
    """How often predictions of a given confidence are right, and how many there are.

    Args:
        probabilities, labels: of the examples ``(N, C)`` and ``(N,)``.
    """
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).float()
    place = (confidence * bins).long().clamp(0, bins - 1)
    counts = torch.bincount(place, minlength=bins)
    accuracy = torch.bincount(place, right, minlength=bins) / counts.clamp_min(1)
    mean = torch.bincount(place, confidence, minlength=bins) / counts.clamp_min(1)
    error = float(((accuracy - mean).abs() * counts).sum() / counts.sum())
    figure = blank(4.6, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    used = counts > 0
    top.plot([0, 1], [0, 1], color=QUIET, linewidth=1.5)
    top.plot(mean[used], accuracy[used], "o-", color=ACCENT)
    top.set(
        ylabel="share right", ylim=(0, 1.02), title=f"Reliability ({bins} bins, error {error:.3f})"
    )
    bottom.bar((torch.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color=ACCENT)
    start = 1 / probabilities.shape[1]
    bottom.set(xlabel="confidence", ylabel="examples", xlim=(start - 0.05, 1.02))
    return save(figure, folder / "reliability.png")


def share_by_group(
    found: Tensor, groups: Mapping[str, Tensor], name: str, folder: Path, number: int = 5
) -> Path:
    """Mean of ``found (N,)`` in groups of about equal size, a panel for each of ``groups``.

    Args:
        groups: what to group by ``(N,)``, by its name.
        name: what the mean is called.
        number: of groups; fewer where many values are equal.
    """
    figure = blank(4.2 * len(groups), 3.4)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(panels, groups.items(), strict=True):
        edges = np.unique(np.quantile(values.numpy(), np.linspace(0, 1, number + 1)))
        inner = torch.from_numpy(edges[1:-1] if len(edges) > 2 else edges[:0])
        place = torch.bucketize(values.double(), inner, right=True)
        counts = torch.bincount(place, minlength=len(inner) + 1)
        means = torch.bincount(place, found, minlength=len(inner) + 1) / counts.clamp_min(1)
        axes.bar(range(len(counts)), means, color=ACCENT, width=0.75)
        axes.axhline(float(found.mean()), color=INK, linewidth=1, linestyle=":")
        for position, (mean, count) in enumerate(zip(means, counts, strict=True)):
            axes.text(position, mean, f"{count:,}", ha="center", va="bottom", fontsize=8, color=INK)
        lows = [values[place == i].min() if counts[i] else 0 for i in range(len(counts))]
        axes.set_xticks(range(len(counts)), [f"{int(low):,}+" for low in lows])
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"share of {name}\n(dotted: of all)")
    figure.suptitle("What is found (above each bar: how many there are)", fontsize=11)
    figure.tight_layout()
    return save(figure, folder / "found.png")


def gallery(
    images: Sequence[Tensor],
    titles: Sequence[str],
    title: str,
    path: Path,
    *,
    overlays: Sequence[Tensor] | None = None,
    columns: int = 8,
) -> Path:
    """Images ``(C, S, S)`` uint8 side by side, each under its title.

    Args:
        overlays: maps ``(S, S)`` laid over the images, red where positive and blue where negative.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    figure = blank(1.5 * columns, 1.75 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for place, (axes, image, name) in enumerate(zip(panels, images, titles, strict=False)):
        axes.imshow(image.permute(1, 2, 0).squeeze(-1), cmap="gray", vmin=0, vmax=255)
        if overlays is not None:
            overlay = overlays[place]
            reach = float(overlay.abs().max().clamp_min(1e-6))
            axes.imshow(overlay, cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.45)
        axes.set_title(name, fontsize=8, color=INK)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    return save(figure, path)
