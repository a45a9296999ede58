"""Word vectors and the classifier on their mean."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from marketorch.data.ragged import Ragged
from marketorch.data.texts.tokens import TokenDataset
from marketorch.models.texts import word_vectors
from marketorch.models.texts.text_transformer import TextTransformer
from marketorch.models.texts.word_vectors import VectorBag, fit_head, leading_vectors, ppmi_vectors

pytestmark = pytest.mark.numbers

ANIMALS, TOOLS = range(4, 14), range(14, 24)


def corpus(number: int = 400) -> tuple[Ragged, torch.Tensor]:
    """Texts about animals (even rows) or tools (odd rows), six words each."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(0, 10, (number, 6), generator=generator)
    topic = torch.arange(number) % 2
    return Ragged.of((draws + 4 + 10 * topic[:, None]).tolist()), topic


def test_words_of_one_topic_have_similar_vectors():
    texts, _ = corpus()
    vectors = torch.nn.functional.normalize(ppmi_vectors(texts, 24, 4), dim=1)
    likeness = vectors @ vectors.T
    within = likeness[4:14, 4:14].mean()
    assert within > likeness[4:14, 14:].mean() + 0.5


@pytest.mark.parametrize("exact_rows", [0, 1000])
def test_what_stands_in_no_pair_has_the_zero_vector(monkeypatch, exact_rows):
    """The network normalises its rows, so what rounding leaves there would be blown up."""
    monkeypatch.setattr(word_vectors, "EXACT_ROWS", exact_rows)
    texts, _ = corpus()
    vectors = ppmi_vectors(texts, 40, 8)
    assert vectors[[0, 1, 2, 3, *range(24, 40)]].abs().max() < 1e-6


@pytest.mark.parametrize("exact_rows", [0, 1000])
@pytest.mark.parametrize("strengths", [[9, 8, 7, 6, 5, 4], [9, 9, 9, 5, 5, 5]])
def test_rounding_errors_do_not_turn_the_vectors(monkeypatch, exact_rows, strengths):
    """Those of another processor are played by noise; the cut at 4 goes through a tie."""
    monkeypatch.setattr(word_vectors, "EXACT_ROWS", exact_rows)
    draw = np.random.default_rng(1)
    left, _ = np.linalg.qr(draw.standard_normal((30, 6)))
    right, _ = np.linalg.qr(draw.standard_normal((30, 6)))
    table = left * strengths @ right.T
    expected, _ = leading_vectors(csr_matrix(table), 4)
    for _ in range(5):
        noisy = csr_matrix(table + 1e-14 * draw.standard_normal(table.shape))
        np.testing.assert_allclose(leading_vectors(noisy, 4)[0], expected, atol=1e-6)
    np.testing.assert_allclose(expected.T @ expected, np.eye(4), atol=1e-9)


def test_the_bag_knows_words_that_no_labelled_text_holds():
    texts, topic = corpus()
    labels = torch.full((len(texts),), -1)
    words = [set(texts.pad(torch.tensor([row]))[0].tolist()) for row in range(len(texts))]
    few = [row for row, own in enumerate(words) if not own & {13, 23}][:10]
    labels[few] = topic[few]
    bag = VectorBag(num_classes=2, vocab_size=24, dim=4, inverse_penalty=1.0)
    bag.fit(TokenDataset(texts, labels))
    unheard = torch.tensor([[2, 13, 13], [2, 23, 23]])
    assert bag(unheard).argmax(1).tolist() == [0, 1]


def test_special_tokens_count_nothing():
    texts, topic = corpus()
    bag = VectorBag(num_classes=2, vocab_size=24, dim=4)
    bag.fit(TokenDataset(texts, topic))
    plain, padded = torch.tensor([[5, 6]]), torch.tensor([[2, 5, 6, 1, 0, 0]])
    torch.testing.assert_close(bag(plain), bag(padded))


def test_a_fitted_head_is_scikit_learns():
    torch.manual_seed(0)
    states, labels = 3 + 2 * torch.randn(90, 5), torch.arange(90) % 3
    head = torch.nn.Linear(5, 3)
    fit_head(head, states, labels, 0.1)
    scaled = ((states - states.mean(0)) / states.std(0)).numpy()
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    expected = model.fit(scaled, labels.numpy()).decision_function(scaled)
    torch.testing.assert_close(
        head(states), torch.from_numpy(expected).float(), rtol=1e-3, atol=1e-3
    )


def test_the_bag_is_a_member_and_travels_with_the_weights():
    texts, topic = corpus(40)
    model = TextTransformer(num_classes=2, vocab_size=24, dim=8, num_heads=2, vectors={"dim": 4})
    model.fit(TokenDataset(texts, topic))
    model.eval()
    tokens = texts.pad(torch.arange(3))
    assert model.num_members == model(tokens).shape[1] == 2
    again = TextTransformer(num_classes=2, vocab_size=24, dim=8, num_heads=2, vectors={"dim": 4})
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval()(tokens), model(tokens))
