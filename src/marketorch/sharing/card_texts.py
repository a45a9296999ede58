"""Sentences of model cards that no run records: licences and limits of data, faces."""

from __future__ import annotations

from typing import NamedTuple

FILES = ["path", "test", "item_table", "user_table", "photos", "backgrounds", "crops"]
FILES += ["marks", "distractors", "images", "validation", "test"]
"""Arguments of data sources that name what they read."""


class Source(NamedTuple):
    """Where data come from, as ``about`` of a data config says.

    Args:
        name: what they are called.
        licence: a sentence on how they may be used.
        limits: sentences on what they cannot show.
        of: a part of the paths that are meant; None: the source reads no files.
        shows_faces: whether faces are what the model reads.
    """

    name: str
    licence: str
    limits: tuple[str, ...] = ()
    of: str | None = None
    shows_faces: bool = False


UNKNOWN = Source(
    "files of whoever trained it",
    "not known to marketorch. Check it yourself before you share the model, and say it here.",
)

FACES = (
    "What a face shows is not what a person feels. A model knows neither the situation nor the "
    "person, and no picture tells either.",
    "Faces are read differently by people of different cultures and ages, and so they are "
    "labelled; whom the data lack, the model reads worst. Measure that before you use it.",
    "Ask everyone whose face you process, say what for, and keep neither photo nor answer longer "
    "than that takes. A photo of a face is personal data.",
    "Do not decide about anyone by it: not on work, schooling, credit, insurance, health, "
    "honesty or danger.",
    "In the European Union, Article 5(1)(f) of the AI Act (Regulation (EU) 2024/1689) prohibits "
    "AI that infers emotions of people at work and in education, except for medical or safety "
    "reasons; elsewhere, Article 50(3) wants people to be told. Other countries have laws of "
    "their own. This is no legal advice.",
)
