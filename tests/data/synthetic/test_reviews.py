"""The review generator: reproducible, balanced, hard for bags of words."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from marketorch.data.synthetic.reviews import PLAIN, Reviews, generate_reviews


@pytest.fixture(scope="module")
def train() -> Reviews:
    return generate_reviews(8_000, label_noise=0.0)


@pytest.fixture(scope="module")
def unseen() -> Reviews:
    return generate_reviews(2_000, label_noise=0.0, start=8_000)


def test_the_same_seed_writes_the_same_reviews() -> None:
    assert generate_reviews(50, seed=3) == generate_reviews(50, seed=3)
    assert generate_reviews(50, seed=3).texts != generate_reviews(50, seed=4).texts


def test_the_reviews_are_pinned() -> None:
    assert generate_reviews(1).texts == [
        "This is about the granola from Kestrow. The price is no longer high."
    ]


def test_a_review_depends_on_its_index_alone() -> None:
    whole, slice_ = generate_reviews(60), generate_reviews(20, start=30)
    assert slice_.texts == whole.texts[30:50]
    assert slice_.labels == whole.labels[30:50]
    assert slice_.true_labels == whole.true_labels[30:50]


def test_noise_changes_labels_and_nothing_else(train: Reviews) -> None:
    noisy = generate_reviews(8_000, label_noise=0.1)
    assert noisy.texts == train.texts
    assert noisy.true_labels == train.true_labels == train.labels
    flipped = np.not_equal(noisy.labels, noisy.true_labels)
    assert flipped.mean() == pytest.approx(0.1, abs=0.015)
    assert noisy.best_accuracy == pytest.approx(0.9)


@pytest.mark.parametrize("label_noise", [-0.1, 0.5, 1.0])
def test_senseless_noise_is_refused(label_noise: float) -> None:
    with pytest.raises(ValueError, match="label_noise"):
        generate_reviews(1, label_noise=label_noise)


def test_the_classes_are_balanced(train: Reviews) -> None:
    assert np.mean(train.true_labels) == pytest.approx(0.5, abs=0.02)


def test_the_reviews_are_distinct_and_of_readable_length() -> None:
    texts = generate_reviews(20_000).texts
    assert len(set(texts)) > 0.99 * len(texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 8
    assert np.percentile(lengths, 99) <= 60
    assert not any("{" in text or "  " in text for text in texts)


def test_praise_and_blame_are_as_frequent_in_either_class(train: Reviews) -> None:
    for label in (0, 1):
        words = " ".join(
            text for text, own in zip(train.texts, train.labels, strict=True) if own == label
        )
        good = sum(words.count(word) for word in PLAIN[1])
        bad = sum(words.count(word) for word in PLAIN[-1])
        assert 0.4 < good / (good + bad) < 0.6


def test_a_bag_of_words_fails(train: Reviews, unseen: Reviews) -> None:
    vectorizer = TfidfVectorizer()
    model = LogisticRegression(max_iter=1_000)
    model.fit(vectorizer.fit_transform(train.texts), train.labels)
    assert model.score(vectorizer.transform(unseen.texts), unseen.labels) < 0.78


def test_bigrams_do_not_suffice(train: Reviews, unseen: Reviews) -> None:
    vectorizer = CountVectorizer(ngram_range=(1, 2), binary=True)
    counts = vectorizer.fit_transform(train.texts)
    positive = np.asarray(train.labels) == 1
    in_positive = 1.0 + np.asarray(counts[positive].sum(axis=0))
    in_negative = 1.0 + np.asarray(counts[~positive].sum(axis=0))
    ratio = np.log(in_positive / in_positive.sum()) - np.log(in_negative / in_negative.sum())
    model = LogisticRegression(max_iter=1_000)
    model.fit(counts.multiply(ratio).tocsr(), train.labels)
    held_out = vectorizer.transform(unseen.texts).multiply(ratio).tocsr()
    assert model.score(held_out, unseen.labels) < 0.88
