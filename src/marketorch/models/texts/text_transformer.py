"""A small text transformer trained from scratch, with an n-gram branch beside it.

Tokens are embedded and read by pre-norm blocks (Xiong et al. 2020) with rotary positions (Su et
al. 2021) and PyTorch's fused attention; mean and maximum over the text feed a linear head. On a
few thousand texts that alone loses to naive-Bayes weighted bigrams, so the model may carry such a
bag of n-grams as a second member: each member is trained with a loss of its own, so the one that
fits first cannot starve the other, and their logits are averaged to predict.

With ``num_classes=0`` the module is the encoder alone, as masked-language pretraining needs it.
Shapes: B texts, L tokens, D width, H heads, C classes, K members.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from marketorch.data.texts.tokens import TokenDataset
from marketorch.models.blocks.transformer import Block, SequenceDropout, rotary
from marketorch.models.texts.ngrams import NgramTable
from marketorch.models.texts.tokenizer import PAD, SubwordTokenizer
from marketorch.models.texts.word_vectors import VectorBag, fit_head, ppmi_vectors


class Neighbours(nn.Module):
    """Adds to each token what a convolution over it and its neighbours finds.

    Phrases are local; attention has to learn that from data which a few thousand texts are not.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.reach = width // 2
        self.mix = nn.Linear((2 * self.reach + 1) * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, D)``, zero where there is no text, to ``(B, L, D)``."""
        length = x.shape[1]
        padded = F.pad(x, (0, 0, self.reach, self.reach))
        shifted = [padded[:, i : i + length] for i in range(2 * self.reach + 1)]
        return x + F.gelu(self.mix(torch.cat(shifted, dim=-1)))


class TextTransformer(nn.Module):
    """Classifies token ids ``(B, L)``; logits ``(B, C)``, or ``(B, K, C)`` of K members.

    Args:
        num_classes: 0 leaves out the head: `encode` is all there is.
        vocab_size: rows of the embedding; the fitted vocabulary has at most so many entries.
        tokenizer: ``word`` or ``bpe``.
        lowercase: fold case.
        max_length: tokens kept of a text, the first two thirds and the last third.
        window: tokens the transformer reads of these, likewise; the n-grams read them all.
        dim, depth, num_heads, mlp_ratio: width, blocks, heads, feed-forward width over ``dim``.
        neighbours: width of a convolution ahead of the blocks, odd; 0: there is none.
        dropout: in the blocks and before the head.
        embedding_dropout: on the embeddings.
        word_vectors: start the embedding from `ppmi_vectors` of the training texts.
        ngrams: arguments of the `NgramTable` beside the transformer; None: there is none.
        vectors: arguments of the `VectorBag` beside the transformer; None: there is none.
        inherit_ngrams: keep the table that came with ``init_from`` or ``pretrain`` as a third
            member, beside the one that is fitted here.
        probe: fit the head in closed form, by logistic regression on the states of the encoder as
            it comes, with this value of scikit-learn's C; for very few labels.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        vocab_size: int = 8000,
        tokenizer: str = "bpe",
        lowercase: bool = True,
        max_length: int = 256,
        window: int = 256,
        dim: int = 128,
        depth: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        neighbours: int = 0,
        dropout: float = 0.1,
        embedding_dropout: float = 0.1,
        word_vectors: bool = False,
        ngrams: dict[str, Any] | None = None,
        vectors: dict[str, Any] | None = None,
        inherit_ngrams: bool = False,
        probe: float | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = SubwordTokenizer(
            kind=tokenizer, size=vocab_size, lowercase=lowercase, max_length=max_length
        )
        self.window, self.head_dim = window, dim // num_heads
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.embedding_norm, self.last_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.embedding_dropout = SequenceDropout(embedding_dropout)
        self.neighbours = Neighbours(dim, neighbours) if neighbours else None
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, SequenceDropout(dropout)) for _ in range(depth)
        )
        self.word_vectors, self.probe = word_vectors, probe
        self.ngrams: NgramTable | None = None
        self.inherited: NgramTable | None = None
        if num_classes:
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(2 * dim, num_classes)
        if num_classes and ngrams:
            self.ngrams = NgramTable(num_classes=num_classes, **ngrams)
            if inherit_ngrams:
                self.inherited = NgramTable(num_classes=num_classes, **ngrams)
        self.vectors: VectorBag | None = None
        if num_classes and vectors is not None:
            sizes = {"num_classes": num_classes, "vocab_size": vocab_size}
            self.vectors = VectorBag(**sizes, **vectors)
        self.num_members = 1 + len(self.companions)

    @property
    def companions(self) -> list[NgramTable | VectorBag]:
        """The members beside the transformer, all fitted in closed form."""
        found = (self.ngrams, self.inherited, self.vectors)
        return [member for member in found if member is not None]

    # -- what is learnt in closed form ----------------------------------------------------------

    def initialise(self, train: TokenDataset) -> None:
        """Word vectors for an embedding that has learnt nothing yet."""
        if self.word_vectors:
            vocab_size, dim = self.embedding.weight.shape
            self.embedding.weight.data = dim**-0.5 * ppmi_vectors(train.tokens, vocab_size, dim)

    def fit(self, train: TokenDataset) -> None:
        """Fits the other members and, if asked, the head on the encoder as it is."""
        if self.probe is not None:
            self._fit_probe(train, self.probe)
        if self.vectors is not None:
            self.vectors.fit(train)
        if self.ngrams is None:
            return
        if self.inherited is not None and not self.inherited.fitted:
            self.inherited.set_extra_state(self.ngrams.get_extra_state())
        self.ngrams.fit(train)

    @torch.no_grad()
    def _fit_probe(self, train: TokenDataset, inverse_penalty: float) -> None:
        assert train.labels is not None
        rows = (train.labels >= 0).nonzero()[:, 0]
        mode = self.training
        self.eval()
        states = torch.cat([self._pooled(train.tokens.pad(part)) for part in rows.split(256)])
        self.train(mode)
        fit_head(self.head, states, train.labels[rows], inverse_penalty)

    # -- use ------------------------------------------------------------------------------------

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, L)`` to states ``(B, L, D)``."""
        x = self.embedding_dropout(self.embedding_norm(self.embedding(tokens)))
        if self.neighbours is not None:
            x = self.neighbours(x * (tokens != PAD)[..., None])
        mask = (tokens != PAD)[:, None, None]
        rotation = rotary(tokens.shape[1], self.head_dim, tokens.device)
        for block in self.blocks:
            x = block(x, mask, rotation)
        normed: Tensor = self.last_norm(x)
        return normed

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of a batch; the other members, with nothing to learn, speak in evaluation only."""
        logits: Tensor = self.head(self.dropout(self._pooled(tokens)))
        if self.training:
            return logits
        others = [member(tokens).float() for member in self.companions]
        return torch.stack([logits.float(), *others], dim=1)

    def _pooled(self, tokens: Tensor) -> Tensor:
        """What the head sees of each text ``(B, 2 D)``."""
        near = crop(tokens, self.window)
        return pool(self.encode(near), near != PAD)


def crop(tokens: Tensor, window: int) -> Tensor:
    """Keeps the first two thirds and the last third of ``window`` tokens of each longer text.

    ``(B, L)`` to ``(B, window)``; a batch that is no longer stays as it is.
    """
    if tokens.shape[1] <= window:
        return tokens
    excess = ((tokens != PAD).sum(1, keepdim=True) - window).clamp_min(0)
    columns = torch.arange(window, device=tokens.device)
    return tokens.gather(1, columns + excess * (columns >= window - window // 3))


def pool(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and maximum of ``(B, L, D)`` over the text, side by side ``(B, 2 D)``."""
    inside = mask[..., None]
    mean = (states * inside).sum(1) / inside.sum(1)
    return torch.cat([mean, states.masked_fill(~inside, -torch.inf).amax(1)], dim=1)
