"""Posts to listen to: a folder of photos, or a CSV with columns of photos, texts, or both.

Posts come from strangers. A post that cannot be used is never an error and never left out: it comes
with its faults, each the part that is bad and the reason. The photos of a table lie in one folder;
a name that leads out of it, by ``..``, from the root or along a link, is a fault.

Tables are read a row at a time, and their fields stay the text that they are: no number, date or
missing value is guessed from them.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

from marketorch.data.images.dataset import Pixels
from marketorch.data.images.decoding import SUFFIXES, photo_files
from marketorch.errors import ConfigError, DataError, closest

COLUMNS = ("image", "text", "id", "time", "author")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SURROGATE = re.compile("[\ud800-\udfff]")
Fault = dict[str, str]


@dataclass(frozen=True, eq=False)
class Post:
    """A post as it comes.

    Args:
        photo: a file, its content, or pixels ``(H, W, 3)`` or ``(H, W)`` uint8.
        text: the caption.
        id, time, author: carried along as they are.
        image: what the photo is called.
        faults: what is known to be wrong with the post: ``part`` and ``reason``.
    """

    photo: Path | bytes | Pixels | None = None
    text: str | None = None
    id: str | None = None
    time: str | None = None
    author: str | None = None
    image: str | None = None
    faults: tuple[Fault, ...] = ()


class Posts(Protocol):
    """Where posts come from: how many there are, and each in its turn, from any place on."""

    def __len__(self) -> int: ...

    def start_at(self, place: int) -> Iterator[Post]:
        """Yields the posts from ``place`` on."""

    def fingerprint(self) -> str:
        """A hash that changes when the posts do."""


def read_posts(
    source: str | Path, columns: dict[str, str] | None = None, images: str | Path | None = None
) -> Posts:
    """The posts of a photo, a folder of photos, or a table.

    Args:
        source: where they are; a table is a CSV or a TSV.
        columns: names of the table's columns by what they hold, see `COLUMNS`. A column that is not
            named here may be missing, if it is not called so.
        images: the folder that the photos of a table lie in; None: that of the table.

    Raises:
        DataError: the source is missing, empty, or has no column of photos or texts.
        ConfigError: ``columns`` or ``images`` are given for what is no table.
    """
    path = Path(source)
    if path.suffix.lower() in DELIMITERS:
        return TableOfPosts(path, columns or {}, Path(images) if images else path.parent)
    if columns or images:
        options = ", ".join([*(columns or {}), *(["images"] if images else [])])
        raise ConfigError(f"{options}: only a table (.csv, .tsv) has columns; {source} is none.")
    return FolderOfPhotos(path)


def is_one_photo(source: str | Path) -> bool:
    """Whether a source is neither a table nor a folder."""
    path = Path(source)
    return path.suffix.lower() not in DELIMITERS and not path.is_dir()


class FolderOfPhotos:
    """Every photo in a folder is a post without a text, called by its path in there."""

    def __init__(self, path: Path) -> None:
        if path.is_file() and path.suffix.lower() not in SUFFIXES:
            tables = ", ".join(DELIMITERS)
            raise DataError(f"{path}: expected a photo, a folder of them, or a table ({tables}).")
        self.folder = path if path.is_dir() else path.parent
        self.files = photo_files(path)

    def __len__(self) -> int:
        return len(self.files)

    def start_at(self, place: int) -> Iterator[Post]:
        """Yields the posts from ``place`` on."""
        for file in self.files[place:]:
            name = file.relative_to(self.folder).as_posix()
            yield _with_photo(self.folder, name, Post(id=valid(name), image=valid(name)))

    def fingerprint(self) -> str:
        """Hash of the photos' names, sizes and times of their last change."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.files:
            about = file.lstat()
            name = file.relative_to(self.folder).as_posix().encode(errors="surrogateescape")
            digest.update(name + f"\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
        return digest.hexdigest()


class TableOfPosts:
    """The rows of a CSV or TSV.

    Args:
        path: the file, in UTF-8; a row that is not is a fault.
        columns: names of its columns by what they hold.
        images: the folder that its photos lie in.
    """

    def __init__(self, path: Path, columns: dict[str, str], images: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path} does not exist.")
        if not images.is_dir():
            raise DataError(f"images={images}: there is no such folder.")
        if unknown := [name for name in columns if name not in COLUMNS]:
            raise ConfigError(f"{unknown[0]}: expected one of {', '.join(COLUMNS)}.")
        self.path, self.images = path, images
        header: list[str] | str = next(self._lines(), [])
        if isinstance(header, str):
            raise DataError(f"{path} has no header that can be read: {header}.")
        self.header = [valid(name) for name in header]
        self.columns = self._found(columns)
        self.number = sum(1 for _ in self._rows())
        if not self.number:
            raise DataError(f"{path} has no posts.")

    def __len__(self) -> int:
        return self.number

    def start_at(self, place: int) -> Iterator[Post]:
        """Yields the posts from ``place`` on."""
        for number, row in enumerate(islice(self._rows(), place, None), start=place + 1):
            yield self._post(number, row)

    def fingerprint(self) -> str:
        """Hash of the table. Its photos are not read for it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]

    def _found(self, asked: dict[str, str]) -> dict[str, int]:
        """Which column holds what. DataError if one that is asked for is missing."""
        for kind, name in asked.items():
            if name not in self.header:
                raise DataError(
                    f"{self.path} has no column '{name}' ({kind}).{closest(name, self.header)} "
                    f"Columns found: {', '.join(self.header)}."
                )
        names = dict(zip(COLUMNS, COLUMNS, strict=True)) | asked
        found = {k: self.header.index(name) for k, name in names.items() if name in self.header}
        if not found.keys() & {"image", "text"}:
            raise DataError(
                f"{self.path} has no column 'image' or 'text'; image=… and text=… name them. "
                f"Columns found: {', '.join(self.header)}."
            )
        return found

    def _lines(self) -> Iterator[list[str] | str]:
        """The rows with the header; a row that cannot be parsed is the reason why."""
        # What is no UTF-8 becomes lone surrogates, by which `_post` knows it.
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, delimiter=DELIMITERS[self.path.suffix.lower()])
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield str(error)
                    continue
                if row:  # a blank line is none
                    yield row

    def _rows(self) -> Iterator[list[str] | str]:
        return islice(self._lines(), 1, None)

    def _post(self, number: int, row: list[str] | str) -> Post:
        if isinstance(row, str):
            return Post(id=str(number), faults=(fault("row", row),))
        if len(row) != len(self.header):
            wrong = f"{len(row)} fields; the header has {len(self.header)}"
            return Post(id=str(number), faults=(fault("row", wrong),))
        values = {kind: row[place] for kind, place in self.columns.items()}
        plain = {kind: valid(value) or None for kind, value in values.items()}
        faults = tuple(
            fault("photo" if kind == "image" else kind, "not valid UTF-8")
            for kind, value in values.items()
            if plain[kind] not in (value, None)
        )
        name, text = plain.get("image"), plain.get("text")
        post = Post(
            text=text if text and text.strip() else None,
            id=plain.get("id") or str(number),
            time=plain.get("time"),
            author=plain.get("author"),
            image=name,
            faults=faults,
        )
        damaged = any(own["part"] == "photo" for own in faults)
        return post if name is None or damaged else _with_photo(self.images, name, post)


def _with_photo(folder: Path, name: str, post: Post) -> Post:
    """The post with its photo, or with what is wrong with the photo's name."""
    try:
        return replace(post, photo=inside(folder, name))
    except DataError as error:
        return replace(post, faults=(*post.faults, fault("photo", str(error))))


def inside(folder: Path, name: str) -> Path:
    """The file called ``name`` in a folder, its links followed.

    Raises:
        DataError: there is no such file, or the name leads out of the folder.
    """
    flavours = PurePosixPath(name), PureWindowsPath(name)
    if any(path.anchor or ".." in path.parts for path in flavours):
        raise DataError("its name leads out of the folder")
    try:
        root, file = folder.resolve(), (folder / name).resolve()
        if not file.is_relative_to(root):
            raise DataError("a link leads out of the folder")
        if not file.is_file():
            raise DataError("there is no such file")
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        raise DataError("its name is none that a file can have") from error
    return file


def fault(part: str, reason: str) -> Fault:
    """What is wrong with a part of a post: its ``photo``, ``text`` or the whole ``row``."""
    return {"part": part, "reason": reason.rstrip(".")}


def valid(text: str) -> str:
    """The text with a replacement character for each that cannot be written as UTF-8."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
