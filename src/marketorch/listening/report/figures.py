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

from marketorch.figures.plots import ACCENT, INK, QUIET, blank, save
from marketorch.listening.report.tables import ALL, BAD, GOOD

SHOWN = 10  # brands, and scenes, in a panel
LINES = 5  # brands over time
STEADY = 6  # periods from which on lines of means are steadied
TICKS = 8  # periods that are named
LONGEST = 22  # letters of a name
OVER_TIME = "over_time_"  # what the keys of panels of lines begin with
TITLES = {"posts": "Posts", "share_of_voice": "Share of voice", "tone": "Tone of captions"}
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
    smiles: pd.DataFrame,
    over_time: pd.DataFrame,
    scenes: pd.DataFrame,
) -> list[Panel]:
    """The panels of the questions that these tables answer, see `tables`."""
    found = []
    if len(voices):
        found.append(Panel("voices", "Share of voice", partial(share_of_voice, voices)))
    if len(sentiment):
        draw = partial(stacked_by_brand, sentiment, "captions")
        found.append(Panel("sentiment", "What captions say, by brand", draw))
    if len(emotions):
        draw = partial(shares_by_brand, emotions, "faces")
        found.append(Panel("emotions", "How faces near a brand look", draw))
    if len(smiles):
        draw = partial(stacked_by_brand, smiles, "faces")
        found.append(Panel("smiles", "How smiles near a brand look", draw))
    for column in columns_over_time(over_time):
        draw = partial(lines_over_time, over_time, column)
        found.append(Panel(OVER_TIME + column, f"{_title(column)} over time", draw))
    if len(scenes):
        found.append(Panel("scenes", "Where brands are seen", partial(brand_settings, scenes)))
    return found


def columns_over_time(table: pd.DataFrame) -> list[str]:
    """The columns of `tables.over_time` that are drawn as lines, if there are two periods.

    Of the scores of faces it is the first, of the emotions the one that tells most.
    """
    if table["period"].nunique() < 2:
        return []
    columns = ["posts"] if table["brand"].nunique() < 2 else ["posts", "share_of_voice"]
    columns += ["tone", *[name for name in table.columns if name.startswith("mean_")][:1]]
    columns += most_telling(table[table["brand"].isin(_most_frequent(table))])
    return [name for name in columns if table[name].notna().any()]


def most_telling(table: pd.DataFrame) -> list[str]:
    """The column of the emotion whose share differs most between brands and periods, if any.

    That is by the standard deviation over the faces, each with the share of its brand and period.
    """
    values = table[[name for name in table.columns if name.startswith("p_")]].fillna(0.0)
    if values.empty or not table["faces"].sum():
        return []
    weights = table["faces"] / table["faces"].sum()
    means = values.mul(weights, axis=0).sum()
    return [str((values - means).pow(2).mul(weights, axis=0).sum().idxmax())]


def printable(name: Any, longest: int = LONGEST) -> str:
    """A name as matplotlib can write it: not too long, and no dollar begins a formula."""
    text = " ".join(str(name).split())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
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
    _in_per_cent(axes.xaxis)
    axes.set_xlabel("share (number: posts)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def stacked_by_brand(table: pd.DataFrame, counted: str, axes: Any) -> None:
    """Mean probabilities as a stacked bar a brand, with the number of what was ``counted``."""
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
    names = zip(table["brand"], table[counted], strict=True)
    _named_rows(axes, rows, [f"{printable(name)} ({count:,})" for name, count in names])
    axes.set(xlim=(0, 1), xlabel=f"mean probability (in brackets: {counted})")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend_above(axes, len(_labels(table)))


def shares_by_brand(table: pd.DataFrame, counted: str, axes: Any) -> None:
    """Mean probabilities as a grid of a row a brand, with the number of what was ``counted``."""
    table = _shown(table)
    labels = _labels(table)
    values = table[[f"p_{label}" for label in labels]].fillna(0.0).to_numpy()
    names = zip(table["brand"], table[counted], strict=True)
    _grid(axes, values, [f"{printable(name)} ({count:,})" for name, count in names], labels)


def brand_settings(table: pd.DataFrame, axes: Any) -> None:
    """In which scenes each brand is seen, as shares of its posts."""
    grid = table.pivot(index="brand", columns="scene", values="posts").fillna(0)
    brands = grid.sum(axis=1).nlargest(SHOWN).index
    where = grid.sum().nlargest(SHOWN).index
    counts = grid.loc[brands].sum(axis=1)
    values = grid.loc[brands, where].div(counts, axis=0).to_numpy()
    names = [f"{printable(name)} ({count:,.0f})" for name, count in counts.items()]
    _grid(axes, values, names, list(where))


def lines_over_time(table: pd.DataFrame, column: str, axes: Any) -> None:
    """A column of `tables.over_time` of the brands with the most posts.

    The more there is in a period, the larger its dot. Where there are enough periods for it, lines
    of means are those of three periods each, as means of a few posts jump about.
    """
    brands, periods = _most_frequent(table), sorted(table["period"].unique())
    counts = column in ("posts", "share_of_voice")  # nothing seen is none; nothing said is not zero
    for colour, brand in zip(COLOURS, brands, strict=False):
        own = table[table["brand"] == brand].set_index("period").reindex(periods)
        values = own[column].fillna(0) if counts else own[column]
        number = own["posts" if counts or column == "tone" else "faces"].where(values.notna(), 0)
        line = values if counts or len(periods) < STEADY else steadied(values, number)
        axes.plot(periods, line.interpolate(limit_area="inside"), color=colour, linewidth=1.8)
        sizes = 12 + 60 * number.fillna(0) / max(1, table["posts"].max())
        axes.scatter(periods, values, sizes, color=colour, label=printable(brand), alpha=0.75)
    shown = periods[:: -(-len(periods) // TICKS)]
    months = all(start.day == 1 for start in periods)
    axes.set_xticks(shown, [f"{day:%b %Y}" if months else f"{day.day} {day:%b}" for day in shown])
    _scaled(axes, column)
    _legend_above(axes, len(brands))


def steadied(values: pd.Series, counts: pd.Series) -> pd.Series:
    """The mean of each period and its neighbours, each weighed by what there is in it."""
    sums = pd.DataFrame({"all": (values * counts).fillna(0), "number": counts.fillna(0)})
    sums = sums.rolling(3, center=True, min_periods=1).sum()
    return sums["all"] / sums["number"].where(sums["number"] > 0)


def _in_per_cent(axis: Any) -> None:
    """Names shares on an axis."""
    from matplotlib.ticker import MaxNLocator  # see `plots`

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _scaled(axes: Any, column: str) -> None:
    """The axis of what is shown over time."""
    if column == "tone":
        axes.set(ylim=(-1.08, 1.08), ylabel="mean tone (−1 to 1)")
    elif column.startswith("mean_"):
        axes.set_ylabel(f"mean {printable(column[5:])}")
    else:
        axes.set_ylabel("posts" if column == "posts" else "share")
        axes.set_ylim(bottom=-0.03 * axes.get_ylim()[1])
    if column == "posts":
        from matplotlib.ticker import MaxNLocator

        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    elif axes.get_ylabel() == "share":
        _in_per_cent(axes.yaxis)
    elif axes.get_ylim()[0] < 0:
        axes.axhline(0, color=QUIET, linewidth=1, zorder=0)


def _most_frequent(table: pd.DataFrame) -> list[str]:
    """The brands with the most posts, as many as there may be lines."""
    totals = table.groupby("brand")["posts"].sum()
    return list(totals.sort_values(ascending=False, kind="stable").head(LINES).index)


def _title(column: str) -> str:
    """What a column over time is called."""
    if column.startswith("mean_"):
        return f"Mean {printable(column[5:])} of faces"
    return TITLES.get(column, f"Faces that look “{printable(column[2:])}”")


def _grid(axes: Any, values: np.ndarray, rows: Sequence[str], columns: Sequence[Any]) -> None:
    top = max(0.6, values.max())
    axes.imshow(values, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if value >= 0.005:
            colour = "white" if value > 0.55 * top else INK
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
    known = dict.fromkeys((*GOOD, "genuine"), ACCENT) | dict.fromkeys(BAD, ORANGE)
    known |= dict.fromkeys(("neutral", "posed"), QUIET)
    return known.get(label.casefold(), COLOURS[number % len(COLOURS)])


# -- files ------------------------------------------------------------------------------------


def picture(panel: Panel) -> bytes:
    """A panel by itself, as a PNG."""
    figure = blank(*SIZE)
    axes = figure.subplots()
    _draw_panel(axes, panel)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=130, bbox_inches="tight")
    return stream.getvalue()


def overview(found: Sequence[Panel], title: str, path: Path) -> Path:
    """All panels on one sheet; it says so if there is none."""
    columns = min(3 if len(found) < 10 else 4, max(1, len(found)))
    rows = max(1, -(-len(found) // columns))
    figure = blank(SIZE[0] * columns, SIZE[1] * rows + 0.6)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places[len(found) :]:
        axes.axis("off")
    for axes, panel in zip(places, found, strict=False):
        _draw_panel(axes, panel)
        above = axes.get_legend() is not None and panel.key != "voices"  # of the axes, see there
        axes.set_title(panel.title, fontsize=11, color=INK, loc="left", pad=22 if above else 8)
    if not found:
        places[0].text(0.5, 0.5, "Nothing was found in these posts.", ha="center", color=INK)
    figure.suptitle(printable(title, 80), fontsize=14, color=INK)
    figure.tight_layout(h_pad=2.0, w_pad=2.0)
    return save(figure, path)


def _draw_panel(axes: Any, panel: Panel) -> None:
    panel.draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
