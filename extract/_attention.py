"""Attention within each utterance of packed rows, with WavLM's bias or without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch

QUERY_TILE = 256  # frames that attend at once in WavLM, whose bias is a matrix

Fused = tuple[torch.Tensor, torch.Tensor]


def is_by_distance(model: Any) -> bool:
    """Whether attention has WavLM's gated bias over relative positions."""
    return hasattr(model.encoder.layers[0].attention, "rel_attn_embed")


def fuse(attention: Any) -> Fused:
    """Put query, key and value below each other: weight and bias."""
    parts = attention.q_proj, attention.k_proj, attention.v_proj
    return torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])


def attend(
    attention: Any,
    rows: torch.Tensor,
    fused: Fused,
    bounds: Sequence[int],
    biases: Biases | None,
) -> torch.Tensor:
    """Attend within each utterance: ``(row, channel)`` to the same."""
    product = torch.nn.functional.scaled_dot_product_attention
    heads = attention.num_heads
    joined = torch.nn.functional.linear(rows, *fused)
    gates = None if biases is None else _gates(attention, rows)
    out = torch.empty_like(rows)
    for a, b in pairwise(bounds):
        # (frame, 3, head, channel) -> three times (1, head, frame, channel)
        split = joined[a:b].view(b - a, 3, heads, -1).permute(1, 2, 0, 3)[:, None]
        into = out[a:b].view(b - a, heads, -1)
        if biases is None:
            into.copy_(product(*split)[0].transpose(0, 1))
            continue
        for start, bias in biases.tiles(b - a):
            end = start + bias.shape[1]
            gated = gates[:, a + start : a + end, None] * bias  # type: ignore[index]
            query = split[0][:, :, start:end]
            value = product(query, split[1], split[2], attn_mask=gated[None])
            into[start:end] = value[0].transpose(0, 1)
    attended: torch.Tensor = attention.out_proj(out)
    return attended


def _gates(attention: Any, rows: torch.Tensor) -> torch.Tensor:
    """Return WavLM's gate of each row's bias ``(head, row)``."""
    heads = rows.view(len(rows), attention.num_heads, -1)
    each = attention.gru_rel_pos_linear(heads).unflatten(-1, (2, 4)).sum(-1)
    one, other = torch.sigmoid(each).unbind(-1)  # (row, head)
    const = attention.gru_rel_pos_const.view(1, -1)
    return (one * (other * const - 1.0) + 2.0).T


class Biases:
    """WavLM's bias of each head for each distance in time, shared by all layers."""

    def __init__(self, model: Any, bounds: Sequence[int]) -> None:
        own = model.encoder.layers[0].attention
        self.longest = max(b - a for a, b in pairwise(bounds))
        n = self.longest
        table = own.rel_attn_embed.weight
        distance = torch.arange(1 - n, n, device=table.device)
        # (head, distance); the middle is 0
        buckets = own._relative_positions_bucket(distance)
        self.by_distance = own.rel_attn_embed(buckets).T.contiguous()

    def tiles(self, n: int) -> Iterable[tuple[int, torch.Tensor]]:
        """Yield the first query of a tile and its bias ``(head, query, key)``."""
        for start in range(0, n, QUERY_TILE):
            end = min(start + QUERY_TILE, n)
            # query q and key k are k - q apart: a row for each q, the last one first
            low = self.longest - end
            part = self.by_distance[:, low : low + (end - start) + n - 1]
            yield start, part.unfold(1, n, 1).flip(1)
