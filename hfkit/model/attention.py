"""Attention over packed texts: softmax(QKᵀ · scale) V, for each text alone.

The function that transformers' layers call in place of their own (`AttentionInterface`). On a CPU
it is computed in groups of texts (grouped.py). On CUDA in half precision, a kernel for texts of
various lengths takes the packed row itself: `varlen_attn`, or with dropout that of torch's nested
tensors.
"""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from hfkit.model.grouped import Rule, in_groups
from hfkit.model.packing import Packing

log = logging.getLogger(__name__)

NAME = "hfkit_packed"  # among transformers' attention functions
PACKING = "hfkit_packing"  # attribute of a module: the `Current` of its model
ROUNDED = 0.05  # what bf16 may change of numbers about 1


class Current:
    """The packing of the batch that a model computes. It stays until the next one, as gradient
    checkpointing computes layers again in the backward pass."""

    def __init__(self) -> None:
        self.packing: Packing | None = None
        self.angles: dict[int, Any] = {}  # packed tables, by position: layers share a few


class CurrentOfThread(Current, threading.local):
    """The same for a CPU, where threads may compute batches of their own. On a GPU the backward
    pass runs in threads of torch's."""


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
