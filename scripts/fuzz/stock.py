"""Whole files to damage: drawn by the embedded generators, taken from real data, and tiny runs.

What is made here is made once, in a process of its own, and lies in a folder that workers read.
Of real files a beginning is enough: an input has to be read in some hundredths of a second.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator
from PIL import Image

from marketorch import compose, load_run, train
from marketorch.config import tiny
from marketorch.console import console
from marketorch.data.scenes.invented_marks import MARKS
from marketorch.data.synthetic.customers import make_customers
from marketorch.data.synthetic.reviews import generate_reviews
from marketorch.data.synthetic.shop import make_shop
from marketorch.errors import UserError
from marketorch.listening.folder import analyse_folder
from marketorch.listening.listener import Listener
from marketorch.runs import Run

SHORT = ["trainer.max_steps=2", "data.num_test=0"]
RUNS = {
    "sentiment": tiny("sentiment", *SHORT),
    "emotion": tiny("emotion", "data.size=24", *SHORT),
    "logo": tiny("logo", "data.size=96", "trainer.ema_decay=0.0", *SHORT),
    "recommender": tiny("recommender", "data.num_items=100", "trainer.max_steps=2"),
    "propensity": tiny("propensity", "model=logistic", "data.num_test=100"),
}
HEAD, ROWS = 6000, 40  # bytes of a text file, rows of a Parquet file, that are taken of real ones
FAMILIES = {  # of real files, by what their names end in below the data folder
    "tables": ("tabular/*.csv", "tabular/*.parquet"),
    "texts": ("text/*.csv", "text/*.tsv", "sentiment/*/*.parquet", "sentiment/*/*.csv"),
    "events": ("recommender/*/*.parquet", "recommender/*/*.csv", "recommender/*/*.inter"),
    "pixels": ("emotion/*/*.parquet",),
    "photos": ("logo/*/images/*.jpg", "emotion/smiles/test/*/*.jpg"),
    "marks": ("logo/brand_marks/*.svg", "logo/distractor_marks/*.svg"),
}
SIDE = 96  # pixels of real photos
MOST = 60  # real files of a family


class Stock:
    """Where whole files lie.

    Args:
        folder: made by `make`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, name: str) -> Path:
        """A finished run of `RUNS`."""
        return self.folder / "runs" / name

    @cache
    def loaded(self, name: str) -> Run:
        """The same, loaded; kept by the process that asks."""
        return load_run(self.run(name))

    @cache
    def real(self, family: str) -> list[tuple[str, bytes]]:
        """Names and contents of real files of a family; none without real data."""
        files = sorted((self.folder / "real" / family).glob("*"))
        return [(file.name, file.read_bytes()) for file in files]

    def one(self, rng: Generator, family: str) -> tuple[str, bytes] | None:
        """A real file, half of the time if there are any."""
        files = self.real(family)
        return files[int(rng.integers(len(files)))] if files and rng.random() < 0.5 else None

    @property
    def records(self) -> Path:
        """What listening has written of some posts."""
        return self.folder / "posts.parquet"


def make(folder: Path, data_dir: str | None) -> Stock:
    """Trains the tiny runs and takes samples of real data, in a process that is forked for it.

    Raises:
        UserError: something of that fails.
    """

    def work() -> None:
        console.quiet = True
        for name, recipe in RUNS.items():
            train(compose([*recipe, f"run_dir={folder / 'runs' / name}"]))
            (folder / "runs" / name / "evaluation").mkdir(exist_ok=True)
        _listened(folder)
        for family, patterns in FAMILIES.items() if data_dir else ():
            for place, file in enumerate(_some(Path(data_dir or ""), patterns)):
                name = f"{place:03d}_{file.name}"
                content = sample(file)
                (folder / "real" / family).mkdir(parents=True, exist_ok=True)
                (folder / "real" / family / name).write_bytes(content)

    in_child(work)
    return Stock(folder)


def in_child(work: Callable[[], None]) -> None:
    """Runs something in a forked process. UserError if it fails there."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise UserError("The whole files to damage could not be made; see above.")


def _listened(folder: Path) -> None:
    """Writes the records of a few posts."""
    rows = [["image", "text", "id", "time", "author"]]
    for place, text in enumerate(generate_reviews(12, seed=3).texts):
        Image.fromarray(photo(np.random.default_rng(place))).save(folder / f"{place}.png")
        rows.append([f"{place}.png", text, f"p{place}", f"2024-05-{place + 1:02d}", "somebody"])
    with (folder / "posts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    runs = {name: folder / "runs" / name for name in ("sentiment", "logo")}
    analyse_folder(Listener.load(**runs), folder / "posts.csv", folder / "posts.parquet")


# -- real files -------------------------------------------------------------------------------


def _some(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files of some patterns from all over a folder."""
    files = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
    return files[:: max(1, -(-len(files) // MOST))]


def sample(file: Path) -> bytes:
    """A beginning of a real file, or a smaller photo, that is whole by itself."""
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        stream = io.BytesIO()
        batch = next(pq.ParquetFile(file).iter_batches(ROWS))
        pq.write_table(pa.Table.from_batches([batch]), stream)
        return stream.getvalue()
    if suffix == ".jpg":
        stream = io.BytesIO()
        image = Image.open(file)
        image.thumbnail((SIDE, SIDE))
        image.save(stream, "JPEG")
        return stream.getvalue()
    with file.open("rb") as opened:
        head = opened.read(HEAD if suffix != ".svg" else -1)
    return head if suffix == ".svg" else head[: head.rfind(b"\n") + 1]


# -- drawn files ------------------------------------------------------------------------------


def photo(rng: Generator) -> np.ndarray:
    """A few coloured squares ``(H, W, 3)`` uint8."""
    height, width = rng.integers(12, 64, 2).tolist()
    pixels = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(3):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        pixels[y : y + 20, x : x + 20] = rng.integers(0, 256, 3)
    return pixels


@cache
def marks() -> list[str]:
    """SVG of the embedded brands."""
    return list(MARKS.values())


@cache
def customers() -> pd.DataFrame:
    """A hundred and twenty embedded customers."""
    return make_customers(range(120), seed=0).table.to_pandas()


@cache
def reviews() -> list[tuple[str, str]]:
    """Embedded reviews with their classes."""
    drawn = generate_reviews(60, seed=0)
    names = ("negative", "positive")
    return [
        (text, names[int(label)]) for text, label in zip(drawn.texts, drawn.labels, strict=True)
    ]


@cache
def shop() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Events, items and users of an embedded shop, some rows of each."""
    drawn = make_shop(num_users=15, num_items=80, events_per_user=6, cold_users=0.0)
    return drawn.events.head(120), drawn.items, drawn.users


def lines_of(frame: pd.DataFrame) -> Iterator[list[str]]:
    """The header and the rows of a table as texts."""
    yield [str(name) for name in frame.columns]
    for row in frame.itertuples(index=False):
        yield ["" if value is None or value != value else str(value) for value in row]
