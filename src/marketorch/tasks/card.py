"""What a model card says of all models of a task, declared by the task."""

from __future__ import annotations

from typing import NamedTuple


class TaskCard(NamedTuple):
    """What a model card says of all models of a task.

    Args:
        tag: the hub's word for the task, if it has one.
        does: completes *a model that …*.
        intended: a paragraph on what it is good for.
        misuse: sentences on what it must not be used for.
        reveals: a paragraph on what of the training data is in the files.
        example: what `Run.predict` is called with, as code.
        people: sentences on those whom it is used on.
    """

    tag: str | None
    does: str
    intended: str
    misuse: tuple[str, ...]
    reveals: str
    example: str = ""
    people: tuple[str, ...] = ()


GENERAL = TaskCard(
    None,
    "solves a task of its own",
    "What it was trained for, on data like those it was trained on.",
    ("Decisions about people that nobody looks at.",),
    "",
)
"""Of a task that declares no card."""

REVEALS_WORDS = (
    "The vocabulary is in the checkpoint, and with it words of the training texts. If these are "
    "confidential, so is the checkpoint."
)

PERSONAL_DATA = (
    "Its data are of people, and so is every prediction: personal data, of which people may ask "
    "what is held, and why. Keep neither longer than they serve.",
    "What it has learnt holds what was done before, the unfair as well. Sex, origin, age, health, "
    "beliefs and what stands for them (a postcode, a first name) should be left out where they "
    "must not count (`data.drop`); leaving them out does not prove that they do not. Compare how "
    "it ranks, and errs, between groups before you use it.",
    "A reason says what the model went by, not what moved a person, and not what would change "
    "them.",
    "In the European Union, Article 22 of the GDPR (Regulation (EU) 2016/679) gives people the "
    "right not to be subject to a decision with legal or similarly significant effects that is "
    "based solely on automated processing, profiling included; by Article 21 they may object to "
    "profiling for direct marketing at any time. Other countries have laws of their own. This is "
    "no legal advice.",
)
