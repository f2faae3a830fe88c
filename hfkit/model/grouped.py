"""Attention over packed texts in groups: texts of about the same length side by side.

    packed  [T, H, D]  ─ gather ─▶  groups  [H, texts, length, D]  ─ give back ─▶  [T, H, D]

Each real token stands in one place of one group. So gradients are gathered as the values are, the
other way round; autograd, which knows no such thing, would add them up into arrays of zeros.
Spare tokens at the end of the row are read by nothing: they give no gradient and get none. There
are no gradients of gradients.

On a CPU texts of up to 1024 tokens are multiplied as they are, in pieces whose scores stay in the
cache (pieces.py): measured on two cores of Zen 5, that takes 0.6 µs a token of 16 where torch's
fused kernel takes 17, 3.3 against 6.8 at 256 and 12 against 12 at 1024. Longer ones go through the
fused kernel, which needs no memory for the scores, unless weights are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hfkit.model.packing import LONG, Group, Packing
from hfkit.model.pieces import weighted

SHORT = 1024  # tokens
BLOCK = 256  # queries of a long text that look at their window together


class Rule(NamedTuple):
    """How a layer attends. `window` is the distance from which on a token is out of sight."""

    scale: float
    dropout: float
    window: int | None
    causal: bool


def in_groups(query: Tensor, key: Tensor, value: Tensor, packing: Packing, rule: Rule) -> Tensor:
    """Compute ``[1, T, H, D]`` from ``[1, H, T, D]``."""
    heads = query.shape[1]
    even = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    queries, keys, values = (
        _per_head(Gathered.apply(part.squeeze(0).transpose(0, 1), packing, even), heads)  # type: ignore[no-untyped-call]
        for part in (query, key, value)
    )
    found = [
        _attended(queries[place], keys[place], values[place], group, rule)
        for place, group in enumerate(packing.groups(even))
    ]
    given: Tensor = GivenBack.apply(packing, even, *found)  # type: ignore[no-untyped-call]
    return given.unsqueeze(0)


class Gathered(torch.autograd.Function):
    """The tokens of each group. What only fills up must get no gradient, and gets none: keys are
    hidden, and `GivenBack` has none for queries."""

    @staticmethod
    def forward(ctx: Any, row: Tensor, packing: Packing, even: bool) -> tuple[Tensor, ...]:
        """``[T, H, D]`` to ``[H, texts, length, D]`` for each group."""
        ctx.packing, ctx.even, ctx.size = packing, even, len(row)  # which may lack spare tokens
        return _gathered(row, packing, even)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of each real token, and zeros for the spare ones."""
        found = _given_back(gradients, ctx.packing, ctx.even)[: ctx.size]
        found[len(ctx.packing.places) :] = 0.0
        return found, None, None


class GivenBack(torch.autograd.Function):
    """The tokens of all groups in the order of the packed row."""

    @staticmethod
    def forward(ctx: Any, packing: Packing, even: bool, *groups: Tensor) -> Tensor:
        """``[H, texts, length, D]`` of each group to ``[T, H, D]``."""
        ctx.packing, ctx.even = packing, even
        return _given_back(groups, packing, even)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of each group, zero where it is filled up."""
        found = _gathered(gradient, ctx.packing, ctx.even)
        for part, group in zip(found, ctx.packing.groups(ctx.even), strict=True):
            if group.filled is not None:
                part.masked_fill_(group.filled.transpose(1, 2), 0.0)
        return None, None, *found


# Both move whole rows of one head: four times as fast as to index between heads and features.


def _gathered(row: Tensor, packing: Packing, even: bool) -> tuple[Tensor, ...]:
    _, heads, size = row.shape
    flat = row.reshape(-1, size)
    return tuple(
        flat.index_select(0, rows).view(heads, group.texts, group.length, size)
        for rows, group in zip(packing.rows(heads, even), packing.groups(even), strict=True)
    )


def _given_back(groups: Sequence[Tensor], packing: Packing, even: bool) -> Tensor:
    heads, size = groups[0].shape[0], groups[0].shape[-1]
    flat = [group.reshape(-1, size) for group in groups]
    together = flat[0] if len(flat) == 1 else torch.cat(flat)
    return together.index_select(0, packing.rows_back(heads, even)).view(-1, heads, size)


def _per_head(groups: Sequence[Tensor], heads: int) -> Sequence[Tensor]:
    """Keys or values that several heads share, once for each."""
    if groups[0].shape[0] == heads:
        return groups
    return [group.repeat_interleave(heads // group.shape[0], dim=0) for group in groups]


def _attended(query: Tensor, key: Tensor, value: Tensor, group: Group, rule: Rule) -> Tensor:
    """Attention within the texts of a group, ``[heads, texts, length, D]``."""
    length, filled, window = group.length, group.filled, rule.window
    hidden, seen = filled, group.shortest
    if window is not None and length > 2 * BLOCK:
        return _in_blocks(query, key, value, filled, rule, window)
    if rule.causal or (window is not None and length > window):
        places = torch.arange(length, device=query.device)
        hidden, seen = _hidden(places, length, rule, filled), 0
    return _weighted(query, key, value, hidden, rule, seen)


def _hidden(places: Tensor, keys: int, rule: Rule, filled: Tensor | None) -> Tensor:
    """Which of `keys` tokens are hidden from the tokens at `places`: ``[1 or texts, places,
    keys]``."""
    distance = places.unsqueeze(1) - torch.arange(keys, device=places.device).unsqueeze(0)
    hidden = distance < 0 if rule.causal else torch.zeros_like(distance, dtype=torch.bool)
    if rule.window is not None:
        hidden = hidden | (distance.abs() >= rule.window)
    return hidden.unsqueeze(0) if filled is None else hidden | filled


def _in_blocks(
    query: Tensor, key: Tensor, value: Tensor, filled: Tensor | None, rule: Rule, window: int
) -> Tensor:
    """Attention to a window: a block of queries with the keys that one of them sees."""
    length, parts = query.shape[2], []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        first, last = max(0, start - window + 1), min(length, end + window - 1)
        places = torch.arange(start - first, end - first, device=query.device)
        fill = None if filled is None else filled[..., first:last]
        hidden = _hidden(places, last - first, rule, fill)
        keys, values = key[:, :, first:last], value[:, :, first:last]
        parts.append(_weighted(query[:, :, start:end], keys, values, hidden, rule))
    return torch.cat(parts, dim=2)


def _weighted(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, rule: Rule, seen: int = 0
) -> Tensor:
    """softmax(QKᵀ · scale) V of ``[heads, texts, length, D]``, without what is `hidden`: none of
    the first `seen` keys.

    Hidden is a large negative number, not minus infinity: a token that only fills up may see
    nothing else, and its NaN would reach every gradient.
    """
    if query.device.type != "cpu" or (key.shape[2] > SHORT and not rule.dropout):
        mask = None if hidden is None else _mask(hidden, query.dtype)
        found = functional.scaled_dot_product_attention(
            query.transpose(0, 1),
            key.transpose(0, 1),
            value.transpose(0, 1),
            attn_mask=None if mask is None else mask.unsqueeze(1),
            dropout_p=rule.dropout,
            scale=rule.scale,
        )
        return found.transpose(0, 1)
    return _on_cpu(query, key, value, hidden, rule, seen)


def _mask(hidden: Tensor, kind: torch.dtype) -> Tensor:
    """What is added to the scores."""
    mask = torch.zeros(hidden.shape, dtype=kind, device=hidden.device)
    return mask.masked_fill_(hidden, torch.finfo(kind).min / 2)


def _on_cpu(
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, rule: Rule, seen: int
) -> Tensor:
    """The same. Short texts in fp32: in bf16 oneDNN would make a kernel for each of their many
    shapes."""
    heads, texts, _, size = query.shape
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    if kind == torch.bfloat16 and key.shape[2] <= LONG:
        kind = torch.float32
    mask = None
    if hidden is not None:
        mask = _mask(hidden, kind).expand(heads, texts, -1, -1).flatten(0, 1)
    with torch.autocast("cpu", enabled=False):
        queries, keys, values = (
            part.reshape(heads * texts, -1, size).to(kind) for part in (query, key, value)
        )
        found = weighted(queries, keys, values, mask, rule.scale, rule.dropout, seen)
    return found.view(query.shape).to(query.dtype)
