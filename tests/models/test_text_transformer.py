"""The transformer against written-out references on the same random weights."""

import math

import pytest
import torch

from marketorch.models.text_transformer import (
    Attention,
    TextDropout,
    TextTransformer,
    crop,
    pool,
    rotary,
    rotate,
)


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


def test_rotary_scores_depend_on_the_distance_alone():
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    rotation = rotary(30, 8, torch.device("cpu"))
    turned_q, turned_k = (
        rotate(q.expand(1, 1, 30, 8), rotation),
        rotate(k.expand(1, 1, 30, 8), rotation),
    )
    scores = (turned_q @ turned_k.transpose(-1, -2))[0, 0]
    torch.testing.assert_close(scores[5, 2], scores[25, 22], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(scores[5, 2], scores[5, 3])


def test_attention_equals_the_formula():
    torch.manual_seed(0)
    layer, x = Attention(16, 2), torch.randn(2, 5, 16)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    rotation = rotary(5, 8, torch.device("cpu"))
    q, k, v = layer.qkv(x).chunk(3, dim=-1)
    heads = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = rotate(q[..., part], rotation) @ rotate(k[..., part], rotation).transpose(1, 2)
        scores = (scores / math.sqrt(8)).masked_fill(~mask[:, None], -torch.inf)
        heads.append(scores.softmax(-1) @ v[..., part])
    expected = layer.out(torch.cat(heads, -1))
    actual = layer(x, mask[:, None, None], rotation)
    torch.testing.assert_close(actual[mask], expected[mask], rtol=1e-4, atol=1e-5)


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


def test_text_dropout_drops_the_same_channels_everywhere():
    layer = TextDropout(0.5).train()
    out = layer(torch.ones(4, 7, 64))
    assert torch.equal(out[:, :1].expand_as(out), out)
    assert 0.3 < (out == 0).float().mean() < 0.7
    assert torch.equal(layer.eval()(torch.ones(1, 2, 3)), torch.ones(1, 2, 3))


@pytest.mark.parametrize("num_classes", [0, 3])
def test_every_parameter_gets_a_finite_gradient(num_classes):
    model = small(num_classes=num_classes).train()
    tokens = tokens_of(9, 4)
    out = model(tokens) if num_classes else model.encode(tokens)
    out.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
