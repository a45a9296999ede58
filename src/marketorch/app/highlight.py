"""Words that moved the answer most where they stand in their text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from marketorch.models.texts.tokenizer import WORDS


class Piece(NamedTuple):
    """A part of a text.

    Args:
        text: as it stands there.
        strength: of the word, from -1, the strongest against, to 1; 0 for what says nothing.
    """

    text: str
    strength: float = 0.0


def pieces(text: str, words: Sequence[dict[str, Any]]) -> list[Piece]:
    """Cuts a text at its words that moved the answer most; joined, the pieces are the text again.

    A word that stands there more than once is found at each of its places: which of them told is
    not known. Where it has several weights, the strongest counts.

    Args:
        words: ``word`` and ``weight`` of each.
    """
    most = max((abs(own["weight"]) for own in words), default=0.0)
    if not most:
        return [Piece(text)] if text else []
    found: list[Piece] = []
    end = 0
    for start, stop, weight in _places(text, words):
        if start < end:  # lies in a stronger word
            continue
        found += [Piece(text[end:start])] if start > end else []
        found.append(Piece(text[start:stop], weight / most))
        end = stop
    return [*found, Piece(text[end:])] if end < len(text) else found


def _places(text: str, words: Sequence[dict[str, Any]]) -> list[tuple[int, int, float]]:
    """Start, end and weight of each word that is found, in the order of the text."""
    whole: dict[str, list[tuple[int, int]]] = {}
    for match in re.finditer(WORDS, text):
        whole.setdefault(match.group(), []).append(match.span())
    places: dict[tuple[int, int], float] = {}
    for own in sorted(words, key=lambda own: -abs(own["weight"])):
        word = own["word"]
        # Vocabularies that are brought along cut texts elsewhere; then any place will do.
        spans = whole.get(word) or [m.span() for m in re.finditer(re.escape(word), text)]
        for span in spans:
            if span[0] < span[1]:
                places.setdefault(span, own["weight"])
    return sorted((start, stop, weight) for (start, stop), weight in places.items())
