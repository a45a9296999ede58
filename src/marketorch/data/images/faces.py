"""Finds the faces in a photo and cuts them out as FER2013 did, for a classifier of emotions.

OpenCV's Haar cascades (Viola & Jones 2001; Lienhart & Maydt 2002) lie in its wheel: nothing is
downloaded. A cascade finds nearly every face that is about upright, and some letters, wheels and
elbows. So it only proposes. Each place it proposes is cut out and looked at by two cascades, turned
a little this way and that: a face is seen again at most turns by both, a chance pattern at few. How
often it is seen is the face's score, and the mean turn at which it is seen its angle. A second
look, from the place and angle that the first one found, settles both.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from marketorch.errors import ConfigError, DataError, UserError

CASCADES = ("frontalface_alt2", "frontalface_alt")  # these two of the four err least often together
EYES = "eye_tree_eyeglasses"
TURNS = (-20, -10, 0, 10, 20)  # degrees
SMALLEST = 24  # pixels; the cascades were trained on faces of 20
PATCH = 96  # side in pixels of what is looked at
ROOM = 1.8  # side of what is looked at, in sides of the face
INSTALL = "run: pip install 'opencv-python-headless>=4.11,<5'"
IMPORTING = threading.Lock()  # a second thread would see OpenCV half imported
LONGEST = 10  # times as long as wide; to search a longer strip would take minutes
LIKELY = 80  # sightings at which a face is as likely as not

VERSION = "1"  # raised when other faces are found than before: what is cached is then not used

Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """A face in a photo; all lengths are pixels of the photo.

    Args:
        box: x, y, width and height of the square that the face fills, brows to chin, once the photo
            is turned about the middle of the square so that the face stands upright. It may reach
            over the photo's edge.
        angle: degrees by which the face is turned clockwise in the picture.
        eyes: places of the left and the right one as they lie in the picture, if both were seen.
        score: between 0 and 1, and a half where a face is as likely as a chance pattern.
    """

    box: tuple[float, float, float, float]
    angle: float
    eyes: tuple[Point, Point] | None
    score: float

    @property
    def middle(self) -> Point:
        """Middle of the box."""
        x, y, width, height = self.box
        return x + width / 2, y + height / 2


class Spot(NamedTuple):
    """Where a face may be: the middle, the side and the angle of its square."""

    x: float
    y: float
    side: float
    angle: float

    def near(self, other: Spot) -> bool:
        """Whether both are one face: the middle of one lies well within the other."""
        apart = math.hypot(self.x - other.x, self.y - other.y)
        return apart < 0.5 * max(self.side, other.side)


class FaceHit(NamedTuple):
    """A face in the shrunk photo, and how often it was seen."""

    sightings: int
    spot: Spot
    eyes: tuple[Point, Point] | None


class FaceFinder:
    """Finds faces in photos. Deterministic; not safe to share between threads.

    Args:
        min_size: side of the smallest face to be found, as a share of the photo's shorter side;
            never less than 20 pixels. Time grows with its inverse square.
        rotations: degrees at which faces are looked for, each with 20 degrees to either side. For
            photos that may lie on a side or upside down, add 90, -90 and 180.
        min_score: of a face that is returned; higher is surer, lower finds more.
    """

    def __init__(
        self,
        *,
        min_size: float = 0.05,
        rotations: Sequence[float] = (0, -30, 30),
        min_score: float = 0.5,
    ) -> None:
        if not 0 < min_size <= 1:
            raise ConfigError(f"min_size is {min_size}; expected a share between 0 and 1.")
        self.min_size, self.rotations, self.min_score = min_size, tuple(rotations), min_score

    def find(self, photo: np.ndarray) -> list[Face]:
        """Returns the faces in a photo ``(H, W, 3)`` RGB or ``(H, W)`` grey uint8, largest first.

        Raises:
            UserError: OpenCV is missing, or is a version without cascades.
        """
        least = LIKELY * self.min_score / (1 - self.min_score)
        seen, scale, border = self._prepared(_grey(photo))
        found: list[FaceHit] = []
        for spot in self._proposed(seen):
            if any(spot.near(other.spot) for other in found):
                continue
            face = self._checked(seen, spot)
            if face.sightings >= least:
                found.append(face)
        found.sort(reverse=True)
        apart = [
            face
            for place, face in enumerate(found)
            if not any(face.spot.near(surer.spot) for surer in found[:place])
        ]
        faces = [_in_photo(face, scale, border) for face in apart]
        return sorted(faces, key=lambda face: (-face.box[2], face.box))

    @cached_property
    def _cascades(self) -> list[Any]:
        return [_cascade(name) for name in (*CASCADES, EYES)]

    def _prepared(self, grey: np.ndarray) -> tuple[np.ndarray, float, int]:
        """The photo shrunk until the smallest face is ``SMALLEST``, with a border all around it.

        Returns the scale and the width of the border, too. Faces cut by the edge need the border.
        """
        cv2 = _opencv()
        shorter = min(grey.shape)
        scale = min(1.0, SMALLEST / max(shorter * self.min_size, 20))
        if scale < 1:
            size = [max(1, round(side * scale)) for side in reversed(grey.shape)]
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        border = int(0.12 * min(grey.shape)) + 1
        around = [border] * 4
        return cv2.copyMakeBorder(grey, *around, cv2.BORDER_REPLICATE), scale, border

    def _proposed(self, seen: np.ndarray) -> list[Spot]:
        """Where the first cascade sees a face at least twice, the surest first."""
        spots = []
        for angle in self.rotations:
            turned, back = _turned(seen, angle)
            for (x, y, side, _), hits in _sightings(self._cascades[0], turned, 1.15, 20):
                middle = back @ (x + side / 2, y + side / 2, 1)
                across, down = middle.tolist()
                spots.append((-hits, Spot(across, down, float(side), angle)))
        return [spot for _, spot in sorted(spots)]

    def _checked(self, seen: np.ndarray, spot: Spot) -> FaceHit:
        """What there is at ``spot``. Seeing an eye counts as much as seeing the face 20 times."""
        sightings, spot = self._look(seen, spot)
        if sightings < LIKELY / 8:
            return FaceHit(sightings, spot, None)
        sightings, spot = self._look(seen, spot)
        left, right = self._eyes(seen, spot)
        sightings += 20 * ((left is not None) + (right is not None))
        return FaceHit(sightings, spot, (left, right) if left and right else None)

    def _look(self, seen: np.ndarray, spot: Spot) -> tuple[int, Spot]:
        """How often both cascades see a face about ``spot``, and its mean place and angle."""
        hits = []
        for turn in TURNS:
            patch, back = _patch(seen, spot._replace(angle=spot.angle + turn), ROOM, PATCH)
            for cascade in self._cascades[:2]:
                for (x, y, side, _), number in _sightings(cascade, patch, 1.1, 32, 84):
                    middle = x + side / 2, y + side / 2
                    if math.dist(middle, (PATCH / 2, PATCH / 2)) < 0.15 * PATCH:
                        hits.append((number, turn, side, *(back @ (*middle, 1))))
        if not hits:
            return 0, spot
        table = np.array(sorted(hits))
        turn, side, x, y = np.average(table[:, 1:], axis=0, weights=table[:, 0]).tolist()
        scale = spot.side * ROOM / PATCH
        return int(table[:, 0].sum()), Spot(x, y, side * scale, spot.angle + turn)

    def _eyes(self, seen: np.ndarray, spot: Spot) -> list[Point | None]:
        """Where the left and the right eye are: the surest in either half of the upper face."""
        patch, back = _patch(seen, spot, 1.2, 120)
        eyes: list[Point | None] = []
        for left in (8, 56):
            part = patch[22:70, left : left + 56]
            found = _sightings(self._cascades[2], part, 1.1, 18, 48)
            if not found:
                eyes.append(None)
                continue
            (x, y, side, _), _ = max(found, key=lambda hit: (hit[1], hit[0]))
            middle = back @ (left + x + side / 2, 22 + y + side / 2, 1)
            eyes.append((float(middle[0]), float(middle[1])))
        return eyes


def _opencv() -> Any:
    """OpenCV, imported when it is first needed, as few tasks need it."""
    try:
        with IMPORTING:
            import cv2
    except ImportError as error:
        raise UserError(f"Finding faces needs OpenCV; {INSTALL}") from error
    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise UserError(f"OpenCV {cv2.__version__} comes without face cascades; {INSTALL}")
    return cv2


def _cascade(name: str) -> Any:
    cv2 = _opencv()
    path = f"{cv2.data.haarcascades}haarcascade_{name}.xml"
    cascade = cv2.CascadeClassifier(path)
    if cascade.empty():
        raise UserError(f"{path} is missing or broken; {INSTALL}")
    return cascade


def _sightings(
    cascade: Any, image: np.ndarray, factor: float, smallest: int, largest: int = 0
) -> list[tuple[list[int], int]]:
    """Boxes x, y, width, height that a cascade sees at least twice, each with how often."""
    sides = (smallest, smallest), (largest, largest)
    boxes, counts = cascade.detectMultiScale2(image, factor, 1, 0, *sides)
    return [(box.tolist(), int(count)) for box, count in zip(boxes, counts, strict=True)]


def _turned(image: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The whole image turned counter-clockwise, and the matrix ``(2, 3)`` that leads back."""
    if angle == 0:
        return image, np.eye(2, 3)
    cv2 = _opencv()
    height, width = image.shape
    there = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    cosine, sine = abs(there[0, 0]), abs(there[0, 1])
    size = round(width * cosine + height * sine), round(width * sine + height * cosine)
    there[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    turned = cv2.warpAffine(image, there, size, borderValue=128)  # flat: soon rejected
    return turned, cv2.invertAffineTransform(there)


def _patch(image: np.ndarray, spot: Spot, room: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The square about ``spot`` turned upright, and the matrix ``(2, 3)`` that leads back.

    Args:
        room: side of the square, in sides of the face.
        size: side of the result, in pixels.
    """
    cv2 = _opencv()
    there = cv2.getRotationMatrix2D((spot.x, spot.y), spot.angle, size / (room * spot.side))
    there[:, 2] += size / 2 - spot.x, size / 2 - spot.y
    patch = cv2.warpAffine(image, there, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return patch, cv2.invertAffineTransform(there)


def _grey(photo: np.ndarray) -> np.ndarray:
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or photo.shape[2:] not in ((), (3,)):
        raise ValueError(f"a photo is uint8 (H, W, 3) or (H, W); got {photo.dtype} {photo.shape}")
    cv2 = _opencv()
    return photo if photo.ndim == 2 else cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)


def _in_photo(face: FaceHit, scale: float, border: int) -> Face:
    """From pixels of the shrunk photo with its border to pixels of the photo."""
    x, y, side, angle = face.spot
    left, top = (x - side / 2 - border) / scale, (y - side / 2 - border) / scale
    eyes = None
    if face.eyes:
        (a, b), (c, d) = face.eyes
        eyes = (
            ((a - border) / scale, (b - border) / scale),
            ((c - border) / scale, (d - border) / scale),
        )
    score = face.sightings / (face.sightings + LIKELY)
    return Face((left, top, side / scale, side / scale), (angle + 180) % 360 - 180, eyes, score)


def check_not_a_strip(photo: np.ndarray, shown: str) -> None:
    """DataError if a photo ``(H, W, …)`` is so long that a search for faces would take minutes."""
    height, width = photo.shape[:2]
    if max(height, width) > LONGEST * min(height, width):
        raise DataError(
            f"{shown} has {width:,} × {height:,} pixels; at most {LONGEST} times as long as wide "
            "is read."
        )


def crop(photo: np.ndarray, face: Face, size: int = 48) -> np.ndarray:
    """Cuts a face out of a photo ``(H, W, 3)`` or ``(H, W)``, turned upright, ``size`` pixels wide.

    Where the face reaches over the photo's edge, the edge is continued.
    """
    cv2 = _opencv()
    side = face.box[2]
    there = cv2.getRotationMatrix2D(face.middle, face.angle, size / side)
    there[:, 2] += size / 2 - face.middle[0], size / 2 - face.middle[1]
    smaller = side > 2 * size  # then an average of the pixels, not a few of them
    steps = max(1, int(side / size)) if smaller else 1
    there *= steps
    pixels = cv2.warpAffine(
        photo, there, (size * steps, size * steps), borderMode=cv2.BORDER_REPLICATE
    )
    if steps == 1:
        return pixels
    found: np.ndarray = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return found


def drawn(photo: np.ndarray, faces: Sequence[Face], captions: Sequence[str]) -> np.ndarray:
    """The photo in colour with a frame around each face and its caption, readable at any size."""
    cv2 = _opencv()
    picture = cv2.cvtColor(photo, cv2.COLOR_GRAY2RGB) if photo.ndim == 2 else photo.copy()
    thick = max(1, round(min(picture.shape[:2]) / 300))
    height = max(0.35, min(picture.shape[:2]) / 900)
    font = cv2.FONT_HERSHEY_SIMPLEX
    for face, caption in zip(faces, captions, strict=True):
        corners = cv2.boxPoints((face.middle, face.box[2:], face.angle))
        outline = [np.round(corners).astype(np.int32)]
        cv2.polylines(picture, outline, True, (255, 255, 255), 2 * thick + 1, cv2.LINE_AA)
        cv2.polylines(picture, outline, True, (47, 111, 143), thick, cv2.LINE_AA)
        (width, tall), base = cv2.getTextSize(caption, font, height, thick)
        left = int(min(max(0, corners[:, 0].min()), max(0, picture.shape[1] - width - 4)))
        top = int(corners[:, 1].min()) - tall - base - 2
        if top < 0:  # no room above: below
            top = int(min(corners[:, 1].max() + 2, picture.shape[0] - tall - base - 2))
        top = max(0, top)
        end = (left + width + 4, top + tall + base + 2)
        cv2.rectangle(picture, (left, top), end, (47, 111, 143), -1)
        place = (left + 2, top + tall + 1)
        cv2.putText(picture, caption, place, font, height, (255, 255, 255), thick, cv2.LINE_AA)
    return picture
