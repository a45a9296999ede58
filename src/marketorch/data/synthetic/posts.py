"""Posts with known contents, drawn and written: no files and no network.

A post is a photo with a caption. The photo is a scene with marks of an invented brand
(`scenes`), in front of which stand none to two people (`faces`); the caption is a review
(`reviews`) that speaks of that brand. Each brand has a reputation, the chance that a post praises
it. Who praises looks happy or surprised, mostly, and who blames angry, disgusted or sad. One brand
loses its good name half way, `DISGRACED` at `TURN`. With ``settings``, the marks are seen in one
of nine settings (`settings`), and each brand in two of them mostly. So a report on the posts has
something to find, and what it should find is known. Post i is a function of (seed, i) alone.

Lengths are pixels of the photo, S is its side, boxes are x1 y1 x2 y2.
"""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from PIL import Image

from marketorch.data.images.dataset import Pixels
from marketorch.data.scenes.invented_marks import DISTRACTORS, MARKS
from marketorch.data.scenes.marks import draw_svg
from marketorch.data.scenes.printing import Cutout, cut_out
from marketorch.data.scenes.scene import scene
from marketorch.data.synthetic.faces import EXPRESSIONS, draw
from marketorch.data.synthetic.reviews import BRANDS, generate_reviews
from marketorch.data.synthetic.settings import CLASSES as SETTINGS
from marketorch.data.synthetic.settings import draw as draw_setting

DAYS = 56
START = datetime.datetime(2024, 3, 4, tzinfo=datetime.UTC)
TURN = START + datetime.timedelta(days=DAYS / 2)
DISGRACED = list(MARKS)[2]  # is praised until then, and blamed from then on
AT_HOME = 0.7  # share of a brand's photos that are taken in one of its two settings
PEOPLE = (0.2, 0.5, 0.3)  # chances of 0, 1 and 2 people in a photo
SIDES = (0.38, 0.58)  # of a person's head and shoulders, as a share of S
COVERED = 0.35  # share of a mark that people may stand in front of
TRIES = 16  # places for a person, and reviews to choose from
ALONE = 0.1  # share of posts that lack their photo or their caption
OTHERS = 0.15  # share of photos that may show any brands
SKIN = np.array([1.18, 0.97, 0.77], np.float32)  # keeps the luminance
LOOKS = {  # how people look who praise a brand, and who blame it
    "positive": {"happy": 0.65, "surprise": 0.2, "neutral": 0.15},
    "negative": {"angry": 0.35, "disgust": 0.2, "sad": 0.25, "neutral": 0.2},
}
HANDLES = ("mira", "jonas", "tealeaf", "oda", "quince", "pavel", "lumi", "sol", "wren", "ines")


class Person(NamedTuple):
    """Somebody in a photo: the box of the head and the shoulders, and what the face does."""

    box: tuple[int, int, int, int]
    emotion: str
    smile: str | None


@dataclass(frozen=True, eq=False)
class DrawnPost:
    """A post and all that is known about it.

    Args:
        photo: ``(S, S, 3)`` uint8, or None.
        text: the caption, or None.
        brand: which the post is about.
        brands, boxes: of the marks in the photo.
        people: in the photo.
        setting: of the photo, or None if it is of none in particular.
        sentiment: ``positive`` or ``negative``.
        time, author: when and by whom.
    """

    photo: Pixels | None
    text: str | None
    brand: str
    brands: list[str]
    boxes: list[list[float]]
    people: list[Person]
    setting: str | None
    sentiment: str
    time: str
    author: str


def draw_posts(
    number: int,
    *,
    seed: int = 0,
    start: int = 0,
    size: int = 320,
    backgrounds: Sequence[Pixels] = (),
    settings: bool = False,
) -> Iterator[DrawnPost]:
    """Draws the posts ``start`` to ``start + number`` of the data set ``seed``.

    Args:
        number, start: which posts.
        seed: which data set; another seed gives unrelated posts and other reputations.
        size: S.
        backgrounds: photos ``(H, W, 3)`` uint8 that scenes may stand on.
        settings: each photo is of a setting that is drawn.
    """
    for place in range(start, start + number):
        yield _post(np.random.default_rng((seed, place)), seed, place, size, backgrounds, settings)


def write_posts(
    folder: str | Path,
    number: int,
    *,
    seed: int = 0,
    size: int = 320,
    backgrounds: Sequence[Pixels] = (),
    settings: bool = False,
) -> Path:
    """Writes posts as ``posts.csv`` and ``photos/``, and what is in them as ``truth.jsonl``.

    Returns:
        The table, with the columns id, time, author, image and text.
    """
    folder = Path(folder)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    table = folder / "posts.csv"
    with (
        table.open("w", newline="", encoding="utf-8") as rows,
        (folder / "truth.jsonl").open("w", encoding="utf-8") as truths,
    ):
        writer = csv.writer(rows)
        writer.writerow(["id", "time", "author", "image", "text"])
        posts = draw_posts(number, seed=seed, size=size, backgrounds=backgrounds, settings=settings)
        for place, post in enumerate(posts):
            name, image = f"p{place:05d}", ""
            if post.photo is not None:
                image = f"photos/{name}.jpg"
                Image.fromarray(post.photo).save(folder / image, quality=92)
            writer.writerow([name, post.time, post.author, image, post.text or ""])
            truths.write(json.dumps({"id": name} | _truth(post)) + "\n")
    return table


def _truth(post: DrawnPost) -> dict[str, object]:
    kept = ("brand", "brands", "boxes", "setting", "sentiment")
    people = [person._asdict() for person in post.people]
    return {name: getattr(post, name) for name in kept} | {"people": people}


def _post(
    rng: Generator,
    seed: int,
    place: int,
    size: int,
    backgrounds: Sequence[Pixels],
    settings: bool,
) -> DrawnPost:
    day = float(rng.uniform(0, DAYS))
    names = list(MARKS)
    number = int(rng.choice(len(names), p=_popularity(len(names))))
    praised = rng.random() < _reputation(seed, number, day)
    sentiment = "positive" if praised else "negative"
    with_photo, with_text = rng.permutation([rng.random() >= ALONE, True]).tolist()
    photo, boxes, labels = None, list[list[float]](), list[int]()
    people: list[Person] = []
    setting = None
    if with_photo:
        ground = None
        if settings:
            setting, ground = _setting(Random(f"{seed}/{place}"), seed, number, size)
        photo, boxes, labels = _scene(rng, number, size, backgrounds, ground)
        people = _place_people(rng, photo, boxes, sentiment)
    return DrawnPost(
        photo=photo,
        text=_caption(seed, place, names[number], praised) if with_text else None,
        brand=names[number],
        brands=[names[label] for label in labels],
        boxes=boxes,
        people=people,
        setting=setting,
        sentiment=sentiment,
        time=(START + datetime.timedelta(days=day)).isoformat(timespec="seconds"),
        author=f"@{rng.choice(HANDLES)}{rng.integers(1, 60)}",
    )


def _popularity(number: int) -> np.ndarray:
    """Chances of the brands to be written about: a few are everywhere."""
    weights = 1 / np.arange(1, number + 1) ** 0.7
    return weights / weights.sum()


def _reputation(seed: int, brand: int, day: float) -> float:
    """The chance that somebody praises a brand; one falls into disgrace half way."""
    own = float(np.random.default_rng((seed, 2**31 + brand)).uniform(0.35, 0.9))
    return (0.9 if day < DAYS / 2 else 0.15) if list(MARKS)[brand] == DISGRACED else own


def _caption(seed: int, place: int, brand: str, praised: bool) -> str:
    """A review of the brand, without the wrong labels that reviews may have."""
    found = generate_reviews(TRIES, seed=seed, start=TRIES * place, label_noise=0.0)
    pairs = zip(found.texts, found.true_labels, strict=True)
    text = next((text for text, label in pairs if label == praised), found.texts[0])
    return re.sub("|".join(BRANDS), brand, text, count=1)  # the first is the one that is reviewed


# -- photos -----------------------------------------------------------------------------------


@cache
def _cutouts(size: int) -> tuple[list[list[Cutout]], list[Cutout]]:
    """The marks of each brand, and those that are nobody's."""
    marks, others = (
        [cut_out(x) for x in draw_svg(list(drawings.values()), side=size) if not isinstance(x, str)]
        for drawings in (MARKS, DISTRACTORS)
    )
    return [[mark] for mark in marks], others


def _setting(rng: Random, seed: int, brand: int, size: int) -> tuple[str, Pixels]:
    """A setting, mostly one of the two that the brand is at home in, and a picture of it."""
    homes = Random(f"{seed}/homes/{brand}").sample(SETTINGS, 2)
    setting = rng.choice(homes if rng.random() < AT_HOME else SETTINGS)
    return setting, draw_setting(setting, rng, size)


def _scene(
    rng: Generator, brand: int, size: int, backgrounds: Sequence[Pixels], ground: Pixels | None
) -> tuple[Pixels, list[list[float]], list[int]]:
    """A photo, maybe with marks of the brand; the boxes and the classes of the marks in it."""
    marks, others = _cutouts(size)
    if rng.random() >= OTHERS:
        marks = [own if place == brand else [] for place, own in enumerate(marks)]
    photo, boxes, labels = scene(rng, marks, others, backgrounds, size, ground=ground)
    return photo.copy(), boxes.tolist(), labels.tolist()


def _place_people(
    rng: Generator, photo: Pixels, boxes: Sequence[Sequence[float]], sentiment: str
) -> list[Person]:
    """Puts people in front of a photo, in place, where they hide neither marks nor each other."""
    people: list[Person] = []
    for _ in range(int(rng.choice(len(PEOPLE), p=PEOPLE))):
        emotion = str(rng.choice(list(LOOKS[sentiment]), p=list(LOOKS[sentiment].values())))
        smile = str(rng.choice(["genuine", "posed"])) if emotion == "happy" else None
        side = round(rng.uniform(*SIDES) * len(photo))
        if (corner := _free(rng, len(photo), side, boxes, people)) is None:
            continue
        _lay(photo, _moves(rng, emotion, smile), int(rng.integers(2**31)), corner, side)
        people.append(Person((*corner, corner[0] + side, corner[1] + side), emotion, smile))
    return people


def _free(
    rng: Generator,
    size: int,
    side: int,
    boxes: Sequence[Sequence[float]],
    people: Sequence[Person],
) -> tuple[int, int] | None:
    """The upper left corner of a place for a person, who stands low in the photo, if there is one.

    Shoulders may be cut off by the lower edge, faces are not.
    """
    for _ in range(TRIES):
        left = int(rng.integers(size - side + 1))
        top = size - side + round(float(rng.uniform(-0.2, 0.06)) * side)
        box = (left, top, left + side, top + side)
        beside = all(_hidden(person.box, box) == 0 for person in people)
        if beside and all(_hidden(mark, box) <= COVERED for mark in boxes):
            return left, top
    return None


def _hidden(box: Sequence[float], front: Sequence[float]) -> float:
    """The share of a box that another one covers."""
    across = min(box[2], front[2]) - max(box[0], front[0])
    down = min(box[3], front[3]) - max(box[1], front[1])
    return max(across, 0.0) * max(down, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def _moves(rng: Generator, emotion: str, smile: str | None) -> dict[str, float]:
    """What the muscles of a face do."""
    variants = EXPRESSIONS[emotion]
    moves = dict(variants[int(rng.integers(len(variants)))])
    return moves | {"AU6": 0.8} if smile == "genuine" else moves


def _lay(
    photo: Pixels, moves: dict[str, float], who: int, corner: tuple[int, int], side: int
) -> None:
    """Draws a person over a photo, in place; what the lower edge cuts off is left out.

    How much of a pixel is covered is seen from drawing the same face before black and white.
    """
    black, white = (
        draw(moves, identity_seed=who, size=side, backdrop=grey).numpy().astype(np.float32)
        for grey in (0.0, 1.0)
    )
    alpha = (1 - (white - black) / 255).clip(0, 1)[..., None]
    left, top = corner
    rows = slice(top, min(top + side, len(photo)))
    part = photo[rows, left : left + side]
    seen = slice(0, part.shape[0])
    mixed = black[seen, :, None] * SKIN + part * (1 - alpha[seen])
    part[:] = mixed.round().clip(0, 255).astype(np.uint8)
