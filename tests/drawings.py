"""Pictures that tests read: noise in folders, drawn faces on a wall, squares with their boxes."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from marketorch.data.synthetic.faces import draw

SIDE = 120  # of the drawn faces
COLOURS = ((220, 20, 20), (20, 20, 220))


def pixels(seed: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has ten thousand megapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    whole = png(np.zeros((1, 1), np.uint8))
    return whole[:8] + chunk + whole[33:]


def folder(
    root: Path, number: int = 10, names: tuple[str, ...] = ("cat", "dog"), seed: int = 0
) -> Path:
    """A folder a class, each with ``number`` pictures of noise."""
    for place, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(number):
            picture = pixels(seed + 100 * place + i)
            Image.fromarray(picture).save(root / name / f"{i}.png")
    return root


def face(seed: int = 0, side: int = SIDE, **units: float) -> np.ndarray:
    return draw(units, identity_seed=seed, size=side).numpy()


def canvas(*places: tuple[int, int], height: int = 300, width: int = 600) -> np.ndarray:
    """A grey wall with faces whose upper left corners are at ``places`` (x, y)."""
    wall = np.full((height, width), 150, np.uint8)
    for seed, (x, y) in enumerate(places):
        part = wall[max(y, 0) : y + SIDE, max(x, 0) : x + SIDE]
        part[:] = face(seed)[SIDE - part.shape[0] if y < 0 else 0 :, :][
            : part.shape[0], -part.shape[1] :
        ]
    return wall


def photos(folder: Path) -> Path:
    """A photo of two faces and one of a bare wall."""
    folder.mkdir(parents=True)
    for name, picture in (("two", canvas((40, 50), (300, 80))), ("none", canvas())):
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def squares(
    path: Path, number: int = 8, seed: int = 0, names: tuple[str, str] = ("red", "blue")
) -> Path:
    """A COCO file and its photos ``(128, 96)``: a coloured square each, but in every eighth none.

    For other seeds the squares lie elsewhere, in other shares, and the classes in another order.
    """
    folder, order = path.with_suffix(""), names[::-1] if seed % 2 else names
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(number):
        second = i % (2 + seed) == 1
        left, top, side = 8 * (i % 5) + 12 * (seed % 4), 6 * (i % 4) + 9 * (seed % 3), 48
        noise = np.random.default_rng((seed, i)).integers(120, 136, (96, 128, 3), dtype=np.uint8)
        if i % 8 < 7:
            noise[top : top + side, left : left + side] = COLOURS[second]
            box = {"bbox": [left, top, side, side], "category_id": order.index(names[second])}
            annotations.append({"id": i, "image_id": i} | box)
        Image.fromarray(noise).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{folder.name}/{i}.png"})
    categories = [{"id": i, "name": name} for i, name in enumerate(order)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(whole))
    return path
