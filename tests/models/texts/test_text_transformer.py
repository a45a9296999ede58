"""The text transformer: padding, cropping, pooling, gradients."""

import pytest
import torch

from marketorch.models.texts.text_transformer import TextTransformer, crop, pool


def tokens_of(*lengths: int, vocab: int = 50) -> torch.Tensor:
    width = max(lengths)
    tokens = torch.randint(4, vocab, (len(lengths), width))
    for row, length in enumerate(lengths):
        tokens[row, length:] = 0
    return tokens


def small(**options: object) -> TextTransformer:
    torch.manual_seed(0)
    arguments = {"num_classes": 3, "vocab_size": 50, "dim": 16, "depth": 2, "num_heads": 2}
    return TextTransformer(**(arguments | options)).eval()  # type: ignore[arg-type]


def test_padding_changes_nothing():
    model, tokens = small(), tokens_of(9, 4)
    alone = model(tokens[1:, :4])
    torch.testing.assert_close(model(tokens)[1:], alone, rtol=1e-4, atol=1e-5)


def test_crop_keeps_the_beginning_and_the_end():
    tokens = torch.arange(1, 21).repeat(2, 1)
    tokens[1, 8:] = 0
    kept = crop(tokens, 9)
    assert kept[0].tolist() == [1, 2, 3, 4, 5, 6, 18, 19, 20]
    assert kept[1].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_pool_ignores_padding():
    states = torch.tensor([[[1.0], [3.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert pool(states, mask).tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize("num_classes", [0, 3])
def test_every_parameter_gets_a_finite_gradient(num_classes):
    model = small(num_classes=num_classes).train()
    tokens = tokens_of(9, 4)
    out = model(tokens) if num_classes else model.encode(tokens)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
