"""Reads photos as they come: off a phone, from the web, out of a designer's folder.

Whatever is in the file, what is handed on is plain 8-bit pixels, the right way up: the turn that a
camera wrote down (EXIF) is applied, transparency lies on white, of an animation the first frame
is taken. A file that is not a photo, or not a whole one, is named in a `DataError`.

The content decides what a file is, and only `FORMATS` are tried, whatever it is called: others that
Pillow knows start programs (EPS: Ghostscript) or have decoders that hardly anybody looks after.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from marketorch.errors import DataError, closest

COMMON = {".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SUFFIXES = COMMON | {".avif", ".bmp", ".pgm", ".pnm", ".ppm"}
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # of these suffixes
Mode = Literal["RGB", "L"]


def photo_files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """Returns the photo at ``path``, or all photos in that folder and the folders in it, sorted.

    Of several paths it returns all photos, path by path.

    In a folder a photo is known by its suffix; hidden files are passed over.

    Raises:
        DataError: nothing is there, or the folder holds no photo.
    """
    if not isinstance(path, (str, Path)):
        return [file for one in path for file in photo_files(one)]
    path = Path(path)
    if os.path.isfile(path):  # which, unlike Path.is_file, takes any text
        return [path]
    if not os.path.isdir(path):
        raise DataError(f"{path} does not exist.{_closest(path)}")
    files = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    if not files:
        raise DataError(f"{path} holds no photo; looked for {', '.join(sorted(SUFFIXES))}.")
    return sorted(files)


def read_photo(path: str | Path, mode: Mode = "RGB") -> np.ndarray:
    """Returns the photo as uint8 ``(H, W, 3)``, or ``(H, W)`` where ``mode`` is ``"L"`` (grey).

    Raises:
        DataError: the file is missing, empty, broken, cut short, no photo, or absurdly large.
    """
    return decode(content_of(Path(path)), str(path), mode)


def content_of(path: Path) -> bytes:
    """The bytes of a file. DataError if it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.{_closest(path)}") from error
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL or half a character
        raise DataError(f"{path} is no name that a file can have: {error}.") from error


def decode(
    data: bytes, shown: str, mode: Mode = "RGB", *, max_pixels: int | None = None
) -> np.ndarray:
    """Returns the photo in ``data`` as `read_photo` does; ``shown`` is its name in messages.

    Args:
        max_pixels: a larger photo is refused before any of its pixels is decoded.

    Returns:
        uint8, ``(H, W, 3)`` or, in a grey ``mode``, ``(H, W)``.

    Raises:
        DataError: it is empty, too large, cut short or no photo.
    """
    if not data:
        raise DataError(f"{shown} is empty (0 bytes).")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if max_pixels is not None and image.width * image.height > max_pixels:
                raise DataError(
                    f"{shown} has {image.width:,} × {image.height:,} pixels; at most "
                    f"{max_pixels / 1e6:g} megapixels are decoded. Save it smaller."
                )
            image.load()
            return np.array(_plain(_upright(image), mode))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(
            f"{shown} is not a photo that Pillow can read as {', '.join(FORMATS[:-1])} or "
            f"{FORMATS[-1]}; it begins with {data[:16]!r}."
        ) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise DataError(
            f"{shown} says that it has more than {limit:.0f} megapixels; such a file is refused, "
            "as it could fill the memory. Save it smaller."
        ) from error
    except Exception as error:  # a broken file makes Pillow raise whatever it stumbles over
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{shown} is damaged or cut short: {reason}.") from error


def in_mode(photo: np.ndarray, mode: Mode) -> np.ndarray:
    """A photo ``(H, W, 3)`` that was read in colour, as `read_photo` gives it in ``mode``."""
    return photo if mode == "RGB" else np.array(Image.fromarray(photo).convert(mode))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a photo with a garbled EXIF block is still a photo
        return image


def _plain(image: Image.Image, mode: Mode) -> Image.Image:
    """Any of Pillow's modes as 8-bit ``mode``."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretched(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    # From palettes and CMYK to grey by way of RGB, so that grey is always grey of the same colours.
    return image.convert("RGB").convert(mode)


def _stretched(values: np.ndarray) -> np.ndarray:
    """Numbers that follow no convention: from the least, black, to the greatest, white."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = values.min(), values.max()
    return np.round((values - low) * (255 / (high - low or 1))).astype(np.uint8)


def _closest(path: Path) -> str:
    folder = path.parent
    if not os.path.isdir(folder):
        return f" The folder {folder} does not exist either."
    return closest(path.name, os.listdir(folder))


THREADS = 4


def pictures(values: list[Any], path: str) -> list[Any]:
    """A column of a table as sources: pictures, files named beside the table, or pixels as text."""
    folder = Path(path).parent
    sources: list[Any] = []
    for value in values:
        if isinstance(value, dict):  # as `datasets` stores an image
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str) and Path(value).suffix.lower() in SUFFIXES:
            value = folder / value
        sources.append(value)
    return sources
