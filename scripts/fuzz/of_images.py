"""Pictures: photos by themselves, in folders and in tables, pixels and votes, marks and videos."""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from damage import damaged, encoded, pick, spliced, token
from numpy.random import Generator
from of_tables import Table, worse, written
from options import drawn_options
from PIL import Image
from stock import Stock, marks, photo
from watched import Asked, Reader

from marketorch.data.images.decoding import SUFFIXES, decode, read_photo
from marketorch.data.images.source import ImageData
from marketorch.data.images.videos import read_frames
from marketorch.data.scenes.marks import read_marks

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF")
MODES = ("RGB", "RGB", "L", "RGBA", "P", "CMYK", "I;16", "1", "F")
TABLES = [".csv", ".csv", ".tsv", ".jsonl", ".parquet"]
VOTES = ["joy", "anger", "odd"]
PIXELS = 50_000_000  # of the largest photo that listening decodes


def readers(stock: Stock) -> list[Reader]:
    """The readers of pictures."""

    def photos(rng: Generator, folder: Path) -> Asked:
        path = folder / f"a{pick(rng, sorted(SUFFIXES))}"
        path.write_bytes(spoilt(rng, stock))
        mode, most = str(pick(rng, ["RGB", "L"])), pick(rng, [None, PIXELS])
        if rng.random() < 0.3:
            return Asked(lambda: decode(path.read_bytes(), str(path), mode, max_pixels=most))
        return Asked(lambda: read_photo(path, mode))

    def folders(rng: Generator, folder: Path) -> Asked:
        source = _folder(rng, folder / "pictures", stock)
        options = _options(rng)
        return Asked(lambda: train_on(source, options), ("pictures",))

    def tables(rng: Generator, folder: Path) -> Asked:
        source, options = _table(rng, folder, stock)
        return Asked(lambda: train_on(source, options), ("row ",))

    def inputs(rng: Generator, folder: Path) -> Asked:
        one = folder / "one.png"
        one.write_bytes(spoilt(rng, stock))
        source = pick(rng, [one, folder, token(rng), _table(rng, folder, stock)[0]])
        faces = {"find_faces": "inputs"} if rng.random() < 0.1 else {}
        data = ImageData(path="unused", size=16, on_bad=str(pick(rng, ["error", "skip"])), **faces)
        names = (str(Path(source))[:40], folder.name)
        return Asked(lambda: len(data.inputs(str(source))), names)

    return [
        *(Reader("photos", photos, 3.0), Reader("image_folders", folders, 0.8)),
        *(Reader("image_tables", tables, 1.2), Reader("image_inputs", inputs)),
        *(Reader("marks", lambda rng, at: _marks(rng, at, stock), 0.5), Reader("videos", _video)),
    ]


def train_on(source: Path, options: dict[str, Any]) -> None:
    """All that training does with pictures before there is a model."""
    data = ImageData(path=str(source), size=16, **options)
    assert data.schema
    data.fingerprint()
    for name in ("train", "validation", "test"):
        dataset = data.split(name)
        assert dataset[len(dataset) - 1]


# -- photos -----------------------------------------------------------------------------------


def whole(rng: Generator) -> bytes:
    """A small picture in any format and mode that go together."""
    kind, mode = str(pick(rng, FORMATS)), str(pick(rng, MODES))
    image = Image.fromarray(photo(rng))
    options: dict[str, Any] = {}
    if rng.random() < 0.2:
        exif = Image.Exif()
        exif[0x0112] = int(rng.integers(0, 12))
        options["exif"] = damaged(rng, exif.tobytes()) if rng.random() < 0.5 else exif
    if kind == "TIFF":
        options = {"compression": pick(rng, [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])}
    for attempt in (mode, "RGB"):
        stream = io.BytesIO()
        try:
            image.convert(attempt).save(stream, kind, **options)
            return stream.getvalue()
        except (OSError, ValueError, KeyError, RuntimeError, struct.error, SyntaxError, TypeError):
            options = {}
    raise AssertionError(kind)


def spoilt(rng: Generator, stock: Stock) -> bytes:
    """A picture that is whole, damaged, a bomb, or none."""
    real = stock.one(rng, "photos")
    content = real[1] if real else whole(rng)
    way = rng.random()
    if way < 0.15:
        return content
    if way < 0.2:
        return _bomb(rng)
    if way < 0.25:
        return content[: rng.integers(1, 40)] + spliced(rng, whole(rng))
    return damaged(rng, content)


def _bomb(rng: Generator) -> bytes:
    """Few bytes that say, or are, a picture of many megapixels."""
    side = int(pick(rng, [9_000, 20_000, 60_000, 2**31 - 1]))
    heads = [
        *(b"P6\n%d %d\n255\n" % (side, side), b"P5\n%d %d\n65535\n" % (side, side)),
        b"GIF89a" + struct.pack("<HH", side % 2**16, side % 2**16) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, side, side, 1, 24, *[0] * 6),
        _png(side, b""),
        _png(5_000, zlib.compress(bytes(5_001 * 5_000))),
    ]
    return bytes(pick(rng, heads))


@cache
def _png(side: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# -- collections ------------------------------------------------------------------------------


def _folder(rng: Generator, folder: Path, stock: Stock) -> Path:
    """A folder a class, some of whose files are damaged, misplaced or no pictures."""
    names = pick(rng, [["cat", "dog"]] * 4 + [["train", "test"], ["only"], ["²", "10"]])
    for name in names:
        inner = folder / name / "cat" if name in ("train", "test") else folder / name
        inner.mkdir(parents=True, exist_ok=True)
        few = rng.random() < 0.2
        for place in range(int(rng.integers(0, 3) if few else rng.integers(5, 14))):
            content = spoilt(rng, stock) if rng.random() < 0.05 else whole(rng)
            suffix = pick(rng, [".png"] * 8 + [".jpg", ".txt", ""])
            (inner / f"{place}{suffix}").write_bytes(content)
    if rng.random() < 0.1:
        os.symlink(folder, folder / names[0] / "loop.png")
    if rng.random() < 0.1:
        (folder / names[0] / "gone.png").symlink_to("nowhere")
    return folder


def _options(rng: Generator) -> dict[str, Any]:
    return drawn_options(rng, ImageData, [*VOTES, "image", "label", "part"])


def _table(rng: Generator, folder: Path, stock: Stock) -> tuple[Path, dict[str, Any]]:
    """A table of pixels, of file names, or of encoded pictures; with labels or votes."""
    real = stock.one(rng, "pixels")
    if real and rng.random() < 0.5:
        path = folder / real[0]
        path.write_bytes(worse(rng, real[1], ".parquet"))
        return path, {"label": pick(rng, ["label", "labels", "emotion"])} | drawn_options(
            rng, ImageData, [*VOTES, "part"]
        )
    number = int(rng.integers(3, 24))
    if rng.random() < 0.25:
        return _encoded(rng, folder, number, stock), _options(rng)
    table: Table = {
        "image": [_cell(rng, folder, place) for place in range(number)],
        "label": [str(pick(rng, ["0", "1", "1"])) for _ in range(number)],
        "part": [str(pick(rng, ["train", "train", "val", "test"])) for _ in range(number)],
    }
    table |= {name: [str(int(rng.integers(0, 9))) for _ in range(number)] for name in VOTES}
    path, encoding = written(rng, folder, table, TABLES)
    options = _options(rng) | {"encoding": encoding}
    if rng.random() < 0.3:
        options |= {"votes": VOTES[:2], "rejects": VOTES[2:], "label": None, "majority": 0.5}
    return path, options | ({"split": "part"} if rng.random() < 0.2 else {})


def _cell(rng: Generator, folder: Path, place: int) -> str:
    """Pixels as text, or the name of a file beside the table."""
    if rng.random() < 0.6:
        side = int(pick(rng, [4, 4, 4, 5]))
        return " ".join(map(str, rng.integers(0, 256, side * side)))
    (folder / f"{place}.png").write_bytes(whole(rng))
    return f"{place}.png" if rng.random() < 0.95 else token(rng)


def _encoded(rng: Generator, folder: Path, number: int, stock: Stock) -> Path:
    """A Parquet file of pictures as `datasets` has them, or as plain bytes."""
    pictures = [spoilt(rng, stock) if rng.random() < 0.1 else whole(rng) for _ in range(number)]
    dicts: list[Any] = [{"bytes": own, "path": "x.png"} for own in pictures]
    images = dicts if rng.random() < 0.7 else pictures
    if rng.random() < 0.1:
        images = [None, *images[1:]]
    labels = [int(rng.integers(2)) for _ in range(number)]
    path = folder / "table.parquet"
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": labels}), stream)
    path.write_bytes(worse(rng, stream.getvalue(), ".parquet"))
    return path


# -- marks and videos -------------------------------------------------------------------------


def _marks(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A folder of SVG and PNG marks, some damaged."""
    home = folder / "marks"
    home.mkdir()
    for place in range(int(rng.integers(1, 5))):
        if rng.random() < 0.3:
            (home / f"m{place}.png").write_bytes(spoilt(rng, stock))
            continue
        real = stock.one(rng, "marks")
        content = real[1] if real else encoded(str(pick(rng, marks())))
        content = damaged(rng, content) if rng.random() < 0.7 else content
        (home / f"m{place}.svg").write_bytes(content)
    on_bad = str(pick(rng, ["error", "skip"]))
    return Asked(lambda: read_marks(home, side=64, on_bad=on_bad))


def _video(rng: Generator, folder: Path) -> Asked:
    """A video whose file is damaged."""
    content = damaged(rng, _clip()) if rng.random() < 0.9 else _clip()
    path = folder / f"clip{pick(rng, ['.avi', '.avi', '.mp4', '.mkv'])}"
    path.write_bytes(content)
    every = float(pick(rng, [0.1, 1.0, 1e9]))
    return Asked(lambda: sum(1 for _ in read_frames(path, every)))


@cache
def _clip() -> bytes:
    """Two seconds of noise as Motion JPEG."""
    from tempfile import TemporaryDirectory

    import cv2

    with TemporaryDirectory() as folder:
        path = f"{folder}/clip.avi"
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 5, (32, 32))
        rng = np.random.default_rng(0)
        for _ in range(10):
            writer.write(rng.integers(0, 256, (32, 32, 3), np.uint8))
        writer.release()
        return Path(path).read_bytes()
