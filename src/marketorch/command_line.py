"""What the scripts share: options written key=value, and their usage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from marketorch.errors import ConfigError


def arguments_or_help(usage: str, more: Callable[[list[str]], str] | None = None) -> list[str]:
    """The arguments of a script that takes ``key=value`` alone; ``--help`` prints its ``usage``.

    Args:
        more: what else is printed, by the other arguments.
    """
    arguments = sys.argv[1:]
    flags = [a for a in arguments if a.startswith("-")]
    if {"-h", "--help"} & set(flags):
        others = [a for a in arguments if a not in flags]
        print("\n\n".join(filter(None, (usage.strip(), more(others) if more else ""))))
        raise SystemExit(0)
    if flags:
        raise ConfigError(f"Unknown flag {flags[0]}; options are written key=value.")
    return arguments


def split_option(arguments: Sequence[str], key: str) -> tuple[str | None, list[str]]:
    """Takes ``key=value`` out of command-line arguments: (value or None, the others)."""
    values = [a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")]
    others = [a for a in arguments if not a.startswith(f"{key}=")]
    return (values[-1] if values else None), others


def options(names: Sequence[str], arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Takes those of the named options that are there out of the arguments."""
    values: dict[str, str] = {}
    others = list(arguments)
    for name in names:
        value, others = split_option(others, name)
        values |= {} if value is None else {name: value}
    return values, others


def whole_number(key: str, text: str) -> int:
    """Reads the value of a command-line option. ConfigError if it is no number from 0 up."""
    if not text.isdecimal():
        raise ConfigError(f"{key}={text}: expected a whole number, 0 or more.")
    return int(text)


def yes_or_no(key: str, text: str) -> bool:
    """Reads ``true`` or ``false``. ConfigError if it is neither."""
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"{key}={text}: expected true or false.")
    return text.lower() == "true"
