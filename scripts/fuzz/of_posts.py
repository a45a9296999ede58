"""Posts to listen to, their records, uploads of the page, and what it is told."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from damage import damaged, damaged_json, damaged_value, encoded, pick, token
from numpy.random import Generator
from of_images import spoilt, whole
from of_tables import Table, worse
from of_tables import spoilt as spoilt_cells
from stock import Stock, reviews
from watched import Asked, Reader

from marketorch.app.answers import Answers
from marketorch.app.uploads import content, moved, posts_of
from marketorch.listening.folder import analyse_folder
from marketorch.listening.listener import Listener
from marketorch.listening.posts import Posts, read_posts
from marketorch.listening.record import SCHEMA, from_json, read_records
from marketorch.listening.report.brand_report import answered
from marketorch.listening.report.tables import flatten_records

UPLOADS = [
    "posts.csv",
    "posts.tsv",
    "photo.png",
    "posts.zip",
    "posts.zip",
    "posts.zip",
    "posts.pdf",
]
RUNS = ("sentiment", "logo")


def readers(stock: Stock) -> list[Reader]:
    """The readers of posts and of uploads."""

    def posts(rng: Generator, folder: Path) -> Asked:
        source, names = _posts(rng, folder, stock), ("image", "text", "images=", "columns")
        columns = {"text": token(rng)} if rng.random() < 0.1 else {}
        return Asked(lambda: _each(read_posts(source, columns)), names)

    def listened(rng: Generator, folder: Path) -> Asked:
        source, output = _posts(rng, folder, stock), folder / "out" / "posts.parquet"
        if rng.random() < 0.5:
            _left_over(rng, output.with_name("posts.parquet.parts"), stock)
        listener = _listener(stock)
        return Asked(lambda: analyse_folder(listener, source, output), ("image",))

    def records(rng: Generator, folder: Path) -> Asked:
        path = folder / "records.parquet"
        path.write_bytes(_records(rng, stock))
        return Asked(lambda: answered(flatten_records(read_records(path))))

    def uploads(rng: Generator, folder: Path) -> Asked:
        name = str(pick(rng, UPLOADS))
        path = folder / "up" / name
        path.parent.mkdir()
        path.write_bytes(_upload(rng, name, stock))
        return Asked(lambda: _each(read_posts(_taken(path, folder))), ("image", name))

    def asked(rng: Generator, folder: Path) -> Asked:
        return _question(rng, folder, stock)

    return [
        *(Reader("posts", posts, 1.5), Reader("listening", listened, 0.3)),
        *(Reader("records", records, 1.0), Reader("uploads", uploads, 1.5)),
        Reader("page", asked, 0.6),
    ]


def _each(posts: Posts) -> None:
    """Goes through all posts."""
    assert len(list(posts.start_at(0))) == len(posts)
    posts.fingerprint()


def _taken(upload: Path, folder: Path) -> Path:
    """What the page reads an upload from."""
    if upload.suffix != ".png":
        return posts_of(moved(upload, folder / "moved"), folder / "posts")
    (folder / "moved.png").write_bytes(content(upload))
    return folder / "moved.png"


def _listener(stock: Stock) -> Listener:
    runs: dict[str, Any] = {name: stock.loaded(name) for name in RUNS}
    return Listener(**runs, explain=1, max_pixels=10**6)


# -- posts ------------------------------------------------------------------------------------


def _posts(rng: Generator, folder: Path, stock: Stock) -> Path:
    """A table of posts with photos beside it, or a folder of photos."""
    for place in range(int(rng.integers(0, 4))):
        data = spoilt(rng, stock) if rng.random() < 0.5 else whole(rng)
        (folder / f"{place}.png").write_bytes(data)
    if rng.random() < 0.15:
        return Path(pick(rng, [folder, folder / "0.png", folder / "gone.csv"]))
    path = folder / f"posts{pick(rng, ['.csv', '.csv', '.tsv'])}"
    path.write_bytes(_table(rng, path.suffix))
    return path


def _table(rng: Generator, suffix: str) -> bytes:
    """A CSV or TSV of posts, damaged at times."""
    number = int(rng.integers(1, 9))
    texts = [reviews()[int(i)][0] for i in rng.integers(0, 60, number)]
    table: Table = {
        "image": [f"{i % 4}.png" if rng.random() < 0.5 else "" for i in range(number)],
        "text": texts,
        "id": [str(i) for i in range(number)],
        "time": [f"2024-05-{i + 1:02d}" for i in range(number)],
    }
    if rng.random() < 0.2:
        del table[str(pick(rng, list(table)))]
    rows = zip(*spoilt_cells(rng, table).values(), strict=True)
    mark = "\t" if suffix == ".tsv" else ","
    lines = [mark.join(table), *(mark.join(_quoted(cell) for cell in row) for row in rows)]
    return worse(rng, encoded("\n".join(lines)), suffix)


def _quoted(cell: str) -> str:
    inner = cell.replace('"', '""')
    return f'"{inner}"'


def _left_over(rng: Generator, parts: Path, stock: Stock) -> None:
    """What an analysis that was cut short has left: a plan and a part."""
    parts.mkdir(parents=True)
    plan = {"schema_version": 1, "runs": {}, "settings": {}, "source": {}, "posts_a_part": 64}
    (parts / "plan.json").write_bytes(damaged_json(rng, plan))
    (parts / "00000000.parquet").write_bytes(_records(rng, stock))


def _records(rng: Generator, stock: Stock) -> bytes:
    """A file of records whose values or bytes are damaged, or which holds something else."""
    rows = pq.read_table(stock.records).to_pylist(maps_as_pydicts="strict")
    way = rng.random()
    stream = io.BytesIO()
    if way < 0.35:
        return damaged(rng, stock.records.read_bytes())
    if way < 0.5:
        names = [str(pick(rng, [*SCHEMA.names, "x"])) for _ in range(3)]
        pq.write_table(pa.table({name: [1, 2] for name in dict.fromkeys(names)}), stream)
        return stream.getvalue()
    place = int(rng.integers(len(rows)))
    rows[place] = damaged_value(rng, rows[place])
    try:
        schema = SCHEMA if rng.random() < 0.7 else None
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), stream)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError):
        return stock.records.read_bytes()  # Arrow itself refuses to write it
    return stream.getvalue()


# -- the page ---------------------------------------------------------------------------------


def _upload(rng: Generator, name: str, stock: Stock) -> bytes:
    """What somebody uploads under a name."""
    suffix = Path(name).suffix
    if rng.random() < 0.05:
        return rng.bytes(100)
    if suffix in (".csv", ".tsv"):
        return _table(rng, suffix)
    return spoilt(rng, stock) if suffix == ".png" else _zip(rng, stock)


def _zip(rng: Generator, stock: Stock) -> bytes:
    """A zip of posts: hostile names, sizes that lie, damaged bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(pick(rng, [0, 8, 8, 12, 14]))) as archive:
        for place in range(int(rng.integers(0, 4))):
            archive.writestr(f"{place}.png", spoilt(rng, stock))
        for _ in range(int(rng.integers(0, 3))):
            own = str(pick(rng, [token(rng)[:40000], "posts.csv", "a/b.csv", "../x.png", "a.zip"]))
            name = own.encode("utf-8", "ignore").decode() or "x"
            content = _table(rng, ".csv") if rng.random() < 0.7 else bytes(2_000_000)
            archive.writestr(zipfile.ZipInfo(name), content)
    data = stream.getvalue()
    if rng.random() < 0.2:  # another size than that of the content
        place = data.find(b"PK\x01\x02")
        data = data[: place + 24] + struct.pack("<I", int(rng.integers(2**32))) + data[place + 28 :]
    return damaged(rng, data) if rng.random() < 0.5 else data


def _question(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """A text, a photo, a history or a report that the page is asked for."""
    answers = Answers({name: stock.loaded(name) for name in (*RUNS, "recommender")})
    ways: list[Callable[[], Asked]] = [
        lambda: _said(answers.text, token(rng) + token(rng)),
        lambda: _said(lambda text: answers.titles(None, text), f"{token(rng)}, {token(rng)}"),
        lambda: _photo_and_caption(rng, folder, stock, answers),
        lambda: _told(rng, folder, stock),
        lambda: _read_back(rng, stock),
    ]
    return pick(rng, ways)()


def _said(answer: Callable[[str], object], text: str) -> Asked:
    return Asked(lambda: answer(text), ("text", "typed", "history", "titles"))


def _photo_and_caption(rng: Generator, folder: Path, stock: Stock, answers: Answers) -> Asked:
    path, caption = folder / "photo.png", token(rng)
    path.write_bytes(spoilt(rng, stock))
    return Asked(lambda: answers.photo(str(path), caption), ("text", "photo"))


def _told(rng: Generator, folder: Path, stock: Stock) -> Asked:
    """What the page says of a run whose evaluation is damaged."""
    from dataclasses import replace

    from marketorch.app.runs import measured_run

    result = {
        "metrics": {"accuracy": 0.5},
        "baselines": {"a": {"accuracy": 0.4}},
        "num_examples": 9,
    }
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "test.json").write_bytes(damaged_json(rng, result))
    run = replace(stock.loaded("sentiment"), directory=folder)
    return Asked(lambda: measured_run("sentiment", run))


def _read_back(rng: Generator, stock: Stock) -> Asked:
    """A record as JSON."""
    post = pq.read_table(stock.records).to_pylist(maps_as_pydicts="strict")[0]
    line = damaged_json(rng, post).decode(errors="replace")
    return Asked(lambda: from_json(line), ("record",))
