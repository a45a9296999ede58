"""Pictures of a ranked list of customers: what it gains, and what it earns."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from marketorch.figures.plots import ACCENT, INK, QUIET, blank, save
from marketorch.metrics.ranked_list import cumulative_gains, profit_curve


def gains_and_lift(scores: Tensor, hits: Tensor, name: str, folder: Path) -> Path:
    """Share of all hits in the top of the list, and the lift of each tenth of it.

    Args:
        scores, hits: of each customer ``(N,)``.
        name: the positive class.
    """
    shares = torch.linspace(0, 1, 101)
    found = cumulative_gains(scores, hits, shares)
    perfect = (shares / hits.float().mean().clamp_min(1e-12)).clamp_max(1)
    figure = blank(9.2, 3.8)
    left, right = figure.subplots(1, 2)
    left.plot(shares, perfect, color=QUIET, label="perfect")
    left.plot(shares, shares, color=QUIET, linestyle=":", label="any order")
    left.plot(shares, found, color=ACCENT, label="this list")
    left.set(xlabel="share of the list", ylabel=f"share of all {name}", title="Gain")
    left.legend(frameon=False, loc="lower right")
    lift = found[::10].diff() * 10
    right.bar(range(1, 11), lift, color=ACCENT, width=0.75)
    right.axhline(1, color=INK, linewidth=1, linestyle=":")
    for place, value in enumerate(lift.tolist(), start=1):
        right.text(place, value, f"{value:.1f}", ha="center", va="bottom", fontsize=8, color=INK)
    right.set(xlabel="tenth of the list", title=f"Lift: {name} against the mean")
    right.set_xticks(range(1, 11))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return save(figure, folder / "gains.png")


def profit(
    scores: Tensor, hits: Tensor, value: float, cost: float, threshold: float, folder: Path
) -> Path:
    """What contacting the first so many earns, and where the threshold cuts the list.

    Args:
        scores, hits: of each customer ``(N,)``.
        value, cost: of a hit and of a contact.
        threshold: the least score that is contacted, chosen on other customers.
    """
    cuts, earned = profit_curve(scores, hits, value, cost)
    ranked = scores.double().sort(descending=True).values
    contacted = torch.searchsorted(-ranked, -cuts, right=True) / len(scores)
    share = float((scores >= threshold).float().mean())
    everybody, own = float(earned[-1]), float(earned[cuts >= threshold][-1:].sum())
    figure = blank(5.6, 3.8)
    axes = figure.subplots()
    axes.plot(contacted, earned, color=ACCENT)
    axes.axvline(share, color=INK, linewidth=1, linestyle=":")
    axes.axhline(0, color=QUIET, linewidth=1)
    axes.set(
        xlabel=f"share contacted (dotted: probability from {threshold:.3g} on)",
        ylabel="profit",
        title=f"Profit: {own:,.0f} at the threshold, {everybody:,.0f} of contacting all",
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return save(figure, folder / "profit.png")
