"""Shows the models on a page: python scripts/app.py logo=RUN sentiment=RUN recommender=RUN.

Any of ``logo``, ``emotion``, ``smile``, ``scene``, ``sentiment`` and ``recommender`` name runs;
what has none is not shown. Without any, the page shows the runs of ``make demo``. Open the address
that is printed; ``port=7860`` is another one if need be. The page answers this machine alone, loads
nothing from elsewhere, and keeps nothing of what is put in. Ctrl-C closes it.
"""

from __future__ import annotations

from marketorch.command_line import arguments_or_help, split_option, whole_number
from marketorch.errors import ConfigError, closest, guard


def main(arguments: list[str]) -> None:
    """Loads the runs and serves the page."""
    from marketorch.app.answers import Answers  # with torch, which --help does not need
    from marketorch.app.page import PORT, serve
    from marketorch.app.runs import NAMES, loaded, select_runs

    values: dict[str, str] = {}
    for name in (*NAMES, "port"):
        value, arguments = split_option(arguments, name)
        values |= {} if value is None else {name: value}
    if arguments:
        near = closest(arguments[0].partition("=")[0], (*NAMES, "port"))
        raise ConfigError(f"{arguments[0]}: unknown option.{near} {__doc__}")
    port = whole_number("port", values.pop("port", str(PORT)))
    if not 0 < port < 2**16:
        raise ConfigError(f"port={port}: expected 1 to 65535.")
    serve(Answers(loaded(select_runs(values))), port)


if __name__ == "__main__":
    with guard("the page is closed and what was uploaded is deleted"):
        main(arguments_or_help(__doc__))
