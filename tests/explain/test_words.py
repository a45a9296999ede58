"""How often a model is asked for the importance of words, and about which ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from marketorch.explain.words import word_importance


class Counter:
    """A tokenizer of one token a word, and a score: what the words ``weights`` names are worth."""

    blank = 0

    def __init__(self, number: int, weights: dict[int, float]) -> None:
        self.number, self.asked = number, []
        self.values = torch.zeros(number + 1)
        for word, weight in weights.items():
            self.values[word + 1] = weight

    def words(self, text: str) -> tuple[list[int], list[int], list[str]]:
        """Word ``i`` is token ``i + 1``."""
        places = list(range(self.number))
        return [i + 1 for i in places], places, [f"w{i}" for i in places]

    def score(self, tokens: Tensor) -> Tensor:
        """Adds up the words that are left."""
        self.asked.append(len(tokens))
        return self.values[tokens].sum(1)


@pytest.mark.parametrize(
    ("number", "asked"),
    [
        (32, [33]),  # the text, and without each word
        (33, [33, 8]),  # without each of 32 parts, and each of the 7 words of the 6 strongest
        (320, [33, 61]),
        (640, [33, 64, 57]),  # at most 64 texts at a time
    ],
)
def test_long_texts_are_searched_by_parts(number: int, asked: list[int]) -> None:
    """The strongest parts are those of the last words, and the last of 33 words' parts has two."""
    model = Counter(number, {number - 1 - i * -(-number // 32): 9.0 - i for i in range(6)})
    found = word_importance(model.score, model, "", 6)
    assert [word["word"] for word in found] == [
        f"w{number - 1 - i * -(-number // 32)}" for i in range(6)
    ]
    assert model.asked == asked
