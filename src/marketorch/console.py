"""What is printed: lines and tables on the main rank, bars on a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from marketorch import distributed

console = Console(soft_wrap=True)


def say(message: str) -> None:
    """Prints a line on the main rank."""
    if distributed.is_main():
        console.print(printable(message), highlight=False, markup=False)


def printable(text: str) -> str:
    """The text as the console can print it: a name of a file may hold half a character."""
    encoding = console.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def progress_bar() -> Progress:
    """A bar with counts and times and, at its end, what is ``shown``."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[shown]}"),
        console=console,
        transient=True,
    )


@contextmanager
def counting(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yields what moves a bar on by a number, on a terminal; in a pipe nothing is shown."""
    if not (console.is_terminal and distributed.is_main()):
        yield lambda number: None
        return
    with progress_bar() as progress:
        bar = progress.add_task(what, total=total, completed=done, shown="")
        yield lambda number: progress.advance(bar, number)


def format_number(value: Any) -> str:
    """Four significant digits for measurements, thousands marks for counts."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Prints one readable table; numbers are right-aligned."""
    view = Table(title=printable(title), title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        view.add_column(
            printable(column), justify="left" if position == 0 else "right", overflow="fold"
        )
    for row in rows:
        view.add_row(*(printable(format_number(value)) for value in row))
    if distributed.is_main():
        console.print(view)
