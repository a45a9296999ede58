"""Predicts: python scripts/predict.py run=RUN_DIR input=FILE|TEXT [output=FILE] [explain=5].

``output`` is .jsonl, .csv or .parquet; without it a table is printed. ``rank=CLASS`` sorts by that
class's probability (a triage list), ``contains=TEXT`` keeps the rows that mention TEXT, ``top=N``
keeps the first N. A recommender takes ``input="260 1196"`` (a history of items), ``input=user:42``
(a user of the log), ``input=item:260`` (what goes with an item) or an event log, and
``exclude="1 2"``, items never to recommend; ``top=N`` are then the first N items for each user.
Ids that have blanks stand between commas: ``input="red cup, blue cup"``.

Customers are ranked by what is sought of them, or by a column of numbers, ``rank=COLUMN``.

A classifier of faces takes a photo or a folder, a detector of brands a video as well (a frame every
``data.video_every`` seconds). ``draw=FOLDER`` writes the photos in which something was found, with
what it is. ``also=RUN_DIR`` adds the answers of a second classifier (genuine or posed smiles, say).
A detector counts each brand; ``counts=FILE`` writes that table, in the formats of ``output``.
Any other key=value overrides the run's config (data.text=body, say).
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.errors import ConfigError, guard

OPTIONS = ("run", "input", "output", "explain", "rank", "contains", "exclude", "also", "draw")
OPTIONS += ("counts", "top")


def main(arguments: list[str]) -> None:
    """Loads the run, predicts every row and writes or shows the result."""
    from marketorch.runs import load_run
    from marketorch.runs.prediction import predict_file  # with torch, which --help does not need

    values: dict[str, str | None] = {}
    for name in OPTIONS:
        values[name], arguments = split_option(arguments, name)
    for name in ("run", "input"):
        if not (values[name] or "").strip():
            raise ConfigError(f"{name}=… is missing or empty. {__doc__}")
    explain = whole_number("explain", values.pop("explain") or "5")
    top = whole_number("top", values.pop("top") or "0")
    predict_file(
        load_run(values.pop("run") or "", arguments),
        values.pop("input") or "",
        explain=explain,
        top=top or None,
        **values,
    )


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__))
