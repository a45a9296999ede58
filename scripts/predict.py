"""Predicts: python scripts/predict.py run=RUN_DIR input=FILE|TEXT [output=FILE] [explain=5].

``output`` is .jsonl, .csv or .parquet; without it a table is printed. ``top=N`` keeps the first N
rows, or the first N items for each user. ``rank=NAME`` sorts by the probability of a class (a
triage list), the score of its detections, or a column of numbers. ``also=RUN_DIR`` adds the answers
of a second classifier (genuine or posed smiles beside emotions, say). ``draw=FOLDER`` writes the
photos in which something was found, with what it is. ``counts=FILE`` writes how often each class
was found, in the formats of ``output``. What else a run can be asked depends on its data:
``python scripts/predict.py run=RUN_DIR --help`` says what ``input`` may be and lists its options,
such as ``contains=TEXT`` of texts and ``exclude="1 2"`` of a recommender.
Any other key=value overrides the run's config (data.text=body, say).
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, options, split_option, whole_number
from marketorch.errors import ConfigError, closest, guard

OPTIONS = ("input", "output", "explain", "rank", "also", "draw", "counts", "top")


def main(arguments: list[str]) -> None:
    """Loads the run, predicts every row and writes or shows the result."""
    # With torch, which --help does not need.
    from marketorch.runs import load_run
    from marketorch.runs.options import RunOptions, read_options
    from marketorch.runs.prediction import predict_file

    path, arguments = required("run", arguments)
    source, arguments = required("input", arguments)
    values, arguments = options(OPTIONS, arguments)
    explain = whole_number("explain", values.pop("explain", "5"))
    top = whole_number("top", values.pop("top", "0"))
    run = RunOptions(path)
    texts, arguments = options(run.of_data, arguments)
    check_overrides(arguments, [*OPTIONS, *run.of_data], list(run.config))
    own = read_options(run.source.inputs, texts)
    predict_file(
        load_run(path, arguments), source, explain=explain, top=top or None, **values, **own
    )


def required(name: str, arguments: list[str]) -> tuple[str, list[str]]:
    """Takes an option that must be there out of the arguments."""
    value, others = split_option(arguments, name)
    if not (value or "").strip():
        raise ConfigError(f"{name}=… is missing or empty. {__doc__}")
    return str(value), others


def check_overrides(arguments: list[str], known: list[str], keys: list[str]) -> None:
    """Refuses what is neither an option of the run nor a key of its config."""
    for argument in arguments:
        name = argument.partition("=")[0].lstrip("+~")
        if name.partition(".")[0] not in keys:
            raise ConfigError(
                f"{name}=…: this run has no such option and its config no such key."
                f"{closest(name, [*known, *keys])} Options: {', '.join(known)}."
            )


def run_help(arguments: list[str]) -> str:
    """What a run can be asked for, if one is named."""
    path, _ = split_option(arguments, "run")
    if not path:
        return ""
    from marketorch.runs.options import RunOptions

    return RunOptions(path).help()


if __name__ == "__main__":
    with guard():
        main(arguments_or_help(__doc__, run_help))
