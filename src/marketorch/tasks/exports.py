"""What is exported of a task: a function of one tensor, from encoded input to decoded answer.

A task's ``export`` method returns one. What a program needs besides, such as classes, vocabulary or
catalogue, is plain JSON that travels in the file. Shapes: B examples, L tokens or items, S side of
an image, K classes, N items, F numbers and C categories of a customer.
"""

from __future__ import annotations

import json
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn

from marketorch.data.boxes.dataset import GREY
from marketorch.engine.task import Batch
from marketorch.errors import ConfigError
from marketorch.models.boxes.compact_detector import CANDIDATES
from marketorch.models.texts.pretrained_text import CheckpointTokenizer
from marketorch.models.texts.tokenizer import CLS, SubwordTokenizer
from marketorch.tasks.interpolation import Interpolation

SHORT = 8  # tokens or items of what is made up


class ExportedFunction(nn.Module):
    """Base of what is exported.

    Args:
        task: the task, trained.
        source: where its data come from.

    ``reads`` names its input, which is also the key of the task's batches, ``gives`` its outputs;
    ``free`` names the dimensions of the input that are not fixed.
    """

    reads: str
    gives: tuple[str, ...]
    free: tuple[str, ...] = ("batch",)

    def __init__(self, task: Any, source: Any) -> None:
        super().__init__()
        self.task, self.source = task, source

    def encode(self, dataset: Any) -> Any:
        """A data set of which `read` takes batches."""
        return self.task.encode(dataset)

    def read(self, batch: Batch) -> Tensor:
        """The input, of a batch."""
        inputs: Tensor = batch[self.reads]
        return inputs

    def made_up(self, number: int) -> Tensor:
        """A batch of ``number`` random inputs, the same each time."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What a program needs besides the function, as plain JSON."""
        raise NotImplementedError


class TextExport(ExportedFunction):
    """Token ids ``(B, L)``, padded with 0 at the end, to calibrated probabilities ``(B, K)``."""

    reads, gives, free = "tokens", ("probabilities",), ("batch", "length")

    def __init__(self, task: Any, source: Any) -> None:
        super().__init__(task, source)
        model = self.task.model
        # Of two ways through a model, for short texts and for texts to be cropped, an exported
        # function has the second only; so wide, every text takes it.
        window = getattr(model, "window", None)
        self.extra = window if window and model.tokenizer.max_length > window else 0

    def forward(self, tokens: Tensor) -> Tensor:
        """Probabilities."""
        wide = F.pad(tokens, (0, self.extra)) if self.extra else tokens
        answer: Tensor = self.task.head.probabilities(self.task.members(wide))
        return answer

    def made_up(self, number: int) -> Tensor:
        """Tokens of the classes' names; each text is a token shorter than the one before."""
        tokenizer = self.task.model.tokenizer
        ids = tokenizer.encode([" ".join(self.task.classes)]).pad(torch.tensor([0]))[0]
        length = min(SHORT, getattr(tokenizer, "max_length", SHORT))
        return shortened(ids[torch.randint(len(ids), (number, length), generator=_generator())])

    def about(self) -> dict[str, Any]:
        """Classes and vocabulary."""
        return {"classes": self.task.classes, **vocabulary(self.task.model.tokenizer)}


class ImageExport(ExportedFunction):
    """Images ``(B, C, S, S)`` of bytes to calibrated probabilities ``(B, K)``."""

    reads, gives = "images", ("probabilities",)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities."""
        inputs = self.task.inputs({"images": images})
        answer: Tensor = self.task.head.probabilities(self.task.members(inputs))
        return answer

    def made_up(self, number: int) -> Tensor:
        """Noise."""
        return noise(number, len(self.task.mean), side_of(self.task, self.source))

    def about(self) -> dict[str, Any]:
        """Classes, and what is done to a photo before."""
        faces = getattr(self.source, "find_faces", "never") != "never"
        return {"classes": self.task.classes, "reads_faces": faces}


class BoxExport(ExportedFunction):
    """Photos ``(B, 3, S, S)`` of bytes to all boxes and scores of a detector.

    That is ``boxes (B, A, 4)``, x1 y1 x2 y2 in pixels of the input, and ``scores (B, A, K)`` at A
    points, before those of a class that overlap a surer one are dropped.
    """

    reads, gives = "images", ("boxes", "scores")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes and scores."""
        logits, boxes = self.task.model(images.float() / 255)
        return boxes.clamp(0, images.shape[-1]), logits.sigmoid()

    def made_up(self, number: int) -> Tensor:
        """Noise."""
        return noise(number, 3, side_of(self.task, self.source))

    def about(self) -> dict[str, Any]:
        """Classes, how photos are laid into the square, and how repeats are dropped."""
        model = self.task.model
        return {
            "classes": self.task.classes,
            "surroundings": GREY,
            "threshold": round(float(self.task.threshold), 6),
            "overlap": model.iou,
            "candidates": CANDIDATES,
            "detections": model.num_detections,
        }


class ItemExport(ExportedFunction):
    """Histories ``(B, L)`` of item numbers to scores ``(B, N)`` of the whole catalogue.

    Items are numbered from 1, in the order of the catalogue, oldest first, padded with 0 at the
    end; column n - 1 of the scores is item n.
    """

    reads, gives, free = "items", ("scores",), ("batch", "length")

    def forward(self, items: Tensor) -> Tensor:
        """Scores, without the column of the padding."""
        scores: Tensor = self.task.model({"items": items})
        return scores[:, 1:]

    def made_up(self, number: int) -> Tensor:
        """Random histories; each is an item shorter than the one before."""
        shape = (number, min(SHORT, self.task.model.length))
        most = len(self.task.catalogue.items) + 1
        return shortened(torch.randint(1, most, shape, generator=_generator()))

    def about(self) -> dict[str, Any]:
        """The catalogue's items, never its users."""
        catalogue = self.task.catalogue
        titles = {} if catalogue.titles is None else {"titles": catalogue.titles}
        limits = {"length": self.task.model.length, "drop_seen": self.task.mask_seen}
        return {"items": catalogue.items, **titles, **limits}


class TableExport(ExportedFunction):
    """Customers ``(B, F + C)`` to calibrated probabilities ``(B, K)``.

    A row holds its numbers as they are, NaN where one is missing, and then, of each category, the
    place of the level from 1, or 0. Scaling is part of the function.
    """

    reads, gives = "rows", ("probabilities",)

    def __init__(self, task: Any, source: Any) -> None:
        super().__init__(task, source)
        encoder = self.task.encoder
        number = self.number = len(encoder.knots)
        self.names = encoder.sources[:number]
        marked = [] if encoder.raw else encoder.sources[number : encoder.num_numbers]
        self.marked = [self.names.index(name) for name in marked]
        self.scaling = (
            None if encoder.raw else Interpolation(encoder.knots, encoder.heights, encoder.lengths)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Probabilities."""
        numbers, levels = rows[:, : self.number], rows[:, self.number :].long()
        if self.scaling is not None:
            missing = numbers[:, self.marked].isnan().float()
            numbers = torch.cat([self.scaling(numbers), missing], 1)
        answer: Tensor = self.task.head.probabilities(self.task.members((numbers, levels)))
        return answer

    def encode(self, dataset: Any) -> Any:
        """Numbers as they are."""
        return self.task.encoder.encode(dataset, raw=True)

    def read(self, batch: Batch) -> Tensor:
        """Numbers and places of levels side by side."""
        return torch.cat([batch["numbers"], batch["categories"].float()], 1)

    def made_up(self, number: int) -> Tensor:
        """Numbers around the medians, of which some are missing, and any levels."""
        encoder, draw = self.task.encoder, _generator()
        numbers = encoder.middles.float() + torch.randn(number, self.number, generator=draw)
        numbers[torch.rand(numbers.shape, generator=draw) < 0.1] = torch.nan
        counts = torch.tensor(encoder.level_counts)
        levels = (torch.rand(number, len(counts), generator=draw) * counts).floor()
        return torch.cat([numbers, levels], 1)

    def about(self) -> dict[str, Any]:
        """Classes, what the numbers are, and the levels of each category."""
        encoder, task = self.task.encoder, self.task
        levels = {column.name: column.levels for column in encoder.columns}
        money = {} if task.value is None else {"contact_from": round(float(task.threshold), 6)}
        return {
            "classes": task.classes,
            "numbers": encoder.number_names[: self.number],
            "levels": {name: levels[name] for name in encoder.category_names},
            **money,
        }


def vocabulary(tokenizer: Any) -> dict[str, Any]:
    """A tokenizer in the format of `tokenizers`; nothing for one of another kind.

    ``shift`` is to be added to its ids. Texts of more than ``max_length`` tokens keep their ``cut``
    ones: the first, or the first two thirds and the last third.
    """
    if isinstance(tokenizer, SubwordTokenizer):
        shift, cut, text = 0, "ends", tokenizer.dump()
    elif isinstance(tokenizer, CheckpointTokenizer):
        shift, cut, text = 1, "first", tokenizer.tokenizer.backend_tokenizer.to_str()
    else:
        return {}
    own = Tokenizer.from_str(text)
    if cut == "first":  # what `tokenizers` can do by itself
        own.no_padding()
        own.enable_truncation(tokenizer.max_length)
    else:
        own.post_processor = TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", CLS)])
    table = {"tokenizer": json.loads(own.to_str()), "shift": shift}
    return table | {"max_length": tokenizer.max_length, "cut": cut}


def side_of(task: Any, source: Any) -> int:
    """Side in pixels of what a model reads, by the data's description or its source."""
    side = task.schema.get("size") or getattr(source, "size", None)
    if side is None:
        raise ConfigError("data.size is not known: the side of what the model reads is needed.")
    return int(side)


def noise(number: int, channels: int, side: int) -> Tensor:
    """Random images ``(B, C, S, S)`` uint8."""
    shape = (number, channels, side, side)
    return torch.randint(256, shape, generator=_generator(), dtype=torch.uint8)


def shortened(rows: Tensor) -> Tensor:
    """Rows ``(B, L)`` of which the n-th ends in n zeros, but keeps its beginning."""
    kept = (rows.shape[1] - torch.arange(len(rows))).clamp_min(1)
    return rows * (torch.arange(rows.shape[1]) < kept[:, None])


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
