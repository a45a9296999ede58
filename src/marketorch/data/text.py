"""Texts with or without labels, from whatever file a user has.

`TextData` is lazy: constructing it reads nothing, so prediction needs no training data. Given
files are taken as they are; one file alone is cut into a stratified, seeded
train / validation / test split, after exact duplicates are dropped, so no text is in two splits.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marketorch.data.labelled import LabelledTexts, concatenate, normal
from marketorch.data.reading import FORMATS, column, read_table, some
from marketorch.data.splits import keep_labels, stratified_cut
from marketorch.engine.tracking import say
from marketorch.errors import DataError, closest

SENTENCE = re.compile(r"(?<=[.!?])\s+|<br\s*/?>")


@dataclass
class TextDataset:
    """Raw texts; ``labels`` ``(N,)`` index the schema's classes, -1 for unlabelled ones."""

    texts: list[str]
    labels: Tensor | None = None
    ids: Sequence[object] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def containing(self, text: str) -> TextDataset:
        """The examples that mention ``text``, whatever its case."""
        wanted = text.lower()
        return self.select([i for i, own in enumerate(self.texts) if wanted in own.lower()])

    def select(self, indices: Sequence[int]) -> TextDataset:
        """A data set of some of the examples."""
        return TextDataset(
            [self.texts[i] for i in indices],
            None if self.labels is None else self.labels[list(indices)],
            [i if self.ids is None else self.ids[i] for i in indices],
        )


class TextData:
    """Labelled (or unlabelled) text from CSV, TSV, JSON lines, Parquet, text files or a hub id.

    Args:
        path: file(s) or hub id with the training examples, or with all of them.
        validation, test: files of their own for these splits, if there are any.
        text, label: column names; ``label: null`` reads texts alone.
        exclude: files whose texts (never their labels) must not be trained on.
        split: column that says ``train``, ``validation`` or ``test``.
        validation_fraction, test_fraction: shares to cut from ``path`` where no file and no
            column gives the split; a test share is cut only if neither file nor column does.
        split_seed: seed of that cut.
        block: neighbouring rows that stay together in that cut, for files whose neighbours belong
            together (reviews of one film, posts of one day).
        duplicates: ``drop`` or ``keep`` repeated texts before that cut; kept ones can be in two
            splits and flatter the result.
        clip: cut training texts into pieces of at most so many words, each with its text's label.
        num_labelled: keep so many labels of the training split (stratified); the rest of it
            is unlabelled.
        class_names: from the file's labels to the names to print, e.g. ``{0: negative}``.
        on_bad: ``error`` or ``skip`` for empty, null or non-string texts and null labels.
        encoding: of text files.
        hub_config: configuration name of a hub data set.

    Raises:
        DataError: on reading, with the file, the row or the column, what was found and expected.
    """

    def __init__(
        self,
        *,
        path: str | Sequence[str],
        validation: str | None = None,
        test: str | None = None,
        exclude: Sequence[str] = (),
        text: str = "text",
        label: str | None = "label",
        split: str | None = None,
        validation_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        block: int = 1,
        duplicates: str = "drop",
        clip: int | None = None,
        num_labelled: int | None = None,
        class_names: dict[Any, str] | None = None,
        on_bad: str = "error",
        encoding: str = "utf-8",
        hub_config: str | None = None,
    ) -> None:
        if on_bad not in ("error", "skip"):
            raise DataError(f"data.on_bad is '{on_bad}'; expected error or skip.")
        if duplicates not in ("drop", "keep"):
            raise DataError(f"data.duplicates is '{duplicates}'; expected drop or keep.")
        self.paths = [path] if isinstance(path, str) else list(path)
        self.files = {"validation": validation, "test": test}
        self.excluded_files = list(exclude)
        self.text, self.label, self.split_column = text, label, split
        self.fractions = {"validation": validation_fraction, "test": test_fraction}
        self.split_seed, self.num_labelled = split_seed, num_labelled
        self.block, self.duplicates, self.clip = block, duplicates, clip
        self.class_names = {str(key): name for key, name in (class_names or {}).items()}
        self.on_bad, self.encoding, self.hub_config = on_bad, encoding, hub_config

    # -- the DataSource protocol --------------------------------------------------------------

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Classes in order, how many training examples each has, and how many are unlabelled."""
        labels = self._parts["train"].labels
        if labels is None:
            return {"classes": [], "num_examples": len(self._parts["train"].texts)}
        counts = Counter(labels)
        classes = sorted(counts, key=_numerically)
        if len(classes) < 2:
            raise DataError(
                f"{self.paths[0]}: column '{self.label}' has one class only ({some(classes)}); "
                "a classifier needs two."
            )
        return {
            "classes": [self.class_names.get(name, name) for name in classes],
            "raw_classes": classes,
            "class_counts": [counts[name] for name in classes],
            "num_examples": len(labels),
        }

    def split(self, name: str) -> TextDataset:
        """Reads ``train``, ``validation`` or ``test``."""
        part = self._part(name)
        dataset = TextDataset(part.texts, self._encode(part, name), part.rows)
        if name == "train" and self.num_labelled and dataset.labels is not None:
            dataset.labels = keep_labels(dataset.labels, self.num_labelled, self.split_seed)
        return clipped(dataset, self.clip) if name == "train" and self.clip else dataset

    def inputs(self, source: str) -> TextDataset:
        """Reads texts to predict on: a file with the text column, or a text itself."""
        return read_inputs(source, self.text, encoding=self.encoding, on_bad=self.on_bad)

    def fingerprint(self) -> str:
        """Hash of the training texts and labels."""
        part = self._parts["train"]
        digest = hashlib.blake2b(digest_size=16)
        for text, label in zip(part.texts, part.labels or [""] * len(part.texts), strict=True):
            digest.update(f"{label}\t{text}\n".encode())
        return digest.hexdigest()

    # -- splits -------------------------------------------------------------------------------

    def _part(self, name: str) -> LabelledTexts:
        if self.files.get(name) and name not in self._parts:
            self._parts[name] = self._read(str(self.files[name]), self.text, self.label)
            self._report_repeats(name)
        if name not in self._parts:
            raise DataError(f"The data have no {name} split (found: {some(self._parts)}).")
        return self._parts[name]

    @cached_property
    def _parts(self) -> dict[str, LabelledTexts]:
        """The splits that ``path`` alone gives; files of their own are read when asked for."""
        parts = [self._read(path, self.text, self.label) for path in self.paths]
        whole = self._without_excluded(concatenate(parts))
        if self.split_column:
            return self._by_column(whole)
        return self._cut(whole if self.duplicates == "keep" else whole.unique())

    def _without_excluded(self, whole: LabelledTexts) -> LabelledTexts:
        forbidden: set[str] = set()
        for path in self.excluded_files:
            forbidden.update(map(normal, self._read(path, self.text, None).texts))
        allowed = whole.without(forbidden)
        dropped = len(whole.texts) - len(allowed.texts)
        if dropped:
            say(f"{dropped:,} texts stand in data.exclude and were dropped.")
        return allowed

    def _report_repeats(self, name: str) -> None:
        """Says how many texts of a split with a file of its own were trained on."""
        known = set(map(normal, self._parts["train"].texts))
        seen = sum(normal(text) in known for text in self._parts[name].texts)
        if seen:
            say(
                f"{seen:,} texts of the {name} split are in the training split too; "
                f"data.exclude=[{self.files[name]}] drops them there."
            )

    def _by_column(self, whole: LabelledTexts) -> dict[str, LabelledTexts]:
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(whole.splits or []):
            groups.setdefault(
                {"val": "validation", "dev": "validation"}.get(name, name), []
            ).append(i)
        if "train" not in groups:
            raise DataError(
                f"{self.paths[0]}: column '{self.split_column}' has no 'train' rows; "
                f"found {some(groups)}."
            )
        return {name: whole.take(rows) for name, rows in groups.items()}

    def _cut(self, whole: LabelledTexts) -> dict[str, LabelledTexts]:
        """Stratified cuts for the splits that have no file; the rest is for training."""
        rest, parts = list(range(len(whole.texts))), {}
        own_file = [name for name, file in self.files.items() if file]
        for name in ("test", "validation"):
            if name in own_file or not self.fractions[name]:
                continue
            labels = whole.labels and [whole.labels[i] for i in rest]
            try:
                rest, taken = stratified_cut(
                    rest, labels, self.fractions[name], block=self.block, seed=self.split_seed
                )
            except ValueError as error:
                counts = dict(Counter(labels or []))
                raise DataError(
                    f"{self.paths[0]}: cannot cut a stratified {name} split from "
                    f"{len(rest)} examples with classes {counts}: {error} Merge or drop the rarest "
                    "class, add examples of it, or change the share."
                ) from error
            parts[name] = whole.take(sorted(taken))
        return parts | {"train": whole.take(sorted(rest))}

    def _encode(self, part: LabelledTexts, split: str) -> Tensor | None:
        """Class numbers of a part's labels, by the training split's classes."""
        if part.labels is None:
            return None
        raw = self.schema["raw_classes"]
        number = {name: i for i, name in enumerate(raw)}
        unseen = Counter(label for label in part.labels if label not in number)
        if unseen:
            label = next(iter(unseen))
            row = part.rows[part.labels.index(label)]
            raise DataError(
                f"The {split} split has labels that training never saw: {dict(unseen)} (first at "
                f"row {row}).{closest(label, raw)} Training has: {', '.join(raw)}."
            )
        return torch.tensor([number[label] for label in part.labels])

    # -- reading ------------------------------------------------------------------------------

    def _read(self, path: str, text: str, label: str | None) -> LabelledTexts:
        table = read_table(path, encoding=self.encoding, hub_config=self.hub_config)
        texts = column(table, text, "data.text", path).to_pylist()
        labels = column(table, label, "data.label", path).to_pylist() if label else None
        splits = None
        if self.split_column and path in self.paths:
            splits = column(table, self.split_column, "data.split", path).to_pylist()
        bad = {i: "text is " + _kind(t) for i, t in enumerate(texts) if not _usable(t)}
        bad |= {i: "label is null" for i, value in enumerate(labels or []) if value is None}
        good = usable_rows(bad, len(texts), path, self.on_bad)
        return LabelledTexts(
            [texts[i] for i in good],
            [_name(labels[i]) for i in good] if labels else None,
            [i + 1 for i in good],
            [str(splits[i]) for i in good] if splits else None,
        )


def read_inputs(
    source: str, text: str = "text", *, encoding: str = "utf-8", on_bad: str = "error"
) -> TextDataset:
    """Texts to predict on: the ``text`` column of a file, the lines of a .txt, or a text itself."""
    path = Path(source)
    if not path.exists() and path.suffix.lower() not in FORMATS:
        return TextDataset([source])
    table = read_table(source, encoding=encoding)
    name = "text" if path.suffix.lower() == ".txt" else text
    texts = column(table, name, "data.text", source).to_pylist()
    bad = {i: "text is " + _kind(t) for i, t in enumerate(texts) if not _usable(t)}
    good = usable_rows(bad, len(texts), source, on_bad)
    return TextDataset([texts[i] for i in good], ids=[i + 1 for i in good])


def usable_rows(bad: dict[int, str], total: int, path: str, on_bad: str) -> list[int]:
    """The rows that are not bad; reports the bad ones, or refuses them where ``on_bad`` says so."""
    if bad:
        rows = some(f"row {i + 1} ({reason})" for i, reason in bad.items())
        message = f"{path}: {len(bad):,} of {total:,} rows are bad: {rows}."
        if on_bad == "error":
            raise DataError(f"{message} Mend them, or drop them with data.on_bad=skip.")
        say(f"{message} Skipped (data.on_bad=skip).")
    if len(bad) == total:
        raise DataError(f"{path} has no usable row: all {total:,} are bad.")
    return [i for i in range(total) if i not in bad]


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


def _name(label: object) -> str:
    """A label as text; 1.0 and True read as the whole numbers they stand for."""
    if isinstance(label, (bool, float)) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _numerically(name: str) -> tuple[float, str]:
    return (float(name), "") if name.lstrip("-").isdigit() else (float("inf"), name)
