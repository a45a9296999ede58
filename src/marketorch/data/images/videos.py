"""Reads frames of a video through OpenCV, one every so many seconds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from marketorch.data.images.dataset import Pixels
from marketorch.errors import DataError

SUFFIXES = {
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
}
WHOLE = 0.9  # share of the frames a video says it has that must be readable; it may be a guess


def read_frames(path: Path, every: float) -> Iterator[tuple[float, Pixels]]:
    """Yields frames with the second at which they are shown, the first and then one every so often.

    Args:
        path: the video.
        every: seconds from one frame to the next.

    Yields:
        The second, and the frame ``(H, W, 3)`` uint8, RGB, upright as the camera noted.

    Raises:
        DataError: the file is missing, broken, cut short or no video.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our message says what is wrong
    import cv2  # slow to import, and of use here only

    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise DataError(f"{path} is not a video that OpenCV can read, or its index is missing.")
        rate, said = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
        number, due, second = 0, 0.0, 0.0
        while video.grab():
            shown = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            second = shown if shown > 0 or not rate > 0 else number / rate
            number += 1
            if second + 1e-6 < due:
                continue
            whole, frame = video.retrieve()
            if whole:
                yield second, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                due = ((second + 1e-6) // every + 1) * every
        if number < WHOLE * said or not number:
            end = f"{number:,} of {said:,.0f} frames can be read, up to second {second:.1f}"
            raise DataError(f"{path} is damaged or cut short: {end}.")
    finally:
        video.release()


def frames_at(path: Path, every: float, places: Collection[int]) -> Iterator[Pixels]:
    """Yields only those of the frames that `read_frames` gives which are at ``places``, from 0."""
    wanted = set(places)
    for place, (_, frame) in enumerate(read_frames(path, every)):
        if place in wanted:
            yield frame


def time_of(second: float) -> str:
    """A time as part of a name: ``12.5s``."""
    return f"{second:.3f}".rstrip("0").rstrip(".") + "s"
