"""A linear classifier on the n-grams of token ids: the sceptic, and the transformer's companion.

Logistic regression on n-grams weighted by naive-Bayes log-count ratios (Wang & Manning 2012,
"Baselines and bigrams") or by TF-IDF, each text's vector normalised. It needs no vocabulary of
its own: an n-gram is the 64-bit hash of its token ids, computed on the fly for a whole batch, and
the table holds the hashes seen in training, sorted, so an unseen n-gram counts nothing instead of
falling into somebody else's bucket.

Shapes: B texts, L tokens, N n-grams a text, F table entries, C classes, S 1 or C scales.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from marketorch.data.texts.tokens import TokenDataset
from marketorch.errors import ConfigError, check_choice
from marketorch.models.tables.prior import Prior
from marketorch.models.texts.tokenizer import PAD, SubwordTokenizer

MIX, FINISH = -7046029254386353131, -4417276706812531889  # odd 64-bit constants
CHUNK = 512  # texts hashed at a time while fitting


def ngram_hashes(tokens: Tensor, max_order: int) -> Tensor:
    """Hashes ``(B, max_order * L)`` of all n-grams of up to ``max_order`` tokens in ``(B, L)``.

    Column ``n * L + t`` is the n-gram of ``n + 1`` tokens that ends at token ``t``; it is 0 where
    that would touch padding or leave the text.
    """
    inside = tokens != PAD
    rolling, parts = torch.zeros_like(tokens), []
    for order in range(max_order):
        previous = nn.functional.pad(rolling, (1, 0))[:, :-1]
        rolling = previous * MIX + tokens + 1
        mixed = (rolling ^ (rolling >> 29)) * FINISH + order
        starts = torch.arange(tokens.shape[1], device=tokens.device) >= order
        parts.append(mixed.masked_fill(~(inside & starts), 0))
    return torch.cat(parts, dim=1)


class NgramTable(nn.Module):
    """Class logits from the distinct n-grams of a text; fitted by scikit-learn, never by gradient.

    Args:
        max_order: longest n-gram.
        min_count: training texts an n-gram must occur in.
        weighting: ``nb`` (log-count ratios, one class against the rest) or ``tfidf``.
        inverse_penalty: scikit-learn's C.
        balanced: weigh classes inversely to their frequency.
        normalise: scale each text's vector to unit length, so that long texts do not shout. Off
            for training sets that mix phrases with sentences.
    """

    keys: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        max_order: int = 2,
        min_count: int = 1,
        weighting: str = "nb",
        inverse_penalty: float = 30.0,
        balanced: bool = False,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        check_choice("weighting", weighting, ("nb", "tfidf"), ConfigError)
        self.num_classes, self.max_order, self.min_count = num_classes, max_order, min_count
        self.weighting, self.inverse_penalty = weighting, inverse_penalty
        self.class_weight, self.normalise = "balanced" if balanced else None, normalise
        empty = {"keys": torch.zeros(1, dtype=torch.int64), "scale": torch.zeros(1, 1)}
        empty |= {"weight": torch.zeros(1, num_classes), "bias": torch.zeros(num_classes)}
        for name, value in empty.items():
            self.register_buffer(name, value, persistent=False)

    # -- state: of a size that only the data know, so it travels as bytes -----------------------

    def get_extra_state(self) -> Tensor:
        """The table as safetensors bytes ``(n,)`` uint8."""
        table = {name: getattr(self, name).cpu() for name in ("keys", "scale", "weight", "bias")}
        return torch.frombuffer(bytearray(to_bytes(table)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Reads what `get_extra_state` wrote."""
        for name, value in from_bytes(state.cpu().numpy().tobytes()).items():
            setattr(self, name, value.to(self.keys.device))

    @property
    def fitted(self) -> bool:
        """Whether the table holds anything."""
        return len(self.keys) > 1

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, train: TokenDataset) -> None:
        """Fits the table on the labelled texts of the training split."""
        assert train.labels is not None
        rows = (train.labels >= 0).nonzero()[:, 0]
        labels = train.labels[rows].numpy()
        keys, matrix = self._presence(train, rows)
        if self.weighting == "tfidf":
            frequency = np.asarray(matrix.sum(0)).ravel()
            idf = np.log((1 + len(labels)) / (1 + frequency)) + 1
            weight, bias = self._regress(matrix, idf, labels)
            scale = idf[:, None]
        else:
            scale, weight, bias = self._one_against_rest(matrix, labels)
        self.keys = torch.from_numpy(keys)
        self.scale = torch.from_numpy(scale).float()
        self.weight, self.bias = torch.from_numpy(weight).float(), torch.from_numpy(bias).float()

    def _presence(self, train: TokenDataset, rows: Tensor) -> tuple[np.ndarray, csr_matrix]:
        """Sorted hashes ``(F,)`` and which text holds which: a sparse binary ``(N, F)``."""
        texts, found = [], []
        for start in range(0, len(rows), CHUNK):
            tokens = train.tokens.pad(rows[start : start + CHUNK])
            hashes, _ = ngram_hashes(tokens, self.max_order).sort(dim=1)
            owner, place = (distinct(hashes)).nonzero(as_tuple=True)
            texts.append((owner + start).numpy())
            found.append(hashes[owner, place].numpy())
        keys, columns = np.unique(np.concatenate(found), return_inverse=True)
        ones = np.ones(len(columns), np.float32)
        owner_column = (np.concatenate(texts), columns.ravel())
        matrix = csr_matrix((ones, owner_column), shape=(len(rows), len(keys)))
        frequent = np.asarray(matrix.sum(0)).ravel() >= self.min_count
        return keys[frequent], matrix[:, frequent]

    def _one_against_rest(
        self, matrix: csr_matrix, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-count ratios and a regression a class; two classes share one."""
        scales, weights, biases = [], [], []
        for number in [1] if self.num_classes == 2 else range(self.num_classes):
            inside = labels == number
            positive = 1 + np.asarray(matrix[inside].sum(0)).ravel()
            negative = 1 + np.asarray(matrix[~inside].sum(0)).ravel()
            ratio = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
            weight, bias = self._regress(matrix, ratio, inside.astype(int), binary=True)
            scales.append(ratio)
            weights.append(weight)
            biases.append(bias)
        if self.num_classes == 2:
            weights, biases = [-weights[0] / 2, weights[0] / 2], [-biases[0] / 2, biases[0] / 2]
        return np.stack(scales, 1), np.stack(weights, 1), np.array(biases)

    def _regress(
        self, matrix: csr_matrix, scale: np.ndarray, labels: np.ndarray, binary: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Logistic regression on scaled rows: weights ``(F, C)``, or ``(F,)`` if binary."""
        scaled = matrix @ diags(scale.astype(np.float64))
        norms = np.sqrt(np.asarray(scaled.power(2).sum(1)).ravel()).clip(1e-6)
        rows = (diags(1 / norms) @ scaled if self.normalise else scaled).tocsr()
        if len(np.unique(labels)) < 2:  # a class that this sample lacks
            return np.zeros(matrix.shape[1]), np.float64(-5.0)
        from sklearn.linear_model import LogisticRegression  # seconds, which only a fit costs

        model = LogisticRegression(
            C=self.inverse_penalty, class_weight=self.class_weight, max_iter=300, tol=1e-4
        )
        model.fit(rows, labels)
        weight, bias = model.coef_, model.intercept_
        if binary:
            return weight[0], bias[0]
        if self.num_classes == 2:
            return np.stack([-weight[0], weight[0]], 1) / 2, np.array([-bias[0], bias[0]]) / 2
        full, offsets = (
            np.zeros((matrix.shape[1], self.num_classes)),
            np.full(self.num_classes, -9.0),
        )
        full[:, model.classes_], offsets[model.classes_] = weight.T, bias
        return full, offsets

    # -- use ----------------------------------------------------------------------------------

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, L)`` to logits ``(B, C)``."""
        ordered, _ = ngram_hashes(tokens, self.max_order).sort(dim=1)
        place = torch.searchsorted(self.keys, ordered).clamp_max(len(self.keys) - 1)
        known = (self.keys[place] == ordered) & distinct(ordered)
        scale = self.scale[place] * known[..., None]
        norm = scale.square().sum(1).sqrt().clamp_min(1e-6) if self.normalise else 1.0
        return (scale * self.weight[place]).sum(1) / norm + self.bias


def distinct(ordered: Tensor) -> Tensor:
    """True at the first of each run of equal, non-zero hashes in sorted rows ``(B, N)``."""
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return first & (ordered != 0)


class NgramLogistic(nn.Module):
    """`NgramTable` on whole words: the classic baseline, a model like any other.

    Args:
        max_order, min_count, weighting, inverse_penalty, balanced: see `NgramTable`.
        max_words: size of the vocabulary.
        max_length: words read of a text.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        max_order: int = 2,
        min_count: int = 1,
        weighting: str = "nb",
        inverse_penalty: float = 30.0,
        balanced: bool = False,
        max_words: int = 200_000,
        max_length: int = 4096,
    ) -> None:
        super().__init__()
        self.tokenizer = SubwordTokenizer(kind="word", size=max_words, max_length=max_length)
        self.table = NgramTable(
            num_classes=num_classes,
            max_order=max_order,
            min_count=min_count,
            weighting=weighting,
            inverse_penalty=inverse_penalty,
            balanced=balanced,
        )

    def fit(self, train: TokenDataset) -> None:
        """Fits the table."""
        self.table.fit(train)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, L)`` to logits ``(B, C)``."""
        logits: Tensor = self.table(tokens)
        return logits


class Majority(Prior):
    """The class shares of the training split, whatever a text says or an image shows.

    Args:
        num_classes: C.
        num_channels: of images; any will do.
    """

    def __init__(self, *, num_classes: int, num_channels: int = 1) -> None:
        super().__init__(num_numbers=0, level_counts=(), num_classes=num_classes)
        self.tokenizer = SubwordTokenizer(kind="word", size=100, max_length=8)

    def forward(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        """Logits ``(B, C)``."""
        return super().forward(inputs, inputs)
