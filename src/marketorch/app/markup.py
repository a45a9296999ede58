"""What is shown, as HTML. Jinja escapes all that comes from people and from runs.

Pictures and files to keep lie in the HTML itself, as `data:` addresses, so that no file of an
answer is left for anybody to fetch.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from marketorch.listening.report.page import cell

TEMPLATES = Path(__file__).parent / "templates"
ACCENT = "#2f6f8f"  # of buttons, and in page.css of answers
STYLE = (TEMPLATES / "page.css").read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Reads the templates, and escapes what they are given."""
    found = Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["cell"] = cell
    return found


def html(name: str, **content: Any) -> str:
    """What is shown, from one of the templates and what it names; a missing name is an error."""
    shown = environment().get_template(f"{name}.html").render(**content).strip()
    return f'<div class="mo">{shown}</div>'


def data_address(kind: str, value: bytes) -> str:
    """A file as an address that holds all of it; ``kind`` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(value).decode()}"
