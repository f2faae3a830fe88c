"""softmax(QKᵀ · scale) V on a CPU, in pieces whose scores stay in the cache.

The gradient is written out (`Weighted.backward`), because what autograd would do is slow here: each
piece would get a gradient of the size of the whole, nearly all of it zeros, and each step in
between its own array. With W the weights, D their dropout, G the gradient of the result:

    dV = (W · D)ᵀ G     dW = (G Vᵀ) · D     dS = W · (dW − rows' sums of W · dW)
    dQ = scale · dS K   dK = scale · dSᵀ Q
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hfkit.model.dropout import LEVELS, kept

PIECE = 2**20  # bytes of scores computed at once, in fp32


def weighted(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    dropout: float,
    seen: int = 0,
) -> Tensor:
    """Compute ``[N, L, D]`` from queries of that shape and keys and values ``[N, K, D]``.

    `mask` ``[N, 1 or L, K]`` is added to the scores; it is 0 for the first `seen` keys.
    """
    found: Tensor = Weighted.apply(  # type: ignore[no-untyped-call]
        query, key, value, mask, scale, round(dropout * LEVELS), seen
    )
    return found


class Weighted(torch.autograd.Function):
    """The values, weighted by how well queries and keys agree."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scale: float,
        level: int,
        seen: int,
    ) -> Tensor:
        """Compute it; weights are dropped with a probability of `level` in `LEVELS`."""
        learns = any(ctx.needs_input_grad)
        # bf16 would round the gradients of the weights once more.
        exact = torch.float32 if learns else query.dtype
        ctx.scale, ctx.dropped = scale, level > 0
        ctx.makes_up = LEVELS / (LEVELS - level)
        found, kept_here = torch.empty_like(query), []
        scratch = Scratch()
        for piece in _pieces(query, key):
            hides = None if mask is None else mask[piece]
            weights = _weights(query[piece], key[piece], hides, seen, scale, exact)
            used = weights.to(query.dtype)
            own = [weights]
            if level:
                own.append(kept(weights.shape, level))
                used = scratch.filled(own[-1], used).mul_(used)
            _product(used, value[piece], ctx.makes_up, found[piece])
            if learns:
                kept_here += own
            del own, weights, used  # the next piece gets the same memory
        ctx.save_for_backward(query, key, value, *kept_here)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients of queries, keys and values."""
        query, key, value, *kept_here = ctx.saved_tensors
        own = iter(kept_here)
        to_query, to_key, to_value = map(torch.empty_like, (query, key, value))
        scratch = Scratch()
        for piece in _pieces(query, key):
            weights = next(own)
            used = weights.to(query.dtype)
            slope = _product(gradient[piece], value[piece].transpose(1, 2), ctx.makes_up)
            if ctx.dropped:
                stays = scratch.filled(next(own), used)
                slope *= stays
                used = stays.mul_(used)
            _product(used.transpose(1, 2), gradient[piece], ctx.makes_up, to_value[piece])
            slope = torch._softmax_backward_data(
                slope.to(weights.dtype), weights, -1, weights.dtype
            )
            slope = slope.to(query.dtype)
            _product(slope, key[piece], ctx.scale, to_query[piece])
            _product(slope.transpose(1, 2), query[piece], ctx.scale, to_key[piece])
        return to_query, to_key, to_value, None, None, None, None


class Scratch:
    """One array for what is dropped of each piece in turn: it stays in the cache."""

    def __init__(self) -> None:
        self.whole: Tensor | None = None

    def filled(self, mask: Tensor, like: Tensor) -> Tensor:
        """The mask as numbers of the type of `like`; it holds until the next one."""
        if self.whole is None:  # the first piece is the largest
            self.whole = torch.empty_like(like)
        return self.whole[: len(mask)].copy_(mask)


def _pieces(query: Tensor, key: Tensor) -> list[slice]:
    """Parts of the first dimension."""
    count, length, _ = query.shape
    at_once = max(1, PIECE // (4 * length * key.shape[1]))
    return [slice(start, start + at_once) for start in range(0, count, at_once)]


def _weights(
    query: Tensor, key: Tensor, mask: Tensor | None, seen: int, scale: float, exact: torch.dtype
) -> Tensor:
    """softmax(QKᵀ · scale + mask), in the type `exact`."""
    scores = _product(query, key.transpose(1, 2), scale)
    if mask is not None:
        scores[..., seen:] += mask[..., seen:]
    if scores.dtype != exact:
        return scores.softmax(dim=-1, dtype=exact)
    return torch.softmax(scores, dim=-1, out=scores)  # in its place, which is in the cache


def _product(one: Tensor, other: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """Matrices multiplied in pairs, times `scale`, without a pass of its own for that."""
    return torch.baddbmm(one.new_empty(()), one, other, beta=0, alpha=scale, out=out)
