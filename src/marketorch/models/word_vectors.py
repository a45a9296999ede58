"""Word vectors in seconds: a factorised table of what stands near what.

Positive pointwise mutual information of token pairs within a window, reduced by a truncated SVD
(Levy & Goldberg 2014; smoothing and weighting of Levy et al. 2015). A transformer that starts
from them has seen every text once before its first step.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from marketorch.data.ragged import Ragged
from marketorch.models.tokenizer import MASK


def ppmi_vectors(
    tokens: Ragged, vocab_size: int, dim: int, *, window: int = 5, smoothing: float = 0.75
) -> Tensor:
    """Vectors ``(vocab_size, dim)`` of unit standard deviation; special tokens stay near zero.

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
    left, strength, _ = randomized_svd(table, dim, n_iter=2, random_state=0)
    vectors = left * np.sqrt(strength)
    return torch.from_numpy(vectors / vectors[MASK + 1 :].std()).float()


def _cooccurrence(tokens: Ragged, vocab_size: int, window: int) -> csr_matrix:
    """Symmetric pair counts ``(V, V)``, weighted by nearness; pairs never cross two texts."""
    values = tokens.values.numpy()
    text = np.repeat(np.arange(len(tokens)), tokens.lengths.numpy())
    word = values > MASK
    counts = csr_matrix((vocab_size, vocab_size), dtype=np.float32)
    for distance in range(1, window + 1):
        first, second = slice(None, -distance), slice(distance, None)
        near = (text[first] == text[second]) & word[first] & word[second]
        weight = np.full(int(near.sum()), (window + 1 - distance) / window, np.float32)
        places = (values[first][near], values[second][near])
        counts = counts + csr_matrix((weight, places), shape=counts.shape)
    return counts + counts.T
