"""Listens: python scripts/listen.py logo=RUN emotion=RUN sentiment=RUN input=FOLDER|CSV|PHOTO.

Any of ``logo``, ``emotion``, ``smile``, ``scene`` and ``sentiment`` name runs; what has none is not
asked. ``output=posts.parquet`` writes a record a post: brands, faces, scene, sentiment and why. The
same command goes on where it was cut short. ``report=FOLDER`` turns that file into a page with its
tables; without ``input``, a file that is there already.

A CSV has its columns ``image``, ``text``, ``id``, ``time`` and ``author``, or ``image=NAME`` and so
on say what they are called; its photos lie beside it, or in ``images=FOLDER``. ``explain=N`` names
the N words that told. Without ``output`` the record of one PHOTO is printed as JSON, with
``caption=TEXT`` if it has one, or that of a caption alone.
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.errors import ConfigError, guard

OPTIONS = ("images", "input", "output", "report", "caption", "explain")


def listen(values: dict[str, str]) -> None:
    """Writes the records of many posts, or prints that of one."""
    from marketorch.listening import Listener, analyse_folder, to_json
    from marketorch.listening.listener import KINDS
    from marketorch.listening.posts import COLUMNS, is_one_photo

    runs = {name: values[name] for name in KINDS if name in values}
    listener = Listener.load(**runs, explain=whole_number("explain", values.get("explain", "3")))
    source, output = values.get("input"), values.get("output")
    if source and output:
        columns = {name: values[name] for name in COLUMNS if name in values}
        analyse_folder(listener, source, output, columns=columns, images=values.get("images"))
    elif source and not is_one_photo(source):
        raise ConfigError(f"output=posts.parquet is missing: {source} may hold many posts.")
    else:
        print(to_json(listener.analyse(source, values.get("caption"))))


def main(arguments: list[str]) -> None:
    """Listens to what ``input`` or ``caption`` names, and reports on what ``output`` holds."""
    from marketorch.listening import brand_report  # with torch, which --help does not need
    from marketorch.listening.listener import KINDS
    from marketorch.listening.posts import COLUMNS

    values: dict[str, str] = {}
    for name in (*KINDS, *COLUMNS, *OPTIONS):
        value, arguments = split_option(arguments, name)
        values |= {} if value is None else {name: value}
    if arguments or not values.keys() & {"input", "caption", "report"}:
        wrong = f"{arguments[0]}: unknown option" if arguments else "input=… is missing"
        raise ConfigError(f"{wrong}. {__doc__}")
    if "report" in values and "output" not in values:
        raise ConfigError("report=…: of which file? Name it: output=posts.parquet.")
    if values.keys() & {"input", "caption"}:
        listen(values)
    if "report" in values:
        brand_report(values["output"], values["report"])


if __name__ == "__main__":
    with guard("the same command goes on after the last whole part"):
        main(arguments_or_help(__doc__))
