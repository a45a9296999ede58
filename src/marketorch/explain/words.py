"""Which words count: the model is asked again with each of them left out.

Leaving out (Zeiler & Fergus 2014; Li et al. 2016 for text) needs nothing of a model but its answer.
Gradients were tried first, plain and integrated: on the transformer they named full stops.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

PARTS = 32  # a longer text is searched by parts first
STRONGEST = 6  # of the parts, searched word by word
ROWS = 64  # texts asked about at a time
PUNCTUATION = frozenset(string.punctuation + string.whitespace)


def word_importance(
    score: Callable[[Tensor], Tensor], tokenizer: Any, text: str, number: int
) -> list[dict[str, Any]]:
    """The ``number`` words without which ``score`` changes most, the strongest first.

    Args:
        score: from tokens ``(N, L)`` to one number a text ``(N,)``.
        tokenizer: the model's; its ``blank`` stands for a word that is left out.

    Returns:
        ``{"word", "weight"}``: by how much the score falls without the word. A negative weight
        spoke against. Punctuation is never asked about.
    """
    ids, owners, words = tokenizer.words(text)
    groups = [[w] for w in sorted({*owners}) if w >= 0 and not PUNCTUATION.issuperset(words[w])]
    tokens, owner = torch.tensor(ids), torch.tensor(owners)
    if len(groups) > PARTS:
        parts = [[w for group in part for w in group] for part in _even_parts(groups, PARTS)]
        falls = _falls(score, tokens, owner, parts, tokenizer.blank)
        rank_columns = sorted(falls.abs().topk(STRONGEST).indices.tolist())
        groups = [[w] for i in rank_columns for w in parts[i]]
    if not groups:
        return []
    falls = _falls(score, tokens, owner, groups, tokenizer.blank)
    order = falls.abs().argsort(descending=True, stable=True)[:number].tolist()
    return [{"word": words[groups[i][0]], "weight": round(float(falls[i]), 4)} for i in order]


def _falls(
    score: Callable[[Tensor], Tensor],
    tokens: Tensor,
    owner: Tensor,
    groups: Sequence[Sequence[int]],
    blank: int,
) -> Tensor:
    """By how much the score of ``tokens (L,)`` falls without each group of words ``(G,)``."""
    rows = [tokens]
    rows += [tokens.masked_fill(torch.isin(owner, torch.tensor(g)), blank) for g in groups]
    scores = torch.cat([score(part) for part in torch.stack(rows).split(ROWS)])
    return scores[0] - scores[1:]


def _even_parts(items: Sequence[Any], number: int) -> list[Sequence[Any]]:
    """Neighbours in ``number`` runs of about the same length."""
    cuts = [len(items) * i // number for i in range(number + 1)]
    return [items[a:b] for a, b in pairwise(cuts)]
