"""The n-gram table against scikit-learn on explicit features."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from marketorch.data.ragged import Ragged
from marketorch.data.texts.tokens import TokenDataset
from marketorch.models.texts.ngrams import (
    Majority,
    NgramLogistic,
    NgramTable,
    distinct,
    ngram_hashes,
)

TEXTS = ["good good film", "bad film", "not good at all", "not bad at all", "fine", "awful film"]
LABELS = torch.tensor([1, 0, 0, 1, 1, 0])


def fitted(**options: object) -> tuple[NgramLogistic, TokenDataset]:
    model = NgramLogistic(num_classes=2, **options)  # type: ignore[arg-type]
    model.tokenizer.fit(TEXTS)
    data = TokenDataset(model.tokenizer.encode(TEXTS), LABELS)
    model.fit(data)
    return model, data


def test_hashes_name_ngrams_not_places():
    tokens = torch.tensor([[5, 6, 7, 0], [9, 5, 6, 7]])
    hashes = ngram_hashes(tokens, 3)
    hashes = hashes.view(2, 3, 4)
    assert hashes[0, 1, 1] == hashes[1, 1, 2]  # "5 6"
    assert hashes[0, 2, 2] == hashes[1, 2, 3]  # "5 6 7"
    assert (hashes[0, :, 3] == 0).all()
    assert (hashes[:, 1, 0] == 0).all()
    assert len(hashes.unique()) == 1 + 4 + 3 + 2  # nothing, and each distinct n-gram once


def test_distinct_marks_the_first_of_each_run():
    row = torch.tensor([[0, 0, 3, 3, 5]])
    assert distinct(row).tolist() == [[False, False, True, False, True]]


def test_naive_bayes_weighting_equals_scikit_learn():
    model, data = fitted(max_order=2, min_count=1, inverse_penalty=10.0)
    vectorizer = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"\S+")
    counts = vectorizer.fit_transform([f"[CLS] {text}" for text in TEXTS]).toarray()
    # words seen once are [UNK] to the tokenizer, so give scikit-learn the same tokens
    ids = [model.tokenizer.tokenizer.encode(text).tokens for text in TEXTS]
    counts = vectorizer.fit_transform([" ".join(["[CLS]", *words]) for words in ids]).toarray()
    labels = LABELS.numpy()
    p, q = 1 + counts[labels == 1].sum(0), 1 + counts[labels == 0].sum(0)
    weighted = counts * (np.log(p / p.sum()) - np.log(q / q.sum()))
    weighted = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    expected = LogisticRegression(C=10.0, tol=1e-6).fit(weighted, labels).predict_proba(weighted)
    batch = data.__getitems__(list(range(6)))
    actual = model(batch["tokens"]).softmax(1)
    np.testing.assert_allclose(actual.numpy(), expected, atol=5e-3)


@pytest.mark.parametrize("weighting", ["nb", "tfidf"])
def test_state_survives_a_round_trip(weighting):
    model, data = fitted(weighting=weighting)
    other = NgramLogistic(num_classes=2, weighting=weighting)
    other.load_state_dict(model.state_dict())
    tokens = data.__getitems__([0, 1, 2])["tokens"]
    assert torch.equal(other(tokens), model(tokens))


def test_unseen_ngrams_count_nothing():
    table = NgramTable(num_classes=2, max_order=1)
    table.fit(TokenDataset(Ragged.of([[4, 5], [6, 7]]), torch.tensor([0, 1])))
    known = table(torch.tensor([[4, 5]]))
    assert torch.equal(table(torch.tensor([[4, 5, 99]])), known)
    assert torch.equal(table(torch.tensor([[98, 99]]))[0], table.bias)


def test_unlabelled_texts_are_left_out():
    tokens = Ragged.of([[4, 5], [6, 7], [8, 9]])
    some = NgramTable(num_classes=2, max_order=1)
    some.fit(TokenDataset(tokens, torch.tensor([0, 1, -1])))
    assert len(some.keys) == 4


def test_majority_predicts_the_shares():
    model = Majority(num_classes=2)
    model.fit(TokenDataset(Ragged.of([[4]] * 4), torch.tensor([0, 0, 0, 1])))
    shares = model(torch.ones(2, 3, dtype=torch.int64)).softmax(1)
    torch.testing.assert_close(shares, torch.tensor([[0.75, 0.25]] * 2))
