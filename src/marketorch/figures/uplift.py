"""Pictures of a list ranked by uplift: what its top gains, and what each tenth of it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marketorch.figures.plots import ACCENT, INK, QUIET, blank, save
from marketorch.metrics import uplift_curves as gain_curves

TENTHS = 10


def qini_curve(counts: np.ndarray, name: str, resamples: int, folder: Path) -> Path:
    """The gain of contacting the first so many, with the band of the bootstrap.

    Args:
        counts: of the list, see `gain_curves.count`.
        name: what customers are to do.
    """
    share, gain = gain_curves.gain(counts)
    shares = np.linspace(0, 1, 101)
    low, high = gain_curves.band(counts, shares, resamples)
    found = gain_curves.areas(counts)
    figure = blank(5.6, 4.0)
    axes = figure.subplots()
    axes.fill_between(shares, 100 * low, 100 * high, color=QUIET, alpha=0.6, label="95 %")
    axes.plot([0, 1], [0, 100 * gain[-1]], color=INK, linewidth=1, linestyle=":", label="any order")
    axes.plot(share, 100 * gain, color=ACCENT, label="this list")
    axes.axhline(100 * gain[-1], color=QUIET, linewidth=1)
    axes.set(
        xlabel="share contacted (the line across: everybody)",
        ylabel=f"{name}: gained by 100 customers",
        title=f"Qini {found['qini']:.3f}, AUUC {found['auuc']:.4f}",
    )
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return save(figure, folder / "qini.png")


def by_tenth(
    effects: np.ndarray, treatment: np.ndarray, labels: np.ndarray, resamples: int, folder: Path
) -> Path:
    """The effect in each tenth of the list, with 95 % of the bootstrap, and what was predicted.

    Args:
        effects: predicted ``(N, A)``.
        treatment, labels: what was given, and what happened ``(N,)``.
    """
    best, chosen = effects.max(1), effects.argmax(1) + 1
    tenth = np.empty(len(best), np.int64)
    tenth[np.argsort(-best, kind="stable")] = np.arange(len(best)) * TENTHS // len(best)
    counts = gain_curves.count(-tenth, treatment, labels, chosen, effects.shape[1])
    found = 100 * gain_curves.effects(counts)
    drawn = 100 * gain_curves.effects(gain_curves.resampled(counts, resamples))
    low, high = np.nanquantile(drawn, gain_curves.COVERED, axis=0)
    predicted = 100 * np.bincount(tenth, best) / np.bincount(tenth)
    places = np.unique(tenth) + 1
    figure = blank(5.6, 4.0)
    axes = figure.subplots()
    axes.bar(places, found, color=QUIET, width=0.75, label="happened, and 95 %")
    axes.errorbar(places, found, [found - low, high - found], fmt="none", ecolor=INK, capsize=2)
    axes.plot(places, predicted, "o", color=ACCENT, label="predicted")
    axes.axhline(0, color=INK, linewidth=1)
    axes.set(
        xlabel="tenth of the list",
        ylabel="effect on 100 customers",
        title="Effect by tenth, the greatest predicted first",
    )
    axes.set_xticks(places)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return save(figure, folder / "uplift.png")
