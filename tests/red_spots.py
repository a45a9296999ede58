"""What tests of listening and of the page share: a detector of red, a photo for it, a cut file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from drawings import canvas

from marketorch.tasks.detection import Detection

TEXT = "The screen is not bad, and the delivery was slow."


def reds(task: Detection, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A detector of red spots: one box each photo, of the first brand."""
    red = batch["images"][:, 0].int() - batch["images"][:, 1].int() > 100
    boxes, scores = torch.zeros(len(red), 1, 4), torch.zeros(len(red), 1)
    for place, mask in enumerate(red):
        if mask.any():
            rows, columns = (mask.any(axis).nonzero()[:, 0] for axis in (1, 0))
            edges = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
            boxes[place, 0], scores[place, 0] = torch.tensor(edges), 0.9
    labels = torch.where(scores > 0, 0, -1)
    return {"index": batch["index"], "boxes": boxes, "scores": scores, "labels": labels}


def red_spot() -> np.ndarray:
    """Two faces on a wall, with a red spot beside the left one."""
    photo = np.repeat(canvas((40, 50), (420, 80))[:, :, None], 3, 2)
    photo[200:240, 60:140] = (230, 20, 20)
    return photo


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]
