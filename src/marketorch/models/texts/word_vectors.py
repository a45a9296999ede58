"""Word vectors in seconds: a factorised table of what stands near what.

Positive pointwise mutual information of token pairs within a window, reduced by a truncated SVD
(Levy & Goldberg 2014; smoothing and weighting of Levy et al. 2015). A transformer that starts
from them has seen every text once before its first step; a classifier on their mean, `VectorBag`,
knows words that no labelled text holds.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from marketorch.data.ragged import Ragged
from marketorch.data.texts.tokens import TokenDataset
from marketorch.models.texts.tokenizer import MASK

EXACT_ROWS = 1000  # an exact SVD of so many words takes a second
SPARE = 10  # vectors found beyond those asked for, without which power iterations are far off
TIE = 1e-8  # of the largest singular value: closer ones are not told apart by rounding errors


class VectorBag(nn.Module):
    """Class logits from the mean word vector of a text; for a few labels among many plain texts.

    The vectors come from all training texts, the head from the labelled ones.

    Args:
        dim: of the vectors; each is normalised to unit variance.
        window: see `ppmi_vectors`; a wide one finds what words are about.
        inverse_penalty: scikit-learn's C.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        vocab_size: int,
        dim: int = 128,
        window: int = 8,
        inverse_penalty: float = 0.03,
    ) -> None:
        super().__init__()
        self.window, self.inverse_penalty = window, inverse_penalty
        self.vectors: Tensor
        self.register_buffer("vectors", torch.zeros(vocab_size, dim))
        self.head = nn.Linear(dim, num_classes).requires_grad_(False)

    def fit(self, train: TokenDataset) -> None:
        """Counts the vectors, the first time, and fits the head."""
        assert train.labels is not None
        if not self.vectors.any():
            vectors = ppmi_vectors(train.tokens, *self.vectors.shape, window=self.window)
            vectors[: MASK + 1] = 0.0
            self.vectors = F.layer_norm(vectors, vectors.shape[1:])
        rows = (train.labels >= 0).nonzero()[:, 0]
        states = torch.cat([self.mean(train.tokens.pad(part)) for part in rows.split(256)])
        fit_head(self.head, states, train.labels[rows], self.inverse_penalty)

    def mean(self, tokens: Tensor) -> Tensor:
        """Mean vectors ``(B, D)`` of tokens ``(B, L)``; special ones count nothing."""
        words = (tokens > MASK)[..., None]
        return (self.vectors[tokens] * words).sum(1) / words.sum(1).clamp_min(1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, L)`` to logits ``(B, C)``."""
        logits: Tensor = self.head(self.mean(tokens))
        return logits


@torch.no_grad()
def fit_head(head: nn.Linear, states: Tensor, labels: Tensor, inverse_penalty: float) -> None:
    """Sets a linear layer to the class-balanced logistic regression on ``states (N, D)``.

    Args:
        labels: ``(N,)``; every class must occur.
        inverse_penalty: scikit-learn's C, on states of unit variance.
    """
    from sklearn.linear_model import LogisticRegression  # seconds, which only a fit costs

    mean, std = states.mean(0), states.std(0).clamp_min(1e-6)
    model = LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=1000)
    model.fit(((states - mean) / std).double().numpy(), labels.numpy())
    weight = torch.from_numpy(model.coef_).float()
    bias = torch.from_numpy(model.intercept_).float()
    if len(weight) == 1:  # two classes share one regression
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    head.weight.copy_(weight / std)
    head.bias.copy_(bias - (weight / std) @ mean)


def ppmi_vectors(
    tokens: Ragged, vocab_size: int, dim: int, *, window: int = 5, smoothing: float = 0.75
) -> Tensor:
    """Vectors ``(vocab_size, dim)`` of unit standard deviation; special tokens stay near zero.

    They are a function of the texts, whatever the processor: see `leading_vectors`.

    Args:
        window: how far apart two tokens of a pair may be; nearer pairs count more.
        smoothing: exponent on the context's frequency, which tames rare contexts.
    """
    counts = _cooccurrence(tokens, vocab_size, window)
    totals = np.asarray(counts.sum(1)).ravel()
    context = totals**smoothing / (totals**smoothing).sum()
    pairs = counts.tocoo()
    information = np.log(pairs.data / (totals[pairs.row] * context[pairs.col]))
    positive = information > 0
    places = (pairs.row[positive], pairs.col[positive])
    table = csr_matrix((information[positive], places), shape=(vocab_size, vocab_size))
    left, strength = leading_vectors(table, dim)
    vectors = left * np.sqrt(strength)
    return torch.from_numpy(vectors / vectors[MASK + 1 :].std()).float()


def leading_vectors(table: csr_matrix, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors ``(V, dim)`` of a float64 table, and the singular values ``(dim,)``.

    Exact up to `EXACT_ROWS`; beyond, from two power iterations on a fixed random start, which in
    float64 is the same answer to some ten digits on every processor. A singular vector has no
    sign, and equal singular values share a subspace without axes of its own. Both are settled by
    fixed random directions: the basis of a subspace is their projection, made orthonormal.
    """
    from sklearn.utils.extmath import randomized_svd

    if table.shape[0] <= EXACT_ROWS:
        left, strength, _ = np.linalg.svd(table.toarray())
    else:
        left, strength, _ = randomized_svd(
            table, dim + SPARE, n_oversamples=0, n_iter=2, random_state=0
        )
    directions = np.random.default_rng(0).standard_normal(left.shape)
    steps = strength[:-1] - strength[1:] > TIE * strength[0]
    for group in np.split(np.arange(len(strength)), np.flatnonzero(steps) + 1):
        basis, triangle = np.linalg.qr(left[:, group].T @ directions[:, group])
        left[:, group] @= basis * np.sign(triangle.diagonal())
    return left[:, :dim], strength[:dim]


def _cooccurrence(tokens: Ragged, vocab_size: int, window: int) -> csr_matrix:
    """Symmetric pair counts ``(V, V)``, weighted by nearness; pairs never cross two texts."""
    values = tokens.values.numpy()
    text = np.repeat(np.arange(len(tokens)), tokens.lengths.numpy())
    word = values > MASK
    counts = csr_matrix((vocab_size, vocab_size))
    for distance in range(1, window + 1):
        first, second = slice(None, -distance), slice(distance, None)
        near = (text[first] == text[second]) & word[first] & word[second]
        weight = np.full(int(near.sum()), (window + 1 - distance) / window)
        places = (values[first][near], values[second][near])
        counts = counts + csr_matrix((weight, places), shape=counts.shape)
    return counts + counts.T
