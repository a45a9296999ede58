"""Drawings that ask for more than to be drawn, or cost much, beyond those of test_marks.py."""

from __future__ import annotations

import pytest

from marketorch.data.scenes import marks
from marketorch.data.scenes.marks import draw_svg

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="0 0 20 20">'
)
BAR = '<path fill="#c81e1e" d="M2 8h16v4H2z"/>'
LAUGHS = "".join(
    f'<!ENTITY {n} "{f"&{m};" * 10}">' for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)
USES = "".join(
    f'<g id="g{n}">{f"""<use xlink:href="#g{n - 1}"/>""" * 10}</g>' for n in range(1, 10)
)
DRAWINGS = {
    "laughs": (f'<!DOCTYPE svg [<!ENTITY a "ha">{LAUGHS}]>{HEAD}&i;</svg>', "declares entities"),
    "file": (
        f'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>{HEAD}<title>&a;</title></svg>',
        "declares entities",
    ),
    "namespaced": (f'{HEAD}<x:script xmlns:x="a:b">1</x:script>{BAR}</svg>', "a script"),
    "uppercase": (f"{HEAD}<SCRIPT>1</SCRIPT>{BAR}</svg>", "a script"),
    "handler": (f'<svg xmlns="http://www.w3.org/2000/svg" ONLOAD="1">{BAR}</svg>', "a script"),
    "data": (f'{HEAD}<use href="data:image/svg+xml;base64,AA=="/></svg>', "outside itself"),
    "file link": (f'{HEAD}<use href="file:///etc/passwd#a"/></svg>', "outside itself"),
    "relative": (f'{HEAD}<use href="../../x.svg#a"/></svg>', "outside itself"),
    "network": (f'{HEAD}<use xlink:href="//a.b/c.svg#d"/></svg>', "outside itself"),
    "font": (f"{HEAD}<style>@font-face{{src:url(http://a.b)}}</style>{BAR}</svg>", "outside"),
    "mask": (f'{HEAD}<g style="mask:url(http://a.b#c)">{BAR}</g></svg>', "outside"),
    "cursor": (f'{HEAD}<g cursor="url(a.cur)">{BAR}</g></svg>', "outside"),
    "instruction": ('<?xml-stylesheet type="text/css" href="http://a.b"?>' + HEAD, "another file"),
    "deep": (HEAD + "<g>" * 100_000, "nested more than 100"),
    "twice": (f"{HEAD}</svg>{HEAD}</svg>", "no XML"),
}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_drawing_that_asks_for_more_is_refused(kind: str) -> None:
    text, message = DRAWINGS[kind]
    (drawn,) = draw_svg([text])
    assert isinstance(drawn, str)
    assert message in drawn


COSTLY = {
    "uses": f'{HEAD}<defs><g id="g0">{BAR}</g>{USES}</defs><use xlink:href="#g9"/></svg>',
    "circle": f'{HEAD}<g id="a"><use xlink:href="#a"/>{BAR}</g></svg>',
    "page": f'<svg xmlns="http://www.w3.org/2000/svg" width="1e12" height="1e12">{BAR}</svg>',
    "endless page": f'<svg xmlns="http://www.w3.org/2000/svg" width="1e400" height="9">{BAR}</svg>',
    "blur": f'{HEAD}<filter id="f"><feGaussianBlur stdDeviation="1e9"/></filter>'
    f'<g filter="url(#f)">{BAR}</g></svg>',
    "dashes": f'{HEAD}<path stroke="#000" stroke-dasharray=".0000001" d="M0 0h1e9"/>{BAR}</svg>',
    "escaped": f'{HEAD}<g style="fill:\\75rl(http://a.b)">{BAR}</g></svg>',
    "foreign": f'{HEAD}<foreignObject><iframe xmlns="x" a="file:///"/></foreignObject>{BAR}</svg>',
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_drawing_that_costs_much_ends_and_harms_no_other(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn or refused, within a limit; the one after it is drawn."""
    monkeypatch.setattr(marks, "SECONDS", 2.0)
    costly, other = draw_svg([COSTLY[kind], f"{HEAD}{BAR}</svg>"], side=64)
    assert not isinstance(other, str)
    assert isinstance(costly, str) or max(costly.shape) <= 8 * 64
