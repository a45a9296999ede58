"""Listens to posts: a photo and its caption in, one record of all that the runs say of them out.

Whatever subset of runs there is, each answers for a whole batch of posts at once, through
`Run.predict`, as it would for predict.py. What a post is bad at becomes a fault of its record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torchvision.ops import nms

from marketorch.data.boxes.search import SIDES, squares_to_search
from marketorch.data.images.dataset import DecodedImages, Pixels, as_tensor
from marketorch.data.images.faces import Face
from marketorch.data.texts.source import TextDataset
from marketorch.engine.task import Row, Task
from marketorch.errors import ConfigError
from marketorch.listening.nearness import REACH, near
from marketorch.listening.posts import Post, fault, valid
from marketorch.listening.record import Record, record
from marketorch.listening.seeing import MAX_PIXELS, MIN_FACE, Seen, Viewer
from marketorch.runs import Run, load_run
from marketorch.tasks.detection import Detection
from marketorch.tasks.image_classification import ImageClassification
from marketorch.tasks.text_classification import TextClassification

KINDS: dict[str, type[Task]] = {
    "logo": Detection,
    "emotion": ImageClassification,
    "smile": ImageClassification,
    "scene": ImageClassification,
    "sentiment": TextClassification,
}
SAME = 0.7  # overlap (IoU) from which on two boxes are of one mark
ANSWERED = {"label", "probability", "text", "words"}  # columns of a classifier's row


class Listener:
    """Says what is in posts, by up to five runs.

    Args:
        logo: a detector of brands.
        emotion, smile: classifiers of faces, which are found in the photos.
        scene: a classifier of whole photos.
        sentiment: a classifier of texts.
        explain: how many telling words of a text to name; each asks the model again.
        reach: up to which distance a face stands near a brand, see `nearness`.
        min_face: side of the smallest face to be found, as a share of the photo's shorter side.
        max_pixels: a larger photo is a fault.

    Raises:
        ConfigError: there is no run, or one that does not do what it is for.
    """

    def __init__(
        self,
        *,
        logo: Run | None = None,
        emotion: Run | None = None,
        smile: Run | None = None,
        scene: Run | None = None,
        sentiment: Run | None = None,
        explain: int = 3,
        reach: float = REACH,
        min_face: float = MIN_FACE,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        given = {"logo": logo, "emotion": emotion, "smile": smile}
        given |= {"scene": scene, "sentiment": sentiment}
        self.runs = {name: run for name, run in given.items() if run is not None}
        if not self.runs:
            raise ConfigError(f"Nobody listens: give at least one run of {', '.join(KINDS)}.")
        for name, run in self.runs.items():
            if not isinstance(run.task, KINDS[name]):
                found = type(run.task).__name__
                raise ConfigError(
                    f"{name}={run.directory}: expected a run of {KINDS[name].__name__}, not of "
                    f"{found}."
                )
        self.explain, self.reach = explain, reach
        self.viewer = Viewer(self.runs, min_face=min_face, max_pixels=max_pixels)

    @classmethod
    def load(cls, **arguments: Any) -> Listener:
        """A listener by the directories of its runs; the other arguments are the constructor's."""
        runs = {
            name: load_run(path)
            for name, path in arguments.items()
            if name in KINDS and isinstance(path, (str, Path))
        }
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
            text=None if text is None else valid(text),
            faults=faults,
        )

    # -- photos -------------------------------------------------------------------------------

    def _look(self, records: list[Record], seen: Mapping[int, Seen]) -> None:
        """Fills in what the photos show, by their places in the batch."""
        if "logo" in self.runs:
            for place, brands in self._brands(seen).items():
                records[place]["brands"] = brands
        if self.viewer.of_faces:
            for place, faces in self._faces(seen).items():
                records[place]["faces"] = faces
        if "scene" in self.runs:
            rows = self._classified("scene", [own.whole for own in seen.values()])
            for place, row in zip(seen, rows, strict=True):
                records[place]["scene"] = answer(row)
        for place in seen:
            brands, faces = records[place]["brands"], records[place]["faces"]
            if brands is not None and faces is not None:
                records[place]["near"] = near(faces, brands, self.reach)

    def _brands(self, seen: Mapping[int, Seen]) -> dict[int, list[Row]]:
        """The brands in each photo, the surest first; where two are told at one place, this one."""
        run = self.runs["logo"]
        sizes = [(own.width, own.height) for own in seen.values()]
        squares = [own.square for own in seen.values() if own.square is not None]
        dataset: Any = squares_to_search(squares, sizes, [str(place) for place in seen])
        found: dict[int, list[Row]] = {place: [] for place in seen}
        for row in run.predict(dataset):
            if "score" in row:
                kept = {name: row[name] for name in ("score", *SIDES, "area")}
                found[int(row["image"])].append({"brand": row["label"], **kept})
        return {place: surest(brands) for place, brands in found.items()}

    def _faces(self, seen: Mapping[int, Seen]) -> dict[int, list[Row]]:
        """The faces in each photo, the largest first, with what the classifiers say of each."""
        found = {place: [face_row(face) for face in own.faces or []] for place, own in seen.items()}
        every = [row for rows in found.values() for row in rows]
        for name in self.viewer.of_faces:
            crops = [crop for own in seen.values() for crop in own.crops[name]]
            for row, said in zip(every, self._classified(name, crops), strict=True):
                row[name] = answer(said)
        return found

    def _classified(self, name: str, images: Sequence[Any]) -> list[Row]:
        """What a classifier says of images that are as it reads them."""
        return self.runs[name].predict(DecodedImages(as_tensor(images))) if len(images) else []

    # -- texts --------------------------------------------------------------------------------

    def _read(self, records: list[Record]) -> None:
        """Fills in the sentiment of the texts; equal texts are asked about once."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, post in enumerate(records):
            if post["text"] is not None:
                places[post["text"]].append(place)
        if not places or "sentiment" not in self.runs:
            return
        rows = self.runs["sentiment"].predict(TextDataset(list(places)), explain=self.explain)
        for row in rows:
            for place in places[row["text"]]:
                words = [word | {"word": valid(word["word"])} for word in row.get("words", [])]
                records[place]["sentiment"] = answer(row) | {"words": words}


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
    row |= {"angle": round(face.angle, 1), "score": round(face.score, 4)}
    return row | {"emotion": None, "smile": None}
