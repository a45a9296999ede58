"""Listens to posts: a photo and its caption in, one record of all that the runs say of them out.

Whatever runs there are, each answers for a whole batch of posts at once, through
`Run.predict`, as it would for predict.py. What a post is bad at becomes a fault of its record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torchvision.ops import nms

from marketorch.data.boxes.search import SIDES, squares_to_search
from marketorch.data.images.dataset import DecodedImages, Pixels, as_tensor
from marketorch.data.images.faces import Face
from marketorch.data.texts.source import TextDataset
from marketorch.engine.task import Row
from marketorch.errors import ConfigError
from marketorch.listening.posts import Post, fault, valid
from marketorch.listening.proximity import REACH, near
from marketorch.listening.record import Record, record
from marketorch.listening.seeing import MAX_PIXELS, MIN_FACE, Seen, Viewer
from marketorch.runs import Run, load_run

SAME = 0.7  # overlap (IoU) from which on two boxes are of one mark
ANSWERED = {"label", "probability", "text", "words"}  # columns of a classifier's row
PARTS = ("brands", "face", "photo", "text")  # of a post, about which runs answer


class Listener:
    """Says what is in posts, by any number of runs with names of your choice.

    What a run answers about, its task says (`marketorch.engine.task.Task.answers_about`): a
    detector about brands, classifiers about the caption, the whole photo, or the faces in it, which
    are found first.

    Args:
        explain: how many words of a text to name that moved the answer; each asks the model again.
        reach: up to which distance a face stands near a brand, see `proximity`.
        min_face: side of the smallest face to be found, as a share of the photo's shorter side.
        max_pixels: a larger photo is a fault.
        runs: by the names under which a record holds their answers.

    Raises:
        ConfigError: there is no run, one that says nothing of posts, or a second one of brands.

    Example:
        >>> listener = Listener.load(logo="runs/logo/1", sentiment="runs/sentiment/1")
        >>> listener.analyse("photo.jpg", "What a day!")["text"]["sentiment"]["label"]
    """

    def __init__(
        self,
        *,
        explain: int = 3,
        reach: float = REACH,
        min_face: float = MIN_FACE,
        max_pixels: int = MAX_PIXELS,
        **runs: Run | None,
    ) -> None:
        self.runs = {name: run for name, run in runs.items() if run is not None}
        if not self.runs:
            raise ConfigError("Nobody listens: give at least one run, such as logo=RUN.")
        self.about: dict[str, dict[str, Run]] = {part: {} for part in PARTS}
        for name, run in self.runs.items():
            self.about[part_of(name, run)][name] = run
        if len(self.about["brands"]) > 1:
            names = " and ".join(self.about["brands"])
            raise ConfigError(f"{names}: one run can say which brands are in a photo, not two.")
        self.explain, self.reach = explain, reach
        self.detector = next(iter(self.about["brands"].values()), None)
        photos, faces = self.about["photo"], self.about["face"]
        limits = {"min_face": min_face, "max_pixels": max_pixels}
        self.viewer = Viewer(self.detector, photos, faces, **limits)  # type: ignore[arg-type]

    @classmethod
    def load(cls, **arguments: Any) -> Listener:
        """A listener by the directories of its runs; the other arguments are the constructor's."""
        runs = {n: load_run(v) for n, v in arguments.items() if isinstance(v, (str, Path))}
        return cls(**arguments | runs)

    def analyse(
        self, photo: Path | str | bytes | Pixels | None = None, text: str | None = None
    ) -> Record:
        """The record of one post.

        Args:
            photo: a file, its content, or pixels ``(H, W, 3)`` or ``(H, W)`` uint8.
            text: its caption.
        """
        path = Path(photo) if isinstance(photo, str) else photo
        image = valid(str(path)) if isinstance(path, Path) else None
        return self.analyse_posts([Post(path, text, image=image)])[0]

    def analyse_posts(self, posts: Sequence[Post]) -> list[Record]:
        """The records of a batch of posts, in their order."""
        records = [self._begun(post) for post in posts]
        places = [place for place, post in enumerate(posts) if post.photo is not None]
        seen: dict[int, Seen] = {}
        found = self.viewer.see_all([posts[place].photo for place in places])
        for place, result in zip(places, found, strict=True):
            if isinstance(result, Seen):
                seen[place] = result
                records[place] |= {"width": result.width, "height": result.height}
            else:
                records[place]["faults"].append(fault("photo", result))
        if seen:
            self._look(records, seen)
        self._read(records)
        return records

    def _begun(self, post: Post) -> Record:
        """The record of a post before anybody has looked at it."""
        text, faults = post.text, list(post.faults)
        if text is not None and valid(text) != text:
            faults.append(fault("text", "not valid Unicode"))
        if text is not None and not text.strip():
            text = None
        if post.photo is None and text is None and not faults:
            faults.append(fault("post", "neither a photo nor a text"))
        return record(
            id=post.id,
            time=post.time,
            author=post.author,
            image=post.image,
            caption=None if text is None else valid(text),
            faults=faults,
        )

    # -- photos -------------------------------------------------------------------------------

    def _look(self, records: list[Record], seen: Mapping[int, Seen]) -> None:
        """Fills in what the photos show, by their places in the batch."""
        if self.detector:
            for place, brands in self._brands(self.detector, seen).items():
                records[place]["brands"] = brands
        if self.about["face"]:
            self._faces(records, seen)
        for name, run in self.about["photo"].items():
            rows = classify(run, [own.whole[name] for own in seen.values()])
            for place, row in zip(seen, rows, strict=True):
                records[place]["photo"] = (records[place]["photo"] or {}) | {name: answer(row)}
        for place in seen:
            brands, faces = records[place]["brands"], records[place]["faces"]
            if brands is not None and faces is not None:
                records[place]["near"] = near(faces, brands, self.reach)

    def _brands(self, run: Run, seen: Mapping[int, Seen]) -> dict[int, list[Row]]:
        """The brands in each photo, the surest first; of two at one place only the surer."""
        sizes = [(own.width, own.height) for own in seen.values()]
        squares = [own.square for own in seen.values() if own.square is not None]
        dataset: Any = squares_to_search(squares, sizes, [str(place) for place in seen])
        found: dict[int, list[Row]] = {place: [] for place in seen}
        for row in run.predict(dataset):
            if "score" in row:
                kept = {name: row[name] for name in ("score", *SIDES, "area")}
                found[int(row["image"])].append({"brand": row["label"], **kept})
        return {place: surest(brands) for place, brands in found.items()}

    def _faces(self, records: list[Record], seen: Mapping[int, Seen]) -> None:
        """Fills in the faces of each photo, the largest first, and what is said of each."""
        for place, own in seen.items():
            records[place] |= {"faces": [face_row(face) for face in own.faces or []], "face": {}}
        for name, run in self.about["face"].items():
            rows = iter(classify(run, [crop for own in seen.values() for crop in own.crops[name]]))
            for place in seen:
                number = len(records[place]["faces"])
                records[place]["face"][name] = [answer(row) for row in islice(rows, number)]

    # -- texts --------------------------------------------------------------------------------

    def _read(self, records: list[Record]) -> None:
        """Fills in what is said of the captions; equal ones are asked about once."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, post in enumerate(records):
            if post["caption"] is not None:
                places[post["caption"]].append(place)
        for name, run in self.about["text"].items() if places else ():
            for row in run.predict(TextDataset(list(places)), explain=self.explain):
                words = [word | {"word": valid(word["word"])} for word in row.get("words", [])]
                said = {name: answer(row) | {"words": words}}
                for place in places[row["text"]]:
                    records[place]["text"] = (records[place]["text"] or {}) | said


def part_of(name: str, run: Run) -> str:
    """What of a post a run answers about. ConfigError if it says nothing of posts."""
    part = run.task.answers_about(run.data)
    if part is None:
        task = type(run.task).__name__
        raise ConfigError(f"{name}={run.directory}: a run of {task} says nothing of posts.")
    return part


def classify(run: Run, images: Sequence[Any]) -> list[Row]:
    """What a classifier says of images that are as it reads them."""
    return run.predict(DecodedImages(as_tensor(images))) if len(images) else []


def surest(brands: Sequence[Row]) -> list[Row]:
    """The brands by their scores, without those whose box lies on that of a surer one.

    A detector that wavers between two brands tells both, but a mark is of one.
    """
    if not brands:
        return []
    boxes = torch.tensor([[brand[side] for side in SIDES] for brand in brands])
    kept = nms(boxes, torch.tensor([brand["score"] for brand in brands]), SAME)
    return [brands[place] for place in kept.tolist()]


def answer(row: Row) -> Row:
    """What a classifier says, from a row of its predictions, with fields that are always there."""
    shares = [
        {"label": key[2:], "probability": value}
        for key, value in row.items()
        if key.startswith("p_")
    ]
    scores = [
        {"name": key, "value": value}
        for key, value in row.items()
        if key not in ANSWERED and not key.startswith("p_")
    ]
    kept = {"label": row["label"], "probability": row["probability"]}
    return kept | {"probabilities": shares, "scores": scores}


def face_row(face: Face) -> Row:
    """Where a face is, and nothing yet of what it shows.

    The box is the square that the face fills once it is turned upright about its middle.
    """
    x, y, width, height = face.box
    box = dict(zip(SIDES, (x, y, x + width, y + height), strict=True))
    row: Row = {name: round(value, 1) for name, value in box.items()}
    return row | {"angle": round(face.angle, 1), "score": round(face.score, 4)}
