"""Vocabularies that travel with the weights.

A text model owns a tokenizer. It is fitted once, on training texts only, and its state is one
byte tensor in the model's ``state_dict``, so checkpoints hold it and nothing is ever unpickled.
Every tokenizer offers ``fitted``, ``fit(texts)``, ``encode(texts)``, ``words(text)``,
``is_word(tokens)`` and ``blank``, the id of a word left out; id 0 is always padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from marketorch.data.cache import cached
from marketorch.data.ragged import Ragged
from marketorch.errors import ConfigError, check_choice

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[MASK]"]
PAD, UNK, CLS, MASK = range(4)
WORDS = r"(?i)[^\W\d_]+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|[^\W\d_]+|\d|[^\w\s]|_"
CACHE_FROM = 10_000  # texts; fewer are encoded in a second
Words = tuple[list[int], list[int], list[str]]
"""Token ids ``(L,)``, the word each token belongs to (-1: none), and the words."""


def tokenise(tokenizer: Any, texts: Sequence[str]) -> Ragged:
    """Encodes texts; a large collection is encoded once and then read from the disk cache."""
    if len(texts) < CACHE_FROM or not isinstance(tokenizer, SubwordTokenizer):
        return tokenizer.encode(texts)
    identity = [
        type(tokenizer).__name__,
        tokenizer.dump(),
        str(getattr(tokenizer, "max_length", 0)),
    ]
    parts = [*identity, *texts]
    return Ragged(**cached("tokens", parts, lambda: vars(tokenizer.encode(texts))))


class SubwordTokenizer(nn.Module):
    """Word or byte-pair vocabulary of at most ``size`` entries, a function of the texts.

    Args:
        kind: ``word`` or ``bpe``.
        size: largest number of entries, the four special ones included.
        lowercase: fold case.
        max_length: longer texts keep their first two thirds and last third of so many tokens.
    """

    blank = UNK

    def __init__(
        self, *, kind: str = "bpe", size: int = 8000, lowercase: bool = True, max_length: int = 256
    ) -> None:
        super().__init__()
        check_choice("model.tokenizer", kind, ("word", "bpe"), ConfigError)
        self.kind, self.size, self.lowercase, self.max_length = kind, size, lowercase, max_length
        self.tokenizer: Tokenizer | None = None

    @property
    def fitted(self) -> bool:
        """Whether there is a vocabulary yet."""
        return self.tokenizer is not None

    def fit(self, texts: Sequence[str]) -> None:
        """Learns the vocabulary from training texts."""
        tokenizer = self._untrained()
        trainer_of = {"word": trainers.WordLevelTrainer, "bpe": trainers.BpeTrainer}
        trainer = trainer_of[self.kind](
            vocab_size=self.size, special_tokens=SPECIAL, min_frequency=2, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        self.tokenizer = tokenizer

    def _untrained(self) -> Tokenizer:
        """Markup becomes a space; words, digits, contractions and punctuation are cut apart."""
        model_of = {"word": models.WordLevel, "bpe": models.BPE}
        tokenizer = Tokenizer(model_of[self.kind](unk_token="[UNK]"))
        steps = [
            normalizers.Replace(Regex(r"<[^>]{1,20}>"), " "),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Replace(Regex("[’`´]"), "'"),
        ]
        if self.lowercase:
            steps.append(normalizers.Lowercase())
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(
            Regex(WORDS), behavior="removed", invert=True
        )
        return tokenizer

    def encode(self, texts: Sequence[str]) -> Ragged:
        """Token ids of each text, a [CLS] in front, cut to ``max_length``."""
        assert self.tokenizer is not None, "fit or restore the vocabulary first"
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return Ragged.of([[CLS, *self._cut(encoding.ids)] for encoding in encodings])

    def words(self, text: str) -> Words:
        """The tokens of one text with the words they come from, as written."""
        assert self.tokenizer is not None, "fit or restore the vocabulary first"
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        spans: dict[int | None, list[int]] = {}
        for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
            spans.setdefault(word, []).extend((start, end))
        number = {word: i for i, word in enumerate(spans)}
        words = [text[min(span) : max(span)] for span in spans.values()]
        owners = [number[word] for word in encoding.word_ids]
        return [CLS, *self._cut(encoding.ids)], [-1, *self._cut(owners)], words

    def is_word(self, tokens: Tensor) -> Tensor:
        """True where ``tokens`` are neither padding nor special."""
        return tokens > CLS

    def _cut(self, ids: list[int]) -> list[int]:
        room = self.max_length - 1
        if len(ids) <= room:
            return ids
        tail = room // 3
        return ids[: room - tail] + ids[len(ids) - tail :]

    # -- state --------------------------------------------------------------------------------

    def dump(self) -> str:
        """The vocabulary in the format of `tokenizers`; empty before `fit`."""
        return self.tokenizer.to_str() if self.tokenizer else ""

    def get_extra_state(self) -> Tensor:
        """The vocabulary as bytes ``(n,)`` uint8."""
        return torch.frombuffer(bytearray(self.dump().encode() or b" "), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Reads what `get_extra_state` wrote."""
        text = bytes(state.cpu().numpy()).decode().strip()
        self.tokenizer = Tokenizer.from_str(text) if text else None
