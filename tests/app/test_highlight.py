"""Words that explain are marked where they stand, and the text stays what it was."""

from __future__ import annotations

import random
from typing import Any

import pytest

from marketorch.app.highlight import Piece, pieces


def word(text: str, weight: float) -> dict[str, Any]:
    return {"word": text, "weight": weight}


def test_words_are_marked_by_their_share_of_the_strongest() -> None:
    found = pieces("It was not bad.", [word("not", 2.0), word("bad", -1.0)])
    assert found == [
        Piece("It was "),
        Piece("not", 1.0),
        Piece(" "),
        Piece("bad", -0.5),
        Piece("."),
    ]


@pytest.mark.parametrize(
    ("text", "told", "marked"),
    [
        ("nothing is not a thing", "not", ["not"]),  # a word, not a part of one
        ("not here, not there", "not", ["not", "not"]),
        ("Not here, not there", "not", ["not"]),  # as it is written
        ("I don't know", "n't", ["n't"]),
        ("I don’t know", "n’t", ["n’t"]),
        ("😀 fine 😀", "😀", ["😀", "😀"]),
        ("שלום עולם", "עולם", ["עולם"]),
        ("the pitching", "itch", ["itch"]),  # a vocabulary that cuts words
        ("a+b", "absent", []),
        ("", "absent", []),
    ],
)
def test_what_counts_as_the_word(text: str, told: str, marked: list[str]) -> None:
    found = pieces(text, [word(told, 1.0)])
    assert [piece.text for piece in found if piece.strength] == marked
    assert "".join(piece.text for piece in found) == text


def test_several_weights_and_none() -> None:
    found = pieces("not and not", [word("not", 1.0), word("not", -4.0), word("and", 1.0)])
    assert [piece.strength for piece in found if piece.text != " "] == [-1.0, 0.25, -1.0]
    assert pieces("as it is", [word("is", 0.0)]) == [Piece("as it is")]
    assert pieces("as it is", []) == [Piece("as it is")]


def test_whatever_the_words_the_text_is_whole() -> None:
    draw = random.Random(0)
    letters = "ab '’n\0<&\n😀ש\u202eé.1_"
    for _ in range(300):
        text = "".join(draw.choices(letters, k=draw.randrange(30)))
        words = [
            word(text[draw.randrange(30) :][: draw.randrange(6)], draw.uniform(-2, 2))
            for _ in range(draw.randrange(5))
        ]
        found = pieces(text, words)
        assert "".join(piece.text for piece in found) == text
        assert all(-1 <= piece.strength <= 1 and piece.text for piece in found)
