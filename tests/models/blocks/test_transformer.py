"""The block's parts against written-out references on the same random weights."""

import math

import pytest
import torch

from marketorch.models.blocks.transformer import (
    Attention,
    Block,
    PositionDropout,
    SequenceDropout,
    rotary,
    rotate,
)


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


@pytest.mark.parametrize("causal", [False, True])
def test_attention_equals_the_formula(causal):
    torch.manual_seed(0)
    layer, x = Attention(16, 2), torch.randn(2, 5, 16)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    rotation = rotary(5, 8, torch.device("cpu"))
    q, k, v = layer.qkv(x).chunk(3, dim=-1)
    heads = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = rotate(q[..., part], rotation) @ rotate(k[..., part], rotation).transpose(1, 2)
        allowed = torch.ones(5, 5).tril().bool() if causal else mask[:, None]
        scores = (scores / math.sqrt(8)).masked_fill(~allowed, -torch.inf)
        heads.append(scores.softmax(-1) @ v[..., part])
    expected = layer.out(torch.cat(heads, -1))
    actual = layer(x, None if causal else mask[:, None, None], rotation)
    torch.testing.assert_close(actual[mask], expected[mask], rtol=1e-4, atol=1e-5)


def test_sequence_dropout_drops_the_same_channels_everywhere():
    layer = SequenceDropout(0.5).train()
    out = layer(torch.ones(4, 7, 64))
    assert torch.equal(out[:, :1].expand_as(out), out)
    assert 0.3 < (out == 0).float().mean() < 0.7
    assert torch.equal(layer.eval()(torch.ones(1, 2, 3)), torch.ones(1, 2, 3))


def test_one_place_alone_is_what_the_whole_sequence_has_there():
    torch.manual_seed(0)
    block, x = Block(16, 2, 2.0, PositionDropout(0.5)).eval(), torch.randn(3, 6, 16)
    place = torch.tensor([5, 0, 2])
    for rotation in (rotary(6, 8, torch.device("cpu")), None):
        whole = block(x, None, rotation)[torch.arange(3), place]
        torch.testing.assert_close(block.at(x, place, rotation), whole, rtol=1e-5, atol=1e-6)


def test_position_dropout_keeps_the_mean_and_drops_its_share():
    torch.manual_seed(0)
    layer, x = PositionDropout(0.3).train(), torch.ones(50, 40, 33, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    out = out.detach()
    assert torch.equal(x.grad, out)
    assert (out == 0).float().mean() == pytest.approx(0.3, abs=0.005)
    assert out.mean() == pytest.approx(1, abs=0.01)
    assert out.unique().numel() == 2
    assert torch.equal(layer.eval()(x), x)
    assert not PositionDropout(1.0).train()(x).any()
