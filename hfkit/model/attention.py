"""Attention over packed texts: softmax(QKᵀ · scale) V, for each text alone.

The function that transformers' layers call in place of their own (`AttentionInterface`). On a CPU
texts of up to 1024 tokens are multiplied as they are, in pieces whose scores stay in the cache:
measured on two cores of Zen 5, that takes 0.6 µs a token of 16 where torch's fused kernel takes 17,
3.3 against 6.8 at 256 and 12 against 12 at 1024. Longer ones go through the fused kernel, which
needs no memory for the scores. On CUDA in half precision, a kernel for texts of various lengths
takes the packed row itself: `varlen_attn`, or with dropout that of torch's nested tensors.
"""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from hfkit.model.dropout import dropped
from hfkit.model.packing import LONG, Group, Packing

log = logging.getLogger(__name__)

NAME = "hfkit_packed"  # among transformers' attention functions
PACKING = "hfkit_packing"  # attribute of a module: the `Current` of its model
SHORT = 1024  # tokens
PIECE = 2**21  # bytes of scores computed at once
ROUNDED = 0.05  # what bf16 may change of numbers about 1
BLOCK = 256  # queries of a long text that look at their window together


class Current:
    """The packing of the batch that a model computes. It stays until the next one, as gradient
    checkpointing computes layers again in the backward pass."""

    def __init__(self) -> None:
        self.packing: Packing | None = None
        self.angles: dict[int, Any] = {}  # packed tables, by position: layers share a few


class CurrentOfThread(Current, threading.local):
    """The same for a CPU, where threads may compute batches of their own. On a GPU the backward
    pass runs in threads of torch's."""


class Rule(NamedTuple):
    """How a layer attends. `window` is the distance from which on a token is out of sight."""

    scale: float
    dropout: float
    window: int | None
    causal: bool


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute ``[1, T, H, D]`` from a query ``[1, H, T, D]`` and keys and values of as many heads,
    or of a part of them.

    Raises `ValueError` for a mask: all that is hidden from a text is the other texts.
    """
    packing: Packing | None = getattr(module, PACKING).packing
    if packing is None or attention_mask is not None:
        raise ValueError("a batch that was not packed")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    causal = bool(getattr(module, "is_causal", False) if is_causal is None else is_causal)
    rule = Rule(scale, dropout, sliding_window, causal)
    if has_kernel(query, key, rule):
        return by_kernel(query, key, value, packing, rule), None
    return in_groups(query, key, value, packing, rule), None


def in_groups(query: Tensor, key: Tensor, value: Tensor, packing: Packing, rule: Rule) -> Tensor:
    """The texts of about the same length together."""
    heads, parts = query.shape[1], []
    even = query.dtype == torch.bfloat16 and query.device.type == "cpu"
    for group in packing.groups(even):
        queries, keys, values = (_stacked(part, group, heads) for part in (query, key, value))
        parts.append(_attended(queries, keys, values, group.filled, rule))
    together = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
    return together.transpose(0, 1).index_select(0, packing.back(even)).unsqueeze(0)


def _stacked(part: Tensor, group: Group, heads: int) -> Tensor:
    """``[1, H, T, D]`` to the texts of a group, ``[heads, texts, length, D]``."""
    found = part.squeeze(0).index_select(1, group.places)
    if found.shape[0] != heads:
        found = found.repeat_interleave(heads // found.shape[0], dim=0)
    return found.view(heads, group.texts, group.length, -1)


def _attended(
    query: Tensor, key: Tensor, value: Tensor, filled: Tensor | None, rule: Rule
) -> Tensor:
    """Attention within the texts of a group; ``[heads, tokens of all, D]``."""
    heads, _, length, size = query.shape
    hidden, window = filled, rule.window
    if window is not None and length > 2 * BLOCK:
        found = _in_blocks(query, key, value, filled, rule, window)
        return found.reshape(heads, -1, size)
    if rule.causal or (window is not None and length > window):
        places = torch.arange(length, device=query.device)
        hidden = _hidden(places, length, rule, filled)
    return _weighted(query, key, value, hidden, rule).reshape(heads, -1, size)


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
    query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, rule: Rule
) -> Tensor:
    """softmax(QKᵀ · scale) V of ``[heads, texts, length, D]``, without what is `hidden`.

    Hidden is a large negative number, not minus infinity: a token that only fills up may see
    nothing else, and its NaN would reach every gradient.
    """
    mask = None
    if hidden is not None:
        least = torch.finfo(query.dtype).min / 2
        mask = torch.zeros(hidden.shape, dtype=query.dtype, device=query.device)
        mask = mask.masked_fill(hidden, least)
    if query.device.type != "cpu" or (key.shape[2] > SHORT and not rule.dropout):
        found = functional.scaled_dot_product_attention(
            query.transpose(0, 1),
            key.transpose(0, 1),
            value.transpose(0, 1),
            attn_mask=None if mask is None else mask.unsqueeze(1),
            dropout_p=rule.dropout,
            scale=rule.scale,
        )
        return found.transpose(0, 1)
    # Short texts in fp32: oneDNN would make a kernel for each of their many shapes in bf16.
    short = query.dtype == torch.bfloat16 and key.shape[2] <= LONG
    if not short:
        return _in_pieces(query, key, value, mask, rule)
    with torch.autocast("cpu", enabled=False):
        full = None if mask is None else mask.float()
        found = _in_pieces(query.float(), key.float(), value.float(), full, rule)
        return found.to(query.dtype)


def _in_pieces(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rule: Rule
) -> Tensor:
    """The same on a CPU, with a `mask` to be added to the scores."""
    heads, texts, length, size = query.shape
    if mask is not None:
        mask = mask.expand(heads, texts, -1, -1).flatten(0, 1)
    flat = [part.reshape(heads * texts, -1, size) for part in (query * rule.scale, key, value)]
    at_once = max(1, PIECE // (4 * length * key.shape[2]))
    pieces = []
    for start in range(0, heads * texts, at_once):
        queries, keys, values = (part[start : start + at_once] for part in flat)
        scores = torch.bmm(queries, keys.transpose(1, 2))
        if mask is not None:
            scores = scores + mask[start : start + at_once]
        if scores.requires_grad:  # bf16 would round the gradients of the weights once more
            weights = scores.softmax(dim=-1, dtype=torch.float32).to(scores.dtype)
        else:
            weights = scores.softmax(dim=-1)
        if rule.dropout:
            weights = dropped(weights, rule.dropout)
        pieces.append(torch.bmm(weights, values))
    whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    return whole.view(heads, texts, length, size)


def has_kernel(query: Tensor, key: Tensor, rule: Rule) -> bool:
    """Whether torch has a kernel for packed texts, on this device and for this rule."""
    if not query.is_cuda or query.dtype not in (torch.bfloat16, torch.float16):
        return False
    if query.shape[-1] % 8 or query.shape[-1] > 256:
        return False
    if rule.dropout and (rule.window is not None or key.shape[1] != query.shape[1]):
        return False
    return kernel_works(query.device, bool(rule.dropout))


def by_kernel(query: Tensor, key: Tensor, value: Tensor, packing: Packing, rule: Rule) -> Tensor:
    """The packed row as it is."""
    query, key, value = (part.squeeze(0).transpose(0, 1) for part in (query, key, value))
    compute = _nested if rule.dropout else _varlen
    return compute(query, key, value, packing, rule).unsqueeze(0)


def _varlen(query: Tensor, key: Tensor, value: Tensor, packing: Packing, rule: Rule) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    reach = -1 if rule.window is None else rule.window - 1
    longest = max(packing.lengths)
    # torch 2.11 does not know the word.
    shared: dict[str, Any] = {"enable_gqa": True} if query.shape[1] != key.shape[1] else {}
    found = varlen_attn(
        query,
        key,
        value,
        packing.ends,
        packing.ends,
        longest,
        longest,
        scale=rule.scale,
        window_size=(reach, 0 if rule.causal else reach),
        **shared,
    )
    return cast("Tensor", found)


def _nested(query: Tensor, key: Tensor, value: Tensor, packing: Packing, rule: Rule) -> Tensor:
    shortest, longest = min(packing.lengths), max(packing.lengths)
    query, key, value = (
        torch.nested.nested_tensor_from_jagged(
            row.contiguous(), packing.ends, min_seqlen=shortest, max_seqlen=longest
        ).transpose(1, 2)
        for row in (query, key, value)
    )
    found = functional.scaled_dot_product_attention(
        query, key, value, dropout_p=rule.dropout, is_causal=rule.causal, scale=rule.scale
    )
    return found.transpose(1, 2).values()


@cache
def kernel_works(device: torch.device, dropout: bool) -> bool:
    """Try the kernel on made-up texts: versions of torch and GPUs differ in what they have.

    Without dropout it must give what `in_groups` does, with it something finite.
    """
    with torch.random.fork_rng([device]), torch.inference_mode():
        torch.manual_seed(0)
        lengths = torch.tensor([3, 70, 18], device=device)
        packing = Packing(torch.arange(70, device=device).unsqueeze(0) < lengths.unsqueeze(1))
        shape = (3, 1, 2, sum(packing.lengths), 32)
        query, key, value = torch.randn(shape, device=device, dtype=torch.bfloat16)
        try:
            if dropout:
                rule = Rule(0.2, 0.1, None, causal=False)
                return bool(by_kernel(query, key, value, packing, rule).isfinite().all())
            for rule in (Rule(0.2, 0.0, None, False), Rule(0.2, 0.0, 9, False)):
                found = by_kernel(query, key, value, packing, rule)
                wanted = in_groups(query, key, value, packing, rule)
                if (found - wanted).abs().max() > ROUNDED:
                    raise ValueError("it gives other numbers")
        except Exception as error:  # whatever is missing is missing
            log.info("attention without torch's kernel for packed texts: %s", error)
            return False
        return True
