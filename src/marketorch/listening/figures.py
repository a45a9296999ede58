"""Pictures of what posts say: a panel a question, each by itself or all on one sheet.

A panel is a function that draws into given axes. There is one for each question that the posts
answer; what nobody has listened for has none.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from marketorch.listening.tables import ALL, BAD, GOOD
from marketorch.plots import ACCENT, INK, QUIET, save

SHOWN = 10  # brands, and scenes, in a panel
LINES = 5  # brands over time
LONGEST = 22  # letters of a name
ORANGE = "#d98c3f"  # of blame; blue, of praise, is told from it by everybody
COLOURS = (ACCENT, ORANGE, "#3a9d5d", "#7d3c98", "#c0392b", "#90a4ae", "#8d6e63", "#b0a13a")
SIZE = (6.6, 4.0)  # inches of a panel by itself


class Panel(NamedTuple):
    """A picture: which question it answers, what it is called, and what draws it into axes."""

    key: str
    title: str
    draw: Callable[[Any], None]


def panels(
    voices: pd.DataFrame,
    sentiment: pd.DataFrame,
    emotions: pd.DataFrame,
    over_time: pd.DataFrame,
    scenes: pd.DataFrame,
) -> list[Panel]:
    """The panels of the questions that these tables answer, see `tables`."""
    found = []
    if len(voices):
        found.append(Panel("voices", "Share of voice", partial(share_of_voice, voices)))
    if len(sentiment):
        draw = partial(sentiment_by_brand, sentiment)
        found.append(Panel("sentiment", "What captions say, by brand", draw))
    if len(emotions):
        draw = partial(shares_by_brand, emotions, "faces")
        found.append(Panel("emotions", "How faces near a brand look", draw))
    if over_time["period"].nunique() > 1:
        draw = partial(lines_over_time, over_time, "posts")
        found.append(Panel("posts_over_time", "Posts over time", draw))
        if over_time["tone"].notna().any():
            draw = partial(lines_over_time, over_time, "tone")
            found.append(Panel("tone_over_time", "Tone over time", draw))
    if len(scenes):
        found.append(Panel("scenes", "Where brands are seen", partial(seen_where, scenes)))
    return found


def printable(name: Any) -> str:
    """A name as matplotlib can write it: not too long, and no dollar begins a formula."""
    text = " ".join(str(name).split())
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return text.replace("$", r"\$")


# -- panels -----------------------------------------------------------------------------------


def share_of_voice(voices: pd.DataFrame, axes: Any) -> None:
    """Each brand's share of all boxes, and of all the room that brands fill."""
    table = voices.head(SHOWN)[::-1]
    rows = np.arange(len(table))
    axes.barh(rows + 0.2, table["share_of_voice"], 0.4, color=ACCENT, label="of all sightings")
    axes.barh(rows - 0.2, table["share_of_area"], 0.4, color=QUIET, label="of the room they fill")
    for row, own in zip(rows, table.itertuples(), strict=True):
        axes.text(own.share_of_voice, row + 0.2, f" {own.posts:,}", va="center", fontsize=8)
    _named_rows(axes, rows, table["brand"])
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("share (number: posts)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def sentiment_by_brand(table: pd.DataFrame, axes: Any) -> None:
    """Mean probabilities of the sentiments as stacked bars."""
    table = _shown(table)[::-1]
    rows, start = np.arange(len(table)), np.zeros(len(table))
    for number, label in enumerate(_in_order(_labels(table))):
        values = table[f"p_{label}"].fillna(0.0).to_numpy()
        colour = _colour_of(label, number)
        axes.barh(rows, values, 0.7, left=start, color=colour, label=printable(label))
        for row, value, left in zip(rows, values, start, strict=True):
            if value > 0.12:
                ink = INK if colour == QUIET else "white"
                axes.text(left + value / 2, row, f"{value:.0%}", ha="center", va="center",
                          fontsize=8, color=ink)  # fmt: skip
        start = start + values
    names = zip(table["brand"], table["captions"], strict=True)
    _named_rows(axes, rows, [f"{printable(name)} ({count:,})" for name, count in names])
    axes.set(xlim=(0, 1), xlabel="mean probability (in brackets: captions)")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend_above(axes, len(_labels(table)))


def shares_by_brand(table: pd.DataFrame, counted: str, axes: Any) -> None:
    """Mean probabilities as a grid of a row a brand, with the number of what was ``counted``."""
    table = _shown(table)
    labels = _labels(table)
    values = table[[f"p_{label}" for label in labels]].fillna(0.0).to_numpy()
    names = zip(table["brand"], table[counted], strict=True)
    _grid(axes, values, [f"{printable(name)} ({count:,})" for name, count in names], labels)


def seen_where(table: pd.DataFrame, axes: Any) -> None:
    """In which scenes each brand is seen, as shares of its posts."""
    grid = table.pivot(index="brand", columns="scene", values="posts").fillna(0)
    brands = grid.sum(axis=1).nlargest(SHOWN).index
    where = grid.sum().nlargest(SHOWN).index
    counts = grid.loc[brands].sum(axis=1)
    values = grid.loc[brands, where].div(counts, axis=0).to_numpy()
    names = [f"{printable(name)} ({count:,.0f})" for name, count in counts.items()]
    _grid(axes, values, names, list(where))


def lines_over_time(table: pd.DataFrame, column: str, axes: Any) -> None:
    """Posts, or their mean tone, of the brands with the most posts."""
    totals = table.groupby("brand")["posts"].sum()
    brands = totals.sort_values(ascending=False, kind="stable").head(LINES).index
    periods = sorted(table["period"].unique())
    for colour, brand in zip(COLOURS, brands, strict=False):
        own = table[table["brand"] == brand].set_index("period")[column].reindex(periods)
        own = own.fillna(0) if column == "posts" else own.dropna()
        axes.plot(own.index, own, "o-", color=colour, markersize=4, label=printable(brand))
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if column == "tone":
        axes.axhline(0, color=QUIET, linewidth=1, zorder=0)
        axes.set(ylim=(-1.05, 1.05), ylabel="mean tone (−1 to 1)")
    else:
        axes.set(ylabel="posts")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
    _legend_above(axes, len(brands))


def _grid(axes: Any, values: np.ndarray, rows: Sequence[str], columns: Sequence[Any]) -> None:
    axes.imshow(values, cmap="Blues", vmin=0, vmax=max(0.6, values.max()), aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if value >= 0.005:
            colour = "white" if value > 0.4 else INK
            axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=8,
                      color=colour)  # fmt: skip
    axes.set_xticks(range(len(columns)), map(printable, columns), rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(labelsize=8, length=0)
    axes.spines[:].set_visible(False)


def _named_rows(axes: Any, rows: np.ndarray, names: Sequence[str]) -> None:
    axes.set_yticks(rows, map(printable, names), fontsize=8)


def _legend_above(axes: Any, number: int) -> None:
    narrow = {"borderaxespad": 0.1, "columnspacing": 1.0, "handlelength": 1.2}
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": max(1, min(number, 5))}
    axes.legend(frameon=False, fontsize=8, **place, **narrow)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first brands, and that of all."""
    brands = table[table["brand"] != ALL].head(SHOWN)
    return pd.concat([brands, table[table["brand"] == ALL]])


def _labels(table: pd.DataFrame) -> list[str]:
    return [name[2:] for name in table.columns if name.startswith("p_")]


def _in_order(labels: Sequence[str]) -> list[str]:
    """Labels from blame to praise, where they are known to be either."""
    kinds = {"bad": BAD, "good": GOOD}
    place = {name: -1 if kind == "bad" else 1 for kind, names in kinds.items() for name in names}
    return sorted(labels, key=lambda label: place.get(label.casefold(), 0))


def _colour_of(label: str, number: int) -> str:
    known = dict.fromkeys(GOOD, ACCENT) | dict.fromkeys(BAD, ORANGE) | {"neutral": QUIET}
    return known.get(label.casefold(), COLOURS[number % len(COLOURS)])


# -- files ------------------------------------------------------------------------------------


def picture(panel: Panel) -> bytes:
    """A panel by itself, as a PNG."""
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    _drawn(axes, panel)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=130, bbox_inches="tight")
    return stream.getvalue()


def overview(found: Sequence[Panel], title: str, path: Path) -> Path:
    """All panels on one sheet; it says so if there is none."""
    columns = min(3, max(1, len(found)))
    rows = max(1, -(-len(found) // columns))
    figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows + 0.6))
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places[len(found) :]:
        axes.axis("off")
    for axes, panel in zip(places, found, strict=False):
        _drawn(axes, panel)
        above = axes.get_legend() is not None and panel.key != "voices"  # of the axes, see there
        axes.set_title(panel.title, fontsize=11, color=INK, loc="left", pad=22 if above else 8)
    if not found:
        places[0].text(0.5, 0.5, "Nothing was found in these posts.", ha="center", color=INK)
    figure.suptitle(printable(title), fontsize=14, color=INK)
    figure.tight_layout(h_pad=2.0, w_pad=2.0)
    return save(figure, path)


def _drawn(axes: Any, panel: Panel) -> None:
    panel.draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
