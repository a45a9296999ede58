"""Listens: python scripts/listen.py logo=RUN emotion=RUN sentiment=RUN input=FOLDER|CSV|PHOTO.

Any ``name=RUN`` asks a run, and its answers stand under that name: a detector of brands, and
classifiers of captions, of whole photos and of the faces in them. The report is on those that are
called ``logo``, ``emotion``, ``smile``, ``scene`` and ``sentiment``.

``output=posts.parquet`` writes a record a post: brands, faces, what each run says of it and why.
The same command goes on where it was cut short. ``report=FOLDER`` turns that file into a page with
its tables; without ``input``, a file that is there already.

A CSV has its columns ``image``, ``text``, ``id``, ``time`` and ``author``, or ``image=NAME`` and so
on say what they are called; its photos lie beside it, or in ``images=FOLDER``. ``explain=N`` names
the N words that moved the answer most. Without ``output`` the record of one PHOTO is printed as
JSON, with ``caption=TEXT`` if it has one, or that of a caption alone.
"""

from __future__ import annotations

from pathlib import Path

from marketorch.command_line import arguments_or_help, options, whole_number
from marketorch.errors import ConfigError, closest, guard

OPTIONS = ("images", "input", "output", "report", "caption", "explain")


def listen(values: dict[str, str], runs: dict[str, str]) -> None:
    """Writes the records of many posts, or prints that of one."""
    from marketorch.listening import Listener, analyse_folder, to_json
    from marketorch.listening.posts import COLUMNS, is_one_photo

    listener = Listener.load(**runs, explain=whole_number("explain", values.get("explain", "3")))
    source, output = values.get("input"), values.get("output")
    if source and output:
        columns = {name: values[name] for name in COLUMNS if name in values}
        analyse_folder(listener, source, output, columns=columns, images=values.get("images"))
    elif source and not is_one_photo(source):
        raise ConfigError(f"output=posts.parquet is missing: {source} may hold many posts.")
    else:
        print(to_json(listener.analyse(source, values.get("caption"))))


def runs_of(arguments: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """The runs that the arguments name. ConfigError if one of them is neither option nor run."""
    from marketorch.runs.loading import HUB, find_run

    runs: dict[str, str] = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        if not name.isidentifier() or not (path.startswith(HUB) or Path(path or "?").exists()):
            raise ConfigError(
                f"{argument}: unknown option, and no run.{closest(name, names)} {__doc__}"
            )
        runs[name] = path
        find_run(path)
    return runs


def main(arguments: list[str]) -> None:
    """Listens to what ``input`` or ``caption`` names, and reports on what ``output`` holds."""
    from marketorch.listening import brand_report  # with torch, which --help does not need
    from marketorch.listening.posts import COLUMNS

    names = (*COLUMNS, *OPTIONS)
    values, arguments = options(names, arguments)
    if not values.keys() & {"input", "caption", "report"}:
        raise ConfigError(f"input=… is missing. {__doc__}")
    runs = runs_of(arguments, names)
    if "report" in values and "output" not in values:
        raise ConfigError("report=…: of which file? Name it: output=posts.parquet.")
    if values.keys() & {"input", "caption"}:
        listen(values, runs)
    if "report" in values:
        brand_report(values["output"], values["report"])


if __name__ == "__main__":
    with guard("the same command goes on after the last whole part"):
        main(arguments_or_help(__doc__))
