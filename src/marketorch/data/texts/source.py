"""Texts with or without labels, from whatever file a user has.

`TextData` is lazy: constructing it reads nothing, so prediction needs no training data. Given
files are taken as they are; one file alone is cut into a stratified, seeded
train / validation / test split, after exact duplicates are dropped, so no text is in two splits.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from marketorch.data.dataset import RawDataset
from marketorch.data.labelled import Examples, LabelledData
from marketorch.data.reading import (
    FOREIGN,
    FORMATS,
    label_name,
    listed,
    open_table,
    read_table,
    usable_rows,
)
from marketorch.errors import DataError

SENTENCE = re.compile(r"(?<=[.!?])\s+|<br\s*/?>")


@dataclass
class TextDataset(RawDataset):
    """Raw texts; ``labels`` ``(N,)`` index the schema's classes, -1 for unlabelled ones."""

    texts: list[str]
    labels: Tensor | None = None
    ids: Sequence[object] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, indices: Sequence[int]) -> TextDataset:
        """A data set of some of the examples."""
        return TextDataset(
            [self.texts[i] for i in indices],
            None if self.labels is None else self.labels[list(indices)],
            [i if self.ids is None else self.ids[i] for i in indices],
        )


@dataclass(kw_only=True, eq=False, repr=False)
class TextData(LabelledData):
    """Labelled (or unlabelled) text from CSV, TSV, JSON lines, Parquet, text files or a hub id.

        >>> train = TextData(path="reviews.csv", label="stars").split("train")
        >>> train.texts[0], train.labels.shape  # classes by number, (N,)

    Args:
        text: column of the texts.
        clip: cut training texts into pieces of at most so many words, each with its text's label.

    The other arguments are those of `marketorch.data.splits.Splits`,
    `marketorch.data.labelled.ExampleData` and `marketorch.data.labelled.LabelledData`.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    text: str = "text"
    clip: int | None = None

    noun = "texts"

    # -- the DataSource protocol --------------------------------------------------------------

    def split(self, name: str) -> TextDataset:
        """Reads ``train``, ``validation`` or ``test``."""
        part = self.part(name)
        dataset = TextDataset(part.values, self._numbers(part, name), part.rows)
        return clipped(dataset, self.clip) if name == "train" and self.clip else dataset

    def inputs(self, source: Any, *, contains: str | None = None) -> TextDataset:
        """Reads texts to predict on: a file with the text column, or a text itself.

        Args:
            source: see `read_inputs`.
            contains: keep those alone that mention this, whatever its case.
        """
        texts = read_inputs(source, self.text, encoding=self.encoding, on_bad=self.on_bad)
        return mentioning(texts, contains) if contains else texts

    def fingerprint(self) -> str:
        """Hash of the training texts and labels."""
        part = self.part("train")
        digest = hashlib.blake2b(digest_size=16)
        for text, label in zip(part.values, part.labels or [""] * len(part.values), strict=True):
            digest.update(f"{label}\t{text}\n".encode())
        return digest.hexdigest()

    def key(self, value: str) -> str:
        """A text as repeats are found by: case and white space do not count."""
        return " ".join(value.lower().split())

    # -- reading ------------------------------------------------------------------------------

    def _read(self, path: str, *, labelled: bool = True) -> Examples:
        table = read_table(path, encoding=self.encoding, hub_config=self.hub_config)
        texts = listed(table, self.text, "data.text", path)
        roles = self._roles(table, path) if labelled else {}
        bad = {i: "text is " + _kind(t) for i, t in enumerate(texts) if not _usable(t)}
        labels: list[Any] | None = None
        if self.label and labelled:
            labels = listed(table, self.label, "data.label", path)
            bad |= {i: "label is null" for i, value in enumerate(labels) if value is None}
            labels = [label_name(label) for label in labels]
        bad = dict(sorted((bad | self._blank(roles)).items()))
        good = usable_rows(bad, len(texts), path, self.on_bad)
        rows = [i + 1 for i in range(len(texts))]
        return Examples(texts, labels, rows, roles=roles).select(good)


def read_inputs(
    source: Any, text: str = "text", *, encoding: str = "utf-8", on_bad: str = "error"
) -> TextDataset:
    """Texts to predict on: the ``text`` column of a file, the lines of a .txt, or a text itself.

    Args:
        source: a file or a text; a ``Path``, which is a file in any case; a list of texts; or a
            table in memory, see `marketorch.data.reading.in_memory`.

    Raises:
        DataError: ``source`` is a folder, or a file without that column or of another format.
    """
    shown = "the input"
    if isinstance(source, (str, Path)) and os.path.isdir(source):
        raise DataError(f"{source} is a folder; expected a file ({', '.join(FORMATS)}) or a text.")
    if isinstance(source, str) and not _names_a_file(source):
        return TextDataset([source])
    if isinstance(source, (list, tuple)) and not (source and isinstance(source[0], Mapping)):
        texts = list(source)
    else:
        table, shown = open_table(source, encoding=encoding)
        name = "text" if shown.lower().endswith(".txt") else text
        texts = listed(table, name, "data.text", shown)
    bad = {i: "text is " + _kind(t) for i, t in enumerate(texts) if not _usable(t)}
    good = usable_rows(bad, len(texts), shown, on_bad)
    return TextDataset([texts[i] for i in good], ids=[i + 1 for i in good])


def _names_a_file(text: str) -> bool:
    return Path(text).suffix.lower() in (*FORMATS, *FOREIGN) or os.path.exists(text)


def mentioning(dataset: TextDataset, text: str) -> TextDataset:
    """The examples that mention ``text``, whatever its case. DataError if there are none."""
    wanted = text.lower()
    kept = [i for i, own in enumerate(dataset.texts) if wanted in own.lower()]
    if not kept:
        raise DataError(f"contains={text}: none of {len(dataset):,} rows mentions it.")
    return dataset.select(kept)


def clipped(dataset: TextDataset, num_words: int) -> TextDataset:
    """Pieces of at most ``num_words`` words, ended at sentences where there are any."""
    texts, owners = [], []
    for i, text in enumerate(dataset.texts):
        piece: list[str] = []
        for sentence in SENTENCE.split(text):
            words = sentence.split()
            if piece and len(piece) + len(words) > num_words:
                texts.append(" ".join(piece))
                owners.append(i)
                piece = []
            piece += words
        if piece:
            texts.append(" ".join(piece[: 2 * num_words]))
            owners.append(i)
    owned = dataset.select(owners)
    return TextDataset(texts, owned.labels, owned.ids)


def _usable(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _kind(text: object) -> str:
    if text is None:
        return "null"
    return "empty" if isinstance(text, str) else f"{type(text).__name__}, not a string"
