"""Reading marks: their classes, what is cut off, and SVG that wants more than to be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from marketorch.data.scenes import invented_marks as mark_drawings
from marketorch.data.scenes import marks
from marketorch.data.scenes.marks import draw_svg, read_marks
from marketorch.errors import DataError

HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="0 0 20 20">'
)
BAR = '<path fill="#c81e1e" d="M2 8h16v4H2z"/>'
GOOD = f"{HEAD}{BAR}</svg>"
PUBLIC = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">'
HUGE = (
    '<pattern id="p" width="1e6" height="1e6" patternUnits="userSpaceOnUse"><path d="M0 0h1v1z"/>'
    '</pattern><path fill="url(#p)" d="M0 0h9v9z"/>'
)
ENDLESS = (
    '<filter id="f"><feTurbulence baseFrequency="5" numOctaves="100000000"/></filter>'
    '<path filter="url(#f)" d="M0 0h9v9z"/>'
)
HOSTILE = {
    "bomb": ('<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + GOOD, "declares entities"),
    "parameter": ('<!DOCTYPE svg [<!ENTITY % a SYSTEM "a.dtd"> %a;]>' + GOOD, "declares entities"),
    "external": ('<!DOCTYPE svg SYSTEM "a.dtd">' + HEAD + "&a;</svg>", "entity"),
    "script": (f"{HEAD}<script>1</script>{BAR}</svg>", "holds a script"),
    "prefixed": (f'{HEAD}<s:script xmlns:s="http://www.w3.org/2000/svg"/></svg>', "a script"),
    "event": (GOOD.replace("<path", '<path onload="1"'), r"script \(onload\)"),
    "picture": (f'{HEAD}<image href="/etc/a.png" width="9" height="9"/></svg>', "<image>"),
    "inlined": (f'{HEAD}<image xlink:href="data:image/png;base64,AA=="/></svg>', "<image>"),
    "filter": (f'{HEAD}<filter><feImage href="#a"/></filter></svg>', "<feImage>"),
    "use": (f'{HEAD}<use xlink:href="other.svg#a"/></svg>', "outside itself"),
    "fill": (GOOD.replace("#c81e1e", "url( 'http://a.b/c#d')"), "outside itself"),
    "import": (f'{HEAD}<style>@import "a.css";</style>{BAR}</svg>', "outside itself"),
    "style": (f"{HEAD}<style><![CDATA[a{{fill:URL(a.svg)}}]]></style>{BAR}</svg>", "outside"),
    "sheet": ('<?xml-stylesheet href="a.css"?>' + GOOD, "another file"),
    "text": (f"{HEAD}<text>a</text></svg>", "turn it into paths"),
    "deep": (f"{HEAD}{'<g>' * 5000}{BAR}{'</g>' * 5000}</svg>", "nested more than 100"),
    "page": ("<html><body/></html>", "begins with <html>"),
    "broken": (f"{HEAD}{BAR}", "no XML"),
    "words": ("a mark", "no XML"),
    "nothing": (" ", "is empty"),
    "unseen": (f"{HEAD}</svg>", "nothing is seen"),
    "transparent": (GOOD.replace("<path", '<path opacity="0"'), "nothing is seen"),
    "line": (f'{HEAD}<path d="M0 0h20v.1H0z"/></svg>', "a line and not a mark"),
    "sizeless": ('<svg xmlns="http://www.w3.org/2000/svg" width="-5"/>', "size"),
}


def pixels(drawn: np.ndarray | str) -> np.ndarray:
    assert not isinstance(drawn, str), drawn
    return drawn


def svg(path: Path, text: str = GOOD, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def disc(path: Path, background: tuple[int, ...] = (255, 255, 255, 0)) -> Path:
    """A red disc of 40 pixels on a page of 100 by 60."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = np.tile(np.array(background, np.uint8), (60, 100, 1))
    y, x = np.mgrid[:60, :100]
    page[(x - 50) ** 2 + (y - 30) ** 2 < 400] = (200, 30, 30, 255)
    Image.fromarray(page).save(path)
    return path


def test_a_mark_is_called_like_its_file_or_folder_and_cut_to_what_is_seen(tmp_path: Path) -> None:
    svg(tmp_path / "Bar.svg")
    disc(tmp_path / "Disc" / "on web.PNG")
    svg(tmp_path / "Disc" / "inner" / "in print.svg")
    svg(tmp_path / ".hidden.svg", "no mark")
    found = read_marks(tmp_path, side=160)
    assert [mark.name for mark in found] == ["Bar", "Disc", "Disc"]
    bar, _, round_one = found
    assert bar.pixels.shape == (32, 128, 4)
    assert (bar.pixels == (200, 30, 30, 255)).all()
    assert round_one.pixels.shape == (39, 39, 4)
    assert round_one.pixels[0, 0, 3] == 0
    assert (round_one.pixels[20, 20] == (200, 30, 30, 255)).all()


def test_a_mark_on_a_large_page_is_drawn_as_large_as_one_that_fills_it() -> None:
    page = GOOD.replace("0 0 20 20", "0 0 200 200")
    small, large = map(pixels, draw_svg([page, GOOD]))
    assert large.shape == (64, 256, 4)
    assert small.shape[1] > 150


def test_a_large_png_is_made_smaller(tmp_path: Path) -> None:
    disc(tmp_path / "a.png")
    assert max(read_marks(tmp_path, side=30)[0].pixels.shape) <= 30


def test_a_doctype_and_other_encodings_do_no_harm(tmp_path: Path) -> None:
    svg(tmp_path / "a.svg", PUBLIC + GOOD)
    svg(tmp_path / "b.svg", "\ufeff" + GOOD)
    svg(tmp_path / "c.svg", GOOD, "utf-16")
    svg(tmp_path / "d.svg", f'{HEAD}<a href="https://a.b">{BAR}</a></svg>')
    first, *others = (mark.pixels for mark in read_marks(tmp_path))
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("kind", HOSTILE)
def test_svg_that_is_no_plain_drawing_is_named(kind: str, tmp_path: Path) -> None:
    text, message = HOSTILE[kind]
    svg(tmp_path / "good.svg")
    svg(tmp_path / "other.svg", text)
    with pytest.raises(DataError, match=rf"(?s)other\.svg \(.*{message}"):
        read_marks(tmp_path)
    assert [mark.name for mark in read_marks(tmp_path, on_bad="skip")] == ["good"]


def test_what_ends_or_stalls_the_drawing_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "SECONDS", 1.0)
    drawn = draw_svg([GOOD, f"{HEAD}{HUGE}</svg>", GOOD, f"{HEAD}{ENDLESS}</svg>", GOOD])
    assert "memory" in str(drawn[1])
    assert "more than 1 seconds" in str(drawn[3])
    assert all(pixels(drawn[place]).shape == (64, 256, 4) for place in (0, 2, 4))


def test_no_file_is_read_that_an_svg_names(tmp_path: Path) -> None:
    secret = disc(tmp_path / "secret.png")
    for address in (str(secret), f"file://{secret}", "secret.png"):
        drawn = draw_svg([f'{HEAD}<g><image href="{address}" width="9" height="9"/></g></svg>'])
        assert "<image>" in str(drawn[0])


def test_files_that_are_no_marks_are_named(tmp_path: Path) -> None:
    svg(tmp_path / "good.svg")
    others = {
        "notes.txt": "neither SVG nor PNG",
        "broken.png": "damaged or cut short|not a photo",
        "empty.png": "empty",
        "white.png": "white background",
        "clear.png": "nothing is seen",
        "latin.svg": "neither UTF-8 nor UTF-16",
        "long.svg": "bytes",
    }
    (tmp_path / "notes.txt").write_text("hello")
    data = disc(tmp_path / "broken.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(data[:60])
    (tmp_path / "empty.png").write_bytes(b"")
    disc(tmp_path / "white.png", (255, 255, 255, 255))
    Image.new("RGBA", (30, 30)).save(tmp_path / "clear.png")
    svg(tmp_path / "latin.svg", f"{HEAD}<title>café</title>{BAR}</svg>", "latin-1")
    svg(tmp_path / "long.svg", GOOD + " " * marks.LARGEST)
    assert [mark.name for mark in read_marks(tmp_path, on_bad="skip")] == ["good"]
    for name, message in others.items():
        own = tmp_path / name.replace(".", "_")
        own.mkdir()
        (tmp_path / name).rename(own / name)
        with pytest.raises(DataError, match=rf"(?s){name} \(.*({message})"):
            read_marks(own)


def test_an_opaque_png_that_fills_its_page_is_a_mark(tmp_path: Path) -> None:
    disc(tmp_path / "icon.png", (20, 60, 160, 255))
    assert read_marks(tmp_path)[0].pixels.shape == (60, 100, 4)


def test_a_folder_that_is_not_there_or_holds_none(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    with pytest.raises(DataError, match="Did you mean 'marks'"):
        read_marks(tmp_path / "mark")
    with pytest.raises(DataError, match="holds no mark"):
        read_marks(tmp_path / "marks")


def test_the_embedded_marks_can_be_drawn_and_are_told_apart() -> None:
    names = [*mark_drawings.MARKS, *mark_drawings.DISTRACTORS]
    assert len(set(names)) == 24
    drawn = draw_svg([*mark_drawings.MARKS.values(), *mark_drawings.DISTRACTORS.values()])
    small = [Image.fromarray(pixels(mark)).resize((24, 24)) for mark in drawn]
    alphas = np.stack([np.asarray(image, np.float32)[..., 3] for image in small]).reshape(24, -1)
    apart = np.abs(alphas[:, None] - alphas).mean(-1) + 255 * np.eye(24)
    assert apart.min() > 15
