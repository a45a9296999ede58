"""The transformer block that every sequence model is made of.

Pre-norm (Xiong et al. 2020), rotary positions (Su et al. 2021), PyTorch's fused attention.
Shapes: B sequences, L positions, D width, H heads, d = D / H.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor] | None
"""Cosine and sine of each position's angles; None: positions are encoded in another way, or not."""


class SequenceDropout(nn.Module):
    """Drops the same channels at every position of a sequence (Gal & Ghahramani 2016).

    One mask a sequence instead of one a position: an L-th of the random numbers, which on a CPU
    cost as much as the matrix products they guard.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        if not self.training or not self.rate:
            return x
        return x * F.dropout(x.new_ones(len(x), 1, x.shape[2]), self.rate)


class PositionDropout(nn.Dropout):
    """Dropout with a mask for every position, from random bytes on a CPU: five times as fast there.

    The rate is rounded to a 256th.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        dropped = round(256 * self.p)
        if not self.training or dropped in (0, 256) or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(x.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))


class Attention(nn.Module):
    """Multi-head self-attention over ``(B, L, D)`` with rotary positions."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None, rotation: Rotation) -> Tensor:
        """``mask`` ``(B, 1, 1, L)`` is True where there is something; None: attention is causal."""
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, rotation), rotate(k, rotation)
        heads = attend(q, k, v, mask)
        return self.out(heads.transpose(1, 2).reshape(batch, length, dim))

    def at(self, x: Tensor, place: Tensor, rotation: Rotation) -> Tensor:
        """What `forward` gives at one ``place (B,)`` of each sequence, causally: ``(B, D)``."""
        batch, length, dim = x.shape
        rows = torch.arange(batch, device=x.device)
        weight, bias = self.qkv.weight, self.qkv.bias
        q = F.linear(x[rows, place], weight[:dim], bias[:dim])
        q = q.view(batch, 1, self.num_heads, -1).transpose(1, 2)
        kv = F.linear(x, weight[dim:], bias[dim:])
        k, v = kv.view(batch, length, 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        here = rotation and (rotation[0][place][:, None, None], rotation[1][place][:, None, None])
        before = torch.arange(length, device=x.device) <= place[:, None]
        heads = attend(rotate(q, here), rotate(k, rotation), v, before[:, None, None])
        return self.out(heads.reshape(batch, dim))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Fused attention of ``(B, H, L, d)``; no dropout on the weights, which would unfuse it."""
    how: dict[str, Any] = {"attn_mask": mask, "is_causal": mask is None}
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, **how)
    # PyTorch's fused CPU kernel takes 1.3 (L 384) to 3 times (L 56) as long in bf16 as in fp32.
    with torch.autocast("cpu", enabled=False):
        heads = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), **how)
    return heads.to(v.dtype)


class Block(nn.Module):
    """Attention and a GELU feed-forward, each normalised before and added after.

    ``dropout`` is a module: `SequenceDropout`, or `PositionDropout`, which tells positions apart.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, dropout: nn.Module) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads)
        wide, narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.mlp = nn.Sequential(wide, nn.GELU(), narrow)
        self.dropout = dropout
        for last in (self.attention.out, narrow):  # a block starts close to doing nothing
            nn.init.normal_(last.weight, std=0.02)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, mask: Tensor | None, rotation: Rotation) -> Tensor:
        """``(B, L, D)`` to ``(B, L, D)``."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, rotation))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))

    def at(self, x: Tensor, place: Tensor, rotation: Rotation) -> Tensor:
        """What `forward` gives at one ``place (B,)`` of each sequence, causally: ``(B, D)``."""
        heads = self.attention.at(self.attention_norm(x), place, rotation)
        x = x[torch.arange(x.shape[0], device=x.device), place] + self.dropout(heads)
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


def rotary(length: int, head_dim: int, device: torch.device) -> Rotation:
    """Cosine and sine ``(L, head_dim / 2)`` of rotary positions."""
    powers = torch.arange(0, head_dim, 2, device=device) / head_dim
    angles = torch.arange(length, device=device)[:, None] / 10_000**powers
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turns each pair of channels of ``(B, H, L, d)`` by its position's angle."""
    if rotation is None:
        return x
    cos, sin = (part.to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
