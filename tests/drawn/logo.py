"""Marks, and photos in which squares bear their names."""

from __future__ import annotations

from pathlib import Path

from drawings import squares

from marketorch.data.scenes.invented_marks import DISTRACTORS, MARKS


def draw(root: Path) -> None:
    """Four marks to look for, eight others, and photos in which squares bear their names."""
    stocks = {"brand_marks": list(MARKS.items())[:4]}
    stocks["distractor_marks"] = list(DISTRACTORS.items())[:8]
    for name, marks in stocks.items():
        (root / name).mkdir(parents=True)
        for title, drawing in marks:
            (root / name / f"{title}.svg").write_text(drawing)
    brands, own = [title for title, _ in stocks["brand_marks"]], root / "flickrlogos27"
    for seed, split in enumerate(("train", "validation", "test")):
        path = squares(own / "images" / f"instances_{split}.json", 16, seed, (brands[0], brands[1]))
        path.rename(own / path.name)
