"""The page of a report: one file that needs no other, and in which nothing can run.

What people write is hostile until proved otherwise. Jinja escapes all of it, there are no scripts,
and the page forbids its browser to load anything: its pictures are in it. Text whose direction is
not known is kept to itself, so that it cannot turn its surroundings around.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent


def page(**content: Any) -> str:
    """The page as HTML.

    Args:
        content: what the template page.html names; a missing name is an error.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell
    template, style = ((FOLDER / f"page.{kind}").read_text("utf-8") for kind in ("html", "css"))
    # The style is this folder's own; everything else is escaped.
    return environment.from_string(template).render(style=Markup(style), **content)


def cell(value: Any, key: str = "") -> str:
    """What stands in a cell of a table: shares in per cent, a tone with its sign."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        if key in ("tone", "low", "high"):
            return f"{value:+.2f}".replace("-", "−")
        if key.startswith("mean_"):
            return f"{value:,.2f}".replace("-", "−")
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
