"""The options of the scripts that take key=value alone."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console

from marketorch import command_line
from marketorch import console as console_module
from marketorch.errors import ConfigError


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_a_script_prints_its_usage(flag: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", flag])
    with pytest.raises(SystemExit) as caught:
        command_line.arguments_or_help("Measures a run.")
    assert caught.value.code == 0
    assert capsys.readouterr().out == "Measures a run.\n"


def test_options_of_a_script_are_split_off() -> None:
    arguments = ["run=a", "split=test", "seed=1", "run=b"]
    assert command_line.split_option(arguments, "run") == ("b", ["split=test", "seed=1"])
    assert command_line.split_option(arguments, "input") == (None, arguments)


def test_numbers_and_switches_are_read_or_refused() -> None:
    assert command_line.whole_number("top", "12") == 12
    assert command_line.yes_or_no("baselines", "False") is False
    with pytest.raises(ConfigError, match=r"top=-1: expected a whole number"):
        command_line.whole_number("top", "-1")
    with pytest.raises(ConfigError, match=r"baselines=maybe: expected true or false"):
        command_line.yes_or_no("baselines", "maybe")


def test_a_flag_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--split", "run=x"])
    with pytest.raises(ConfigError, match="Unknown flag --split; options are written key=value"):
        command_line.arguments_or_help("")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_half_a_character_of_a_name_is_printed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """And what is printed after it, which the console had kept together with it."""
    stream = io.BytesIO()
    screen = io.TextIOWrapper(stream, encoding=encoding)
    monkeypatch.setattr(console_module, "console", Console(file=screen, width=200))
    console_module.say("bad \ud800.png → skipped")
    console_module.table("\ud800", ["name"], [["\udfff"]])
    screen.flush()
    lines = stream.getvalue().decode(encoding).splitlines()
    arrow = "→" if encoding == "utf-8" else "\\u2192"
    assert lines[0] == f"bad \\ud800.png {arrow} skipped"
    assert any("\\udfff" in line for line in lines)
