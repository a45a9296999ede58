"""Photos as they come: every way a file can be odd, and every way it can be broken."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from drawings import bomb
from PIL import EpsImagePlugin, Image

from marketorch.data.boxes.dataset import LetterboxDecoder
from marketorch.data.images.decoding import decode, photo_files, read_photo
from marketorch.errors import DataError

SIDE = 16
GREY = np.tile(np.arange(SIDE, dtype=np.uint8) * 15, (SIDE, 1))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_sixteen_bits_become_eight() -> None:
    deep = Image.fromarray(GREY.astype(np.uint16) * 256 + 77)
    assert np.array_equal(decode(saved(deep, "PNG"), "deep", "L"), GREY)


def test_cmyk_becomes_colour() -> None:
    cyan = decode(saved(Image.new("CMYK", (4, 4), (255, 0, 0, 0)), "JPEG"), "cmyk")
    assert cyan.shape == (4, 4, 3)
    red, green, blue = cyan[0, 0]
    assert red < 60 < 200 < min(green, blue)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("L", (8, 8), value) for value in (10, 250)]
    first = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:]), "moves", "L")
    assert first.max() == 10


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (decode(saved(clear, "PNG"), "clear") == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert (decode(saved(palette, "PNG", transparency=0), "palette") == 255).all()


def test_the_camera_s_turn_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    wide = Image.new("L", (30, 10))
    assert decode(saved(wide, "JPEG", exif=exif), "phone", "L").shape == (30, 10)


def test_one_pixel_is_a_photo() -> None:
    assert decode(saved(Image.new("L", (1, 1), 9), "PNG"), "dot", "L").tolist() == [[9]]


def cut() -> bytes:
    whole = saved(
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)), "JPEG"
    )
    return whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", r"x\.png is empty \(0 bytes\)"),
        (lambda: b"hello", r"x\.png is not a photo that .+ or WEBP; it begins with b'hello'"),
        (cut, r"x\.png is damaged or cut short"),
        (bomb, r"x\.png says that it has more than 179 megapixels"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: Callable[[], bytes], message: str) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content())
    with pytest.raises(DataError, match=message):
        read_photo(file)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 9 9
%%EndComments
showpage
%%EOF
"""


@pytest.mark.parametrize("name", ["logo.eps", "photo.jpg"])
def test_postscript_is_refused_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Pillow by itself hands EPS to Ghostscript, whatever the file is called."""
    started = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho started >> {started}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # looked for anew
    file = tmp_path / name
    file.write_bytes(EPS)
    with pytest.raises(OSError), Image.open(file) as image:  # noqa: PT011 (of this gs, no picture)
        image.load()
    assert started.exists()
    started.unlink()
    with pytest.raises(DataError, match=r"can read as AVIF, .+; it begins with b'%!PS-Adobe"):
        read_photo(file)
    with pytest.raises(DataError, match="it begins with b'%!PS-Adobe"):
        LetterboxDecoder([file], [name], [None], 32).size_of(0)
    assert not started.exists()


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of a TIFF that is cut
def test_a_broken_photo_is_refused_wherever_it_is_broken(kind: str) -> None:
    """Cut short: an error of ours. With bytes that are wrong: that, or a photo all the same."""
    rng = np.random.default_rng(0)
    whole = saved(Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)), kind)
    for length in range(0, int(0.95 * len(whole)), len(whole) // 40):
        with pytest.raises(DataError, match=r"^x is (empty|not a photo|damaged or cut short)"):
            decode(whole[:length], "x")
    for _ in range(60):
        wrong = np.frombuffer(whole, np.uint8).copy()
        wrong[rng.integers(0, 80, 3)] = rng.integers(0, 256, 3)
        with suppress(DataError):
            assert decode(wrong.tobytes(), "x").shape[2:] == (3,)


def test_photos_of_a_folder_are_found_below_it_and_sorted(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in photo_files(tmp_path)] == ["c.png", "b.JPG"]
    assert photo_files(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match=r"b\.JPGE does not exist\. Did you mean 'b\.JPG'"):
        photo_files(tmp_path / "b.JPGE")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no photo"):
        photo_files(tmp_path / "empty")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="does not exist"):
        photo_files(tmp_path / name)
    with pytest.raises(DataError, match=r"(could not be read|is no name that a file can have)"):
        read_photo(tmp_path / name)
