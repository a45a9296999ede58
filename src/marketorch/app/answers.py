"""From what somebody puts in to what is shown: HTML, and nothing kept of either.

Each answer is a function of its input and the runs. What cannot be used is a `DataError`, or a
fault that the answer names; `page` shows both in words.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from marketorch.app.highlight import pieces
from marketorch.app.markup import data_address, html
from marketorch.app.runs import LISTENING, RECOMMENDER, measured_run
from marketorch.app.uploads import LETTERS, content, moved, posts_of
from marketorch.data.boxes.search import SIDES
from marketorch.data.events.catalogue import Catalogue
from marketorch.data.events.requests import Requests
from marketorch.data.images.drawing import COLOURS, Caption, boxed
from marketorch.data.texts.source import TextDataset
from marketorch.errors import ConfigError, DataError
from marketorch.listening import Listener, Post, analyse_folder, brand_report
from marketorch.listening.listener import answer
from marketorch.listening.posts import valid
from marketorch.listening.record import Record, face_answers
from marketorch.listening.seeing import pixels_of
from marketorch.runs import Run

WORDS = 8  # words that moved the answer most that are highlighted
SIDE = 1_200  # pixels of a photo as it is shown, at most
MOST = 200  # items of a history; a model reads the last ones
EMPTY_TEXT = "Write something, or paste it."
MEDIA = {".html": "text/html", ".csv": "text/csv", ".png": "image/png"}
MEDIA |= {".parquet": "application/octet-stream"}


class Answers:
    """Answers what people put in.

    Args:
        runs: by what they are for, see `runs.NAMES`; any of them will do.

    Raises:
        ConfigError: a run does not do what it is for.
    """

    def __init__(self, runs: Mapping[str, Run]) -> None:
        self.runs = dict(runs)
        listening: dict[str, Any] = {name: runs[name] for name in LISTENING if name in runs}
        self.listener = Listener(**listening, explain=WORDS) if listening else None
        for name, run in listening.items():
            if self.listener and name not in self.listener.about[LISTENING[name]]:
                raise ConfigError(
                    f"{name}={run.directory}: expected a run that answers about "
                    f"{LISTENING[name]} of posts, not one of {type(run.task).__name__}."
                )

    @property
    def sees(self) -> bool:
        """Whether a run looks at photos."""
        about = self.listener.about if self.listener else {}
        return any(about.get(part) for part in ("brands", "photo", "face"))

    @property
    def catalogue(self) -> Catalogue:
        """What the recommender knows by name."""
        return cast(Catalogue, self.runs[RECOMMENDER].task.catalogue)

    def warm_up(self) -> None:
        """Answers once for nobody, because the first answer of a model takes much longer."""
        if "sentiment" in self.runs:
            self.text("It was not bad at all, they said. " * 5)
        if self.listener and self.sees:
            self.listener.analyse(np.full((320, 320, 3), 128, np.uint8))
        if RECOMMENDER in self.runs:
            self.titles([str(item) for item in self.catalogue.items[:1]])

    # -- texts --------------------------------------------------------------------------------

    def text(self, text: str | None) -> str:
        """The sentiment of a text and the words that count."""
        text = valid(text or "")
        if not text.strip():
            return html("hint", message=EMPTY_TEXT)
        check_length(text)
        (row,) = self.runs["sentiment"].predict(TextDataset([text]), explain=WORDS)
        return html("text", answer=answer(row), pieces=pieces(text, row["words"]))

    # -- photos -------------------------------------------------------------------------------

    def photo(self, upload: str | None, caption: str | None = None) -> str:
        """What a photo and its caption show. The upload is deleted."""
        if not upload:
            raise DataError("Choose a photo first.")
        assert self.listener is not None
        data, text = content(upload), valid(caption or "")
        check_length(text)
        (post,) = self.listener.analyse_posts([Post(data, text or None, image=name_of(upload))])
        said = (post["text"] or {}).get("sentiment")
        return html(
            "photo",
            post=post,
            picture=picture_of(data, post) if post["width"] else "",
            faces=[face_answers(post, place) for place in range(len(post["faces"] or ()))],
            pieces=pieces(text, said["words"]) if said else [],
            near=dict.fromkeys((own["name"], own["face"] + 1) for own in post["near"] or ()),
            summary=summary(post),
            json=json.dumps(post, indent=1, ensure_ascii=False),
        )

    # -- titles -------------------------------------------------------------------------------

    def choices(self) -> list[tuple[str, str]]:
        """The catalogue to pick from: the title, or the id where there is none, and the id."""
        items = [str(item) for item in self.catalogue.items]
        return list(zip(self.catalogue.titles or items, items, strict=True))

    def titles(self, picked: Sequence[str] | None, typed: str | None = None) -> str:
        """What comes after a history: what was typed, then what was picked."""
        history = [*self.history(typed or ""), *map(str, picked or ())]
        if not history:
            return html("hint", message="Pick some titles, or type what was taken.")
        if len(history) > MOST:
            raise DataError(f"A history of {len(history):,} is too long; at most {MOST} are read.")
        (row,) = self.runs[RECOMMENDER].predict(Requests([history]))
        names = {item: title for title, item in self.choices()}
        found = zip(row["items"], row["scores"], strict=True)
        return html(
            "titles",
            history=[names[item] for item in history],
            rows=[{"title": names[str(item)], "score": score} for item, score in found],
            number=f"{len(names):,}",
        )

    def history(self, typed: str) -> list[str]:
        """The ids of what was typed: ids or titles, commas or lines between them, or ids alone
        with blanks. DataError names the first that the catalogue has not."""  # fmt: skip
        typed = valid(typed)
        check_length(typed)
        ids: dict[str, str] = {}
        for title, item in self.choices():
            ids.setdefault(title.casefold(), item)
        ids |= {item.casefold(): item for _, item in self.choices()}
        parts = [part.strip() for part in re.split(r"[,;\n]", typed) if part.strip()]
        if len(parts) == 1 and parts[0].casefold() not in ids:
            parts = parts[0].split()
        history = [ids.get(part.casefold(), part[:80]) for part in parts]
        self.catalogue.check_items(history, "What you typed")
        return history

    # -- reports ------------------------------------------------------------------------------

    def report(self, upload: str | None) -> str:
        """The report on a table, a zip or photos. All of it is deleted before it is shown."""
        if not upload:
            raise DataError("Choose a CSV, a zip or a photo first.")
        assert self.listener is not None
        with tempfile.TemporaryDirectory(prefix="report-") as name:
            folder = Path(name)
            try:
                source = posts_of(moved(upload, folder / "upload"), folder / "posts")
                heard = analyse_folder(self.listener, source, folder / "posts.parquet")
                page = brand_report(folder / "posts.parquet", folder / "report")
            except DataError as error:
                raise DataError(shortened(str(error), folder)) from error
            picture = (page.parent / "overview.png").read_bytes()
            files = [page, *sorted(page.parent.glob("*.csv")), folder / "posts.parquet"]
            return html(
                "report",
                posts=f"{heard.posts:,}",
                bad=heard.bad,
                picture=data_address(MEDIA[".png"], picture),
                files=[
                    {"name": file.name, "data": data_address(MEDIA[file.suffix], file.read_bytes())}
                    for file in files
                ],
            )

    def about(self) -> str:
        """Which runs answer, and how good each was."""
        return html("runs", runs=[measured_run(name, run) for name, run in self.runs.items()])


def check_length(text: str) -> None:
    """DataError if a text is too long to be answered at once."""
    if len(text) > LETTERS:
        raise DataError(
            f"This text has {len(text):,} characters; at most {LETTERS:,} are read here."
        )


def name_of(upload: str) -> str:
    """What an uploaded file is called, as it can be written."""
    return valid(Path(upload).name)


def shortened(message: str, folder: Path) -> str:
    """A message without the folder, which is nobody's concern."""
    for inner in ("upload", "posts"):
        message = message.replace(f"{folder / inner}/", "")
    return message.replace(f"{folder}/", "")


def picture_of(data: bytes, post: Record) -> str:
    """The photo with boxes around brands and faces, small enough to be shown."""
    photo = pixels_of(data, 10**9)  # the listener has decoded it already: it is not too large
    scale = min(1.0, SIDE / max(photo.shape[:2]))
    image = Image.fromarray(photo)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    marked = Image.fromarray(boxed(np.array(image), marks_of(post, scale)))
    marked.save(stream, "JPEG", quality=88, subsampling=0)
    return data_address("image/jpeg", stream.getvalue())


def marks_of(post: Record, scale: float) -> list[Caption]:
    """The boxes of a record: a colour a brand, and one for faces, which are numbered."""

    def box(own: Mapping[str, float]) -> list[float]:
        return [own[side] * scale for side in SIDES]

    names = dict.fromkeys(brand["brand"] for brand in post["brands"] or ())
    colours = dict(zip(names, itertools.cycle(COLOURS[:-1]), strict=False))
    marks = [
        Caption(box(own), f"{own['brand']} {own['score']:.0%}", colours[own["brand"]])
        for own in post["brands"] or ()
    ]
    for place, face in enumerate(post["faces"] or ()):
        said = next(iter(face_answers(post, place).values()))
        marks.append(Caption(box(face), f"{place + 1}: {said['label']}", COLOURS[-1]))
    return marks


def summary(post: Record) -> str:
    """How much was found in a photo."""
    counts = []
    for name, one in (("brands", "mark"), ("faces", "face")):
        if post[name] is not None:
            number = len(post[name])
            counts.append(f"{number or 'no'} {one}{'s' if number != 1 else ''}")
    size = f"{post['width']:,} × {post['height']:,} pixels" if post["width"] else "no photo"
    return ", ".join([size, *counts])
