"""Which face stands near which brand, in a photo of any size and from any distance.

The gap between a face and a brand is the shortest line from the one's box to the other's, nothing
where they touch, and it is measured in sides of the face. A face is about as large on everybody, so
this is a length in the world rather than in the photo: `REACH` sides are an arm's length or so. The
photo is flat, though: what hangs far behind a face can lie beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

REACH = 2.5  # sides of a face, from the brows to the chin


def near(
    faces: Sequence[dict[str, Any]], brands: Sequence[dict[str, Any]], reach: float = REACH
) -> list[dict[str, Any]]:
    """The pairs of a face and a brand that are near each other, the nearest first.

    Args:
        faces, brands: boxes with ``x1 y1 x2 y2``; a brand has a ``brand``, its name.
        reach: the largest distance, in sides of the face.

    Returns:
        ``face`` and ``brand``, the places in the lists, the ``name`` and the ``distance``.
    """
    pairs = [
        {"face": i, "brand": j, "name": brand["brand"], "distance": round(distance, 4)}
        for i, face in enumerate(faces)
        for j, brand in enumerate(brands)
        if (distance := gap(face, brand) / max(face["x2"] - face["x1"], 1e-6)) <= reach
    ]
    return sorted(pairs, key=lambda pair: (pair["distance"], pair["face"], pair["brand"]))


def gap(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The shortest distance of two boxes in pixels, 0 where they touch."""
    across = max(one["x1"] - other["x2"], other["x1"] - one["x2"], 0.0)
    down = max(one["y1"] - other["y2"], other["y1"] - one["y2"], 0.0)
    return math.hypot(across, down)
