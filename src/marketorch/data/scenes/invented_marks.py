"""Marks of brands that do not exist, as small SVG: what the embedded scenes look for, and what not.

As among real brands, some are alike: Brunquist and Cavelo differ by a bar, Dromsel and Galvure are
nearly mirror images, Lumbray has a twin without waves among the distractors. Letters are paths, so
that no font is needed. Some are of one colour with holes, as most marks are; some have several.
"""

from __future__ import annotations


def _svg(content: str, width: int = 100) -> str:
    """A drawing on a page of ``width`` by 100."""
    page = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 100"'
    return f"<svg {page}>{content}</svg>"


def _stroked(path: str, width: int, colour: str, thickness: float = 14) -> str:
    """A line of round ends on a page of ``width`` by 100."""
    line = 'fill="none" stroke-linecap="round" stroke-linejoin="round"'
    content = f'<path {line} stroke="{colour}" stroke-width="{thickness}" d="{path}"/>'
    return _svg(content, width)


RING = "M50 4a46 46 0 1 0 0 92a46 46 0 1 0 0-92zm0 14a32 32 0 1 1 0 64a32 32 0 1 1 0-64z"
SUN = '<path fill="#f28c1e" d="M18 52a32 32 0 0 1 64 0z"/>'
WAVE = "q11-14 22 0t22 0t22 0t22 0v9q-11 14-22 0t-22 0t-22 0t-22 0z"

MARKS: dict[str, str] = {
    "Ardovel": _svg(  # two leaves
        '<path fill="#2f8f4e" d="M48 96C10 84 0 50 6 10c34 8 50 40 42 86z"/>'
        '<path fill="#86c440" d="M54 96c-8-40 6-62 40-70c6 34-6 62-40 70z"/>'
    ),
    "Brunquist": _svg(  # a ring and one bar across it
        f'<path fill="#111" fill-rule="evenodd" d="{RING}"/>'
        '<path fill="#111" d="M74 2l12 8L26 98l-12-8z"/>'
    ),
    "Cavelo": _svg(  # a ring and two bars across it
        f'<path fill="#111" fill-rule="evenodd" d="{RING}"/>'
        '<path fill="#111" d="M60 2l11 5L27 98l-11-5zM76 8l11 5L45 98l-11-5z"/>'
    ),
    "Dromsel": _svg(  # rings cut in half
        '<path fill="#1d5fd1" d="M10 4h38a46 46 0 0 1 0 92H10V76h38a26 26 0 0 0 0-52H10z"/>'
        '<path fill="#1d5fd1" d="M10 36h38a14 14 0 0 1 0 28H10z"/>'
    ),
    "Eskoro": _stroked("M94 20q-22-18-42 0t-42 0M94 50q-22-18-42 0t-42 0M94 80q-22-18-42 0t-42 0",
                       104, "#e8641b"),
    "Galvure": _svg(  # rings that end in a square
        '<path fill="#1d5fd1" d="M96 4v92H54a46 46 0 0 1 0-92zM76 24H54a26 26 0 0 0 0 52h22z"/>'
        '<path fill="#1d5fd1" d="M68 38v24H54a12 12 0 0 1 0-24z"/>'
    ),
    "Hestrum": _svg(  # an arch with a crossbeam
        '<path fill="#d0182b" d="M4 96V50a46 46 0 0 1 92 0v46H74V70H26v26zM26 50h48a24 24 0 0 0'
        '-48 0z"/>'
    ),
    "Ivarno": _svg(  # a star in a disc
        '<circle cx="50" cy="50" r="48" fill="#f5c518"/>'
        '<path fill="#23262d" d="M50 8l10 32l32 10l-32 10l-10 32l-10-32l-32-10l32-10z"/>'
        '<circle cx="50" cy="50" r="7" fill="#f5c518"/>'
    ),
    "Jolbeck": _svg(  # a bird
        '<path fill="#111" d="M2 14c30 34 58 36 88 8c12-2 20 2 28 8c-14 0-18 4-24 14C76 84 34 88'
        ' 8 66c22 4 36 0 44-8C30 56 10 42 2 14z"/>', 120
    ),
    "Kesmira": _svg(  # three triangles
        '<path fill="#12355b" d="M6 4h26v92H6z"/><path fill="#17a398" d="M92 4L40 50V4z"/>'
        '<path fill="#e4572e" d="M92 96L40 50v46z"/>'
    ),
    "Lumbray": _svg(  # a sun above two waves
        f'{SUN}<path fill="#1f6fb2" d="M6 62{WAVE}M6 82{WAVE}"/>', 100
    ),
    "Morva": _stroked(  # letters
        "M10 84V18l24 36l24-36v66M132 50a24 32 0 1 0 0 1zM158 84V18h20a17 17 0 0 1 0 36h-20l30 30"
        "M208 18l22 66l22-66M270 84l24-66l24 66M280 62h28",
        328, "#5b2a86"
    ),
}  # fmt: skip

DISTRACTORS: dict[str, str] = {
    "ring with a cross": _svg(
        f'<path fill="#111" fill-rule="evenodd" d="{RING}"/>'
        '<path fill="#111" d="M44 4h12v40h40v12H56v40H44V56H4V44h40z"/>'
    ),
    "sun without waves": _svg(f'{SUN}<path fill="#1f6fb2" d="M6 62h88v10H6z"/>'),
    "straight stripes": _stroked("M10 20h84M10 50h84M10 80h84", 104, "#e8641b"),
    "one leaf": _svg('<path fill="#2f8f4e" d="M20 96C0 50 30 6 90 4c6 56-24 92-70 92z"/>'),
    "five-pointed star": _svg(
        '<path fill="#d0182b" d="M50 4l12 34h36L69 59l11 35l-30-21l-30 21l11-35L2 38h36z"/>'
    ),
    "hexagon": _svg(
        '<path fill="#6b3fa0" fill-rule="evenodd" d="M50 2l42 24v48L50 98L8 74V26zm0 20L26 36v28'
        'l24 14l24-14V36z"/>'
    ),
    "heart": _svg(
        '<path fill="#e0315b" d="M50 94C-16 50 8 8 30 8c12 0 18 8 20 16c2-8 8-16 20-16c22 0 46 42'
        '-20 86z"/>'
    ),
    "arrow": _svg('<path fill="#0f7b6c" d="M4 38h52V14l40 36l-40 36V62H4z"/>'),
    "gear": _svg(
        '<circle cx="50" cy="50" r="30" fill="none" stroke="#444" stroke-width="16"/>'
        '<circle cx="50" cy="50" r="43" fill="none" stroke="#444" stroke-width="12" '
        'stroke-dasharray="17 16.77"/>'
    ),
    "spiral": _stroked("M52 52a8 8 0 1 1-8-8a20 20 0 1 1-12 20a34 34 0 1 1 40 26", 112, "#222", 9),
    "plus in a square": _svg(
        '<rect x="4" y="4" width="92" height="92" rx="18" fill="#1d8bd1"/>'
        '<path fill="#fff" d="M42 20h16v22h22v16H58v22H42V58H20V42h22z"/>'
    ),
    "other letters": _stroked(
        "M8 18h48M32 18v66M114 18H76v66h38M76 50h32M134 84V18l40 66V18M194 50a24 32 0 1 1 0 1z"
        "M304 26c-14-14-38-8-38 8c0 22 40 10 40 32c0 18-28 22-42 6",
        314, "#1b3a5c", 12
    ),
}  # fmt: skip
