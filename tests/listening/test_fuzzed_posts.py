"""A thousand posts of strangers, broken in every way: each is answered or has its fault.

What is broken, and how, is drawn from a seed. A photo that is broken in a known way must be a
fault; one with some bytes changed may still be a photo, and then it must have all its answers.
"""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import bomb, png
from numpy.random import Generator
from PIL import Image
from red_spots import TEXT, red_spot, reds

from marketorch.app.runs import LISTENING
from marketorch.listening import Listener, analyse_folder, brand_report, read_records, to_json
from marketorch.listening.report.tables import FORMULA
from marketorch.tasks.detection import Detection

NUMBER = 1000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF")
SCENES = 12  # of the posts have a photo with faces and a red spot
FOREIGN = [
    *(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", b"%PDF-1.7\n%\xe2\xe3"),
    *(b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", b"PK\3\4" + bytes(40)),
    *(b"<html><body>404</body></html>", b"#!/bin/sh\ntouch here\n", b"\0\0\1\0\1\0" + bytes(60)),
]
STARTS = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"RIFF\x40\0\0\0WEBPVP8 "]
STARTS += [b"BM", b"P6\n9 9\n255\n", b"\0\0\0\x20ftypavif"]
NAMES = ["../secret.png", "/etc/passwd", "C:\\x.png", "..\\x.png", "a\0b.png", "x" * 300 + ".png"]
NAMES += ["http://example.com/a.png", ".", "photos", "photos/gone.png", "😀.png", "\ud800.png", "~"]
TEXTS = [
    *(
        "😀🎉👩‍👩‍👧",
        "שלום עולם \u202e123",
        "مرحبا",
        "a\0b",
        "\ud800",
        "fine\udfff!",
        "\x1b[31mred\x07\x7f",
    ),
    *(
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "'",
        '"',
        '","',
        "\r\n",
        "a\nb\rc",
        " ",
    ),
    *(
        "",
        "<script>alert(1)</script>",
        "</td><img src=x onerror=alert(1)>",
        "{{ 7 * 7 }}",
        "$x_{1}$",
    ),
    *(
        "word " * 20_000,
        "x" * 100_000,
        "\u0301" * 500,
        "\ufeff",
        "\u2028",
        "[red]b[/red]",
        "NaN",
        "null",
    ),
    *("%s%n{0}", "good", "not bad", TEXT, "\U0010ffff\ufffe", "ß" * 64, "１２", "…" * 40),
]
LONGEST = "x" * 131_073  # more than a field of a table may have


# -- photos -----------------------------------------------------------------------------------


def saved(rng: Generator, kind: str) -> bytes:
    """A small photo that is whole."""
    height, width = rng.integers(6, 48, 2)
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(noise).convert(str(rng.choice(["RGB", "L"])))
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def whole(rng: Generator, kind: str) -> bytes:
    return saved(rng, kind)


def truncated(rng: Generator, kind: str) -> bytes:
    content = saved(rng, kind)
    return content[: rng.integers(1, len(content) * 2 // 3)]


def flipped(rng: Generator, kind: str) -> bytes:
    """Some bits are wrong, half of the time among the first bytes."""
    content = np.frombuffer(saved(rng, kind), np.uint8).copy()
    reach = len(content) if rng.random() < 0.5 else min(len(content), 64)
    for place in rng.integers(0, reach, rng.integers(1, 12)):
        content[place] ^= 1 << rng.integers(0, 8)
    return content.tobytes()


def spliced(rng: Generator, kind: str) -> bytes:
    """Bytes are lost, doubled, or those of another photo go on in the middle."""
    one, other = saved(rng, kind), saved(rng, str(rng.choice(FORMATS)))
    a, b = sorted(rng.integers(0, len(one), 2).tolist())
    return [one[:a] + one[b:], one[:b] + one[a:], one[:a] + other][rng.integers(0, 3)]


def noise(rng: Generator, kind: str) -> bytes:
    """Random bytes, after what a photo of that kind begins with or not."""
    start = STARTS[rng.integers(0, len(STARTS))] if rng.random() < 0.6 else b"\0"
    return start + rng.bytes(int(rng.integers(0, 400)))


def foreign(rng: Generator, kind: str) -> bytes:
    """What is no photo, or of a kind that is not read."""
    return FOREIGN[rng.integers(0, len(FOREIGN))]


def empty(rng: Generator, kind: str) -> bytes:
    return b""


def huge(rng: Generator, kind: str) -> bytes:
    """A few bytes that say they are a photo of thousands of megapixels, or of fifty and more."""
    side = int(rng.choice([7_500, 9_500, 13_000, 60_000]))
    if kind == "JPEG":
        content = saved(rng, "JPEG")
        place = content.index(b"\xff\xc0") + 5
        return content[:place] + struct.pack(">HH", side, side) + content[place + 4 :]
    heads = {
        "GIF": b"GIF89a" + struct.pack("<HH", side, side) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
        "BMP": b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, side, side, 1, 24, *[0] * 6),
        "PPM": b"P6\n%d %d\n255\n" % (side, side) + bytes(99),
    }
    return heads.get(kind, bomb())


def strip(rng: Generator, kind: str) -> bytes:
    """Many times as long as wide."""
    return png(np.zeros((2, int(rng.integers(40, 400))), np.uint8))


BROKEN = (truncated, foreign, empty, huge, strip)  # each is a fault
WAYS: tuple[Callable[[Generator, str], bytes], ...] = (whole, flipped, spliced, noise, *BROKEN)


def photo(place: int, rng: Generator) -> tuple[str, bytes]:
    """What is done to the photo of a post, and the photo."""
    if place < SCENES:
        return "scene", png(red_spot())
    way = WAYS[place % len(WAYS)]
    return way.__name__, way(rng, FORMATS[place // len(WAYS) % len(FORMATS)])


# -- posts ------------------------------------------------------------------------------------


def rows(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What is done to each post, and its image, text, id, time and author. Writes the photos."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir(parents=True)
    texts = islice(cycle(TEXTS), NUMBER)
    for place, text in enumerate(texts):
        way, content = photo(place, rng)
        name = f"photos/{place}.jpg"
        (folder / name).write_bytes(content)
        if place % 17 == 16:
            way, name = "name", NAMES[place // 17 % len(NAMES)]
        if place % 101 == 100:
            way, text = "row", LONGEST
        other = TEXTS[place * 7 % len(TEXTS)][:200]
        when = f"2024-05-{place % 28 + 1:02d}" if place % 3 else other
        yield way, [name, text, f"{place}", when, other]


def table(folder: Path) -> tuple[Path, list[str]]:
    """Writes the posts; returns the table, and what is done to each."""
    ways, lines = zip(*rows(folder), strict=True)
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(
        [["image", "text", "id", "time", "author"], *lines]
    )
    path = folder / "posts.csv"
    path.write_bytes(stream.getvalue().encode("utf-8", "surrogatepass"))
    return path, list(ways)


@pytest.fixture(scope="module")
def heard(
    tiny_runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], list[dict[str, Any]]]:
    """The table of all records, what was done to each post, and the records."""
    folder = tmp_path_factory.mktemp("fuzzed")
    source, ways = table(folder / "in")
    listener = Listener.load(**{name: tiny_runs / name for name in LISTENING}, explain=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detection, "predict", reds)  # an untrained detector finds anything
        told = analyse_folder(listener, source, folder / "posts.parquet")
    records = [own for part in read_records(folder / "posts.parquet") for own in part]
    assert told.posts == len(records) == NUMBER
    assert told.bad == sum(bool(own["faults"]) for own in records)
    return folder / "posts.parquet", ways, records


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


def parts(record: dict[str, Any]) -> set[str]:
    return {own["part"] for own in record["faults"]}


def numbers(value: Any) -> Iterator[float]:
    """All numbers in a record."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for own in value:
            yield from numbers(own)
    elif isinstance(value, (int, float)):
        yield value


def test_every_post_is_answered_or_listed_as_bad(heard: Any) -> None:
    _, ways, records = heard
    answered: Counter[str] = Counter()
    for place, (way, record) in enumerate(zip(ways, records, strict=True)):
        assert record["id"] == str(place if way != "row" else place + 1)
        looked = record["width"] is not None
        assert looked != bool(parts(record) & {"photo", "row"}), (way, record["faults"])
        for name in ("brands", "faces", "near", "photo", "face"):
            assert (record[name] is not None) == looked, (way, name)
        assert (record["text"] is None) == (record["caption"] is None)
        answered[way] += looked
        assert all(map(math.isfinite, numbers(record)))
        assert json.loads(to_json(record)) == record
        assert all(own["reason"] for own in record["faults"])
    number = Counter(ways)
    assert number.keys() == {way.__name__ for way in WAYS} | {"scene", "name", "row"}
    for way in ("whole", "scene"):
        assert answered[way] == number[way] > 10
    for way in (*(own.__name__ for own in BROKEN), "name", "row"):
        assert not answered[way]
    for way in ("flipped", "spliced"):  # some of both
        assert 0 < answered[way] < number[way]


def test_texts_are_kept_and_answered_whatever_they_hold(heard: Any) -> None:
    _, ways, records = heard
    for text, way, record in zip(cycle(TEXTS), ways, records, strict=False):
        if way == "row":
            assert record["caption"] is None
        elif not text.strip():
            assert (record["caption"], record["text"]) == (None, None)
        else:
            valid = text == text.encode("utf-8", "ignore").decode()
            assert (record["caption"] == text) == valid
            assert ("text" in parts(record)) != valid
            assert record["text"]["sentiment"]["label"] in ("negative", "positive")


def test_a_report_on_all_of_it_is_plain_text(heard: Any, tmp_path: Path) -> None:
    path, _, records = heard
    page = brand_report(path, tmp_path / "report").read_text(encoding="utf-8").lower()
    assert "<script" not in page
    assert "<img src=x" not in page
    with (tmp_path / "report" / "faults.csv").open(encoding="utf-8", newline="") as file:
        faults = list(csv.DictReader(file))
    assert len(faults) == sum(len(own["faults"]) for own in records)
    for file in (tmp_path / "report").glob("*.csv"):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                wrong = [cell for cell in row if cell.startswith(FORMULA) and not numeric(cell)]
                assert not wrong, file.name


def numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
