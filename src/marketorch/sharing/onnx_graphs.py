"""What is exported of each task: a function of one tensor, from encoded input to decoded answer.

What a program needs besides, such as classes, vocabulary or catalogue, is plain JSON that travels
in the file. Shapes: B examples, L tokens or items, S side of an image, K classes, N items.
"""

from __future__ import annotations

import json
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn

from marketorch.data.boxes import GREY
from marketorch.engine.task import Task
from marketorch.errors import ConfigError
from marketorch.models.compact_detector import CANDIDATES, CompactDetector
from marketorch.models.pretrained_text import CheckpointTokenizer
from marketorch.models.sequential_transformer import SequentialTransformer
from marketorch.models.tokenizer import CLS, SubwordTokenizer
from marketorch.runs import Run
from marketorch.tasks.detection import Detection
from marketorch.tasks.image_classification import ImageClassification
from marketorch.tasks.recommendation import Recommendation
from marketorch.tasks.text_classification import TextClassification

SHORT = 8  # tokens or items of what is made up


class Graph(nn.Module):
    """Base of what is exported.

    ``reads`` names its input, which is also the key of the task's batches, ``gives`` its outputs;
    ``free`` names the dimensions of the input that are not fixed.
    """

    reads: str
    gives: tuple[str, ...]
    free: tuple[str, ...] = ("batch",)

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.task: Any = run.task
        self.source: Any = run.data

    def made_up(self, number: int) -> Tensor:
        """A batch of ``number`` random inputs, the same each time."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What a program needs besides the graph, as plain JSON."""
        raise NotImplementedError


class TextGraph(Graph):
    """Token ids ``(B, L)``, padded with 0 at the end, to calibrated probabilities ``(B, K)``."""

    reads, gives, free = "tokens", ("probabilities",), ("batch", "length")

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        model = self.task.model
        # Of two ways through a model, for short texts and for texts to be cropped, a graph has the
        # second only; so wide, every text takes it.
        window = getattr(model, "window", None)
        self.extra = window if window and model.tokenizer.max_length > window else 0

    def forward(self, tokens: Tensor) -> Tensor:
        """Probabilities."""
        wide = F.pad(tokens, (0, self.extra)) if self.extra else tokens
        answer: Tensor = self.task.mixed(self.task.members(wide)).softmax(1)
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


class ImageGraph(Graph):
    """Images ``(B, C, S, S)`` of bytes to calibrated probabilities ``(B, K)``."""

    reads, gives = "images", ("probabilities",)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities."""
        inputs = self.task.inputs({"images": images})
        answer: Tensor = self.task.mixed(self.task.members(inputs)).softmax(1)
        return answer

    def made_up(self, number: int) -> Tensor:
        """Noise."""
        return noise(number, len(self.task.mean), side_of(self.task, self.source))

    def about(self) -> dict[str, Any]:
        """Classes, and what is done to a photo before."""
        faces = getattr(self.source, "find_faces", "never") != "never"
        return {"classes": self.task.classes, "reads_faces": faces}


class BoxGraph(Graph):
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


class ItemGraph(Graph):
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


def graph_of(run: Run) -> Graph:
    """The graph of a run.

    Raises:
        ConfigError: runs of this kind have none.
    """
    task: Task = run.task
    model: Any = getattr(task, "model", None)
    if isinstance(task, TextClassification):
        return TextGraph(run)
    if isinstance(task, ImageClassification):
        return ImageGraph(run)
    if type(task) is Detection and isinstance(model, CompactDetector):
        return BoxGraph(run)
    if isinstance(task, Recommendation) and isinstance(model, SequentialTransformer):
        return ItemGraph(run)
    raise ConfigError(
        f"run={run.directory} is {type(task).__name__} by {type(model).__name__}, which is not "
        "exported as ONNX. What is: classifiers of texts and of images, "
        "model=sequential_transformer, model=compact_detector."
    )


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
