"""Reads brand marks: a folder of SVG and of PNG with transparency becomes pixels with alpha.

A mark's file, or the folder it lies in, is called like its class, so ``Nike.svg`` and
``Nike/wordmark.png`` are two marks of one class. SVG comes from anywhere, and what is read here is
refused if it could do more than draw: files that name other files, declare entities, hold scripts
or pictures, or take more time and memory than a mark has any need for. That last thing nobody can
read off a file, so marks are drawn by `resvg` in a process of their own that may fail.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np
from PIL import Image

from marketorch.data.images.decoding import read_photo
from marketorch.data.reading import usable_rows
from marketorch.errors import DataError, UserError, closest

SUFFIXES = (".svg", ".png")
LARGEST = 4_000_000  # bytes of an SVG
DEEPEST = 100  # elements within one another: resvg overflows its stack at some hundreds
SECONDS = 20.0  # that one mark may take; it needs some thousandths
FAINT = 64  # alpha below which, out of 255, nothing counts as seen
THINNEST = 4  # pixels of the shorter side of a mark that is drawn 320 pixels long

REFUSED = {
    "script": "it holds a script",
    "image": "it embeds or names a picture (<image>); save that one as PNG",
    "feimage": "it embeds or names a picture (<feImage>); save that one as PNG",
    "text": "it has text, which looks different on every machine; turn it into paths",
}
ELSEWHERE = re.compile(r"@import|url\(\s*['\"]?(?!\s*['\"]?#)", re.IGNORECASE)
# Draws marks one after the other: sides, lengths and SVG come in, lengths and PNG files go out.
CHILD = """
import sys, resvg_py
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
except (ImportError, OSError, ValueError):  # not on every system
    pass
while line := sys.stdin.buffer.readline():
    side, length = map(int, line.split())
    text = sys.stdin.buffer.read(length).decode()
    try:
        drawn = bytes(resvg_py.svg_to_bytes(
            svg_string=text, width=side, height=side, skip_system_fonts=True))
    except Exception as error:
        drawn = b"!" + str(error).encode()
    sys.stdout.buffer.write(b"%d\\n" % len(drawn) + drawn)
    sys.stdout.buffer.flush()
"""


@dataclass(frozen=True, eq=False)
class BrandMark:
    """A mark by itself.

    Args:
        name: of its class.
        pixels: ``(H, W, 4)`` uint8, red, green, blue, alpha, cut to what is seen of it.
        source: where it comes from, for messages.
    """

    name: str
    pixels: np.ndarray
    source: str


def read_marks(folder: str | Path, *, side: int = 320, on_bad: str = "error") -> list[BrandMark]:
    """Reads every mark in a folder and in the folders in it, sorted by class and file.

    Args:
        folder: marks ``<class>.svg``, ``<class>.png`` or ``<class>/<any name>``; hidden files are
            passed over.
        side: pixels of the longer side that an SVG is drawn with, and a PNG has at most.
        on_bad: ``error`` or ``skip`` for files that are no usable mark.

    Raises:
        DataError: nothing is there, or a file is no SVG or PNG, is broken, hostile, empty or
            transparent.
    """
    folder = Path(folder)
    files = _files(folder)
    names = [str(file) for file in files]
    found = _attempted(files, side)
    bad = {i: mark for i, mark in enumerate(found) if isinstance(mark, str)}
    good = usable_rows(bad, len(files), str(folder), on_bad, names)
    pixels = [pixels for pixels in (found[i] for i in good) if not isinstance(pixels, str)]
    classes = [_class(files[i], folder) for i in good]
    marks = [BrandMark(*row) for row in zip(classes, pixels, (names[i] for i in good), strict=True)]
    return sorted(marks, key=lambda mark: (mark.name, mark.source))


def draw_svg(texts: Sequence[str], *, side: int = 320) -> list[np.ndarray | str]:
    """Draws SVG about ``side`` pixels long, cut to what is seen: ``(H, W, 4)`` or what is wrong."""
    found: list[np.ndarray | str] = [_fault(text) for text in texts]
    sides = {place: side for place, fault in enumerate(found) if not fault}
    for place, drawn in _draw_all(texts, sides).items():
        found[place] = drawn
    lengths = {i: max(mark.shape) for i, mark in enumerate(found) if not isinstance(mark, str)}
    # A mark that leaves most of its page empty is drawn again on a larger page.
    sides = {i: side * min(8, side // length) for i, length in lengths.items() if 2 * length < side}
    for place, drawn in _draw_all(texts, sides).items():
        found[place] = drawn
    return found


# -- files ------------------------------------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        near = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise DataError(f"{folder} is no folder of marks.{closest(folder.name, near)}")
    files = [
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(folder).parts)
    ]
    if not files:
        raise DataError(f"{folder} holds no mark; looked for {', '.join(SUFFIXES)}.")
    return sorted(files)


def _class(file: Path, folder: Path) -> str:
    """The first folder below ``folder`` that the file lies in, or the file's own name."""
    parts = file.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else file.stem


def _attempted(files: Sequence[Path], side: int) -> list[np.ndarray | str]:
    """Of each file the mark ``(H, W, 4)``, or what is wrong with it."""
    found: dict[Path, np.ndarray | str] = {}
    texts: dict[Path, str] = {}
    for file in files:
        try:
            if file.suffix.lower() == ".svg":
                texts[file] = _text(file)
            else:
                found[file] = _png(file, side)
        except DataError as error:
            found[file] = str(error).removeprefix(str(file)).lstrip(": ").rstrip(".")
    found |= dict(zip(texts, draw_svg(list(texts.values()), side=side), strict=True))
    return [found[file] for file in files]


def _png(file: Path, side: int) -> np.ndarray:
    """A PNG, made smaller if it is longer than ``side``."""
    if file.suffix.lower() != ".png":
        raise DataError(f"{file}: it is neither SVG nor PNG.")
    read_photo(file)  # says what is wrong with a file that is missing, broken or absurdly large
    with Image.open(file) as image:
        image = image.convert("RGBA")
    image.thumbnail((side, side))
    pixels = np.array(image)
    if _on_white(pixels):
        raise DataError(f"{file}: it has a white background; save it with a transparent one.")
    return _cut(pixels)


def _on_white(pixels: np.ndarray) -> bool:
    """Whether nothing is transparent and the border is white."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return bool(pixels[..., 3].min() == 255 and border.min() > 240)


def _text(file: Path) -> str:
    if (length := file.stat().st_size) > LARGEST:
        raise DataError(f"{file}: it has {length:,} bytes; a mark has at most {LARGEST:,}.")
    data = file.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: it is neither UTF-8 nor UTF-16.") from error


# -- SVG --------------------------------------------------------------------------------------


class _Refused(Exception):
    """Why an SVG is not drawn."""


class _Inspector:
    """Goes through an SVG before it is drawn. Entities are refused where they are declared."""

    def __init__(self) -> None:
        self.depth, self.elements = 0, 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._style

    def inspect(self, text: str) -> None:
        """Raises `_Refused` or `expat.ExpatError` if there is something wrong."""
        self.parser.Parse(text.encode(), True)

    def _entity(self, *_: object) -> None:
        raise _Refused("it declares entities; save it as plain SVG")

    def _instruction(self, target: str, _: str) -> None:
        if target.startswith("xml-stylesheet"):
            raise _Refused("it refers to another file (xml-stylesheet)")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.split(":")[-1].lower()
        if self.depth == 0 and name != "svg":
            raise _Refused(f"it is no SVG: it begins with <{tag}>")
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Refused(f"its elements are nested more than {DEEPEST} deep")
        if name in REFUSED:
            raise _Refused(REFUSED[name])
        for key, value in attributes.items():
            self._attribute(name, key.lower(), value.strip())

    def _attribute(self, element: str, key: str, value: str) -> None:
        if key.startswith("on"):
            raise _Refused(f"it holds a script ({key})")
        link = key.split(":")[-1] in ("href", "src") and element != "a"
        if (link and not value.startswith("#")) or ELSEWHERE.search(value):
            raise _Refused(f"it refers to something outside itself ({key}={value[:40]!r})")

    def _end(self, _: str) -> None:
        self.depth -= 1

    def _style(self, text: str) -> None:
        if ELSEWHERE.search(text):
            raise _Refused(f"it refers to something outside itself ({text.strip()[:40]!r})")


def _fault(text: str) -> str:
    """Why an SVG must not be drawn; empty if it may."""
    if not text.strip():
        return "it is empty"
    try:
        _Inspector().inspect(text)
    except _Refused as error:
        return str(error)
    except expat.ExpatError as error:
        return f"it is no XML: {error}"
    return ""


def _draw_all(texts: Sequence[str], sides: Mapping[int, int]) -> dict[int, np.ndarray | str]:
    """Of the SVG at each place the mark, or what is wrong, drawn on a page of the side given."""
    wanted = [(texts[place], side) for place, side in sides.items()]
    found: list[bytes | str] = []
    while len(found) < len(wanted):  # after one that ends the process, another begins
        received, fault = _child(wanted[len(found) :])
        found += received
        if fault:
            found.append(fault)
    return dict(zip(sides, map(_finished, found), strict=True))


def _child(wanted: Sequence[tuple[str, int]]) -> tuple[list[bytes | str], str]:
    """What a process draws of some SVG until its end, and why it did not come further."""
    contents = [(side, text.encode()) for text, side in wanted]
    sent = b"".join(b"%d %d\n" % (side, len(svg)) + svg for side, svg in contents)
    command = [sys.executable, "-I", "-c", CHILD]
    limit = SECONDS + 0.2 * len(wanted)
    try:
        child = subprocess.run(command, input=sent, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as error:
        return _received(error.stdout or b""), f"drawing it takes more than {SECONDS:.0f} seconds"
    if child.returncode == 0:
        return _received(child.stdout), ""
    lines = child.stderr.decode(errors="replace").strip().splitlines()
    if child.returncode > 0:
        raise UserError(f"Marks cannot be drawn: {lines[-1] if lines else child.returncode}")
    return _received(child.stdout), "drawing it takes too much memory or ends the drawing program"


def _received(output: bytes) -> list[bytes | str]:
    """The whole results that a process wrote."""
    stream, found = io.BytesIO(output), list[bytes | str]()
    while length := stream.readline().strip():
        content = stream.read(int(length))
        if len(content) == int(length):
            found.append(content[1:].decode() if content.startswith(b"!") else content)
    return found


def _finished(drawn: bytes | str) -> np.ndarray | str:
    """What `_child` drew as pixels, cut."""
    if isinstance(drawn, str):
        return drawn
    with Image.open(io.BytesIO(drawn)) as image:
        pixels = np.array(image.convert("RGBA"))
    try:
        return _cut(pixels)
    except DataError as error:
        return str(error)


def _cut(pixels: np.ndarray) -> np.ndarray:
    """The part of ``(H, W, 4)`` that is seen. DataError if there is none, or a line only."""
    seen = pixels[..., 3] >= FAINT
    if not seen.any():
        raise DataError("nothing is seen in it: it is empty or transparent")
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape[:2]
    if min(height, width) * 320 < THINNEST * max(height, width):
        raise DataError(f"it is {width} × {height} pixels, a line and not a mark")
    return np.ascontiguousarray(part)
