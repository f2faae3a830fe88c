"""Embedding tables, of which a step reads a few rows: what the others need not cost.

The gradient of a table is zero but for the tokens of the batch. torch makes it whole all the same,
47 MB for MiniLM and 768 for XLM-R, anew in each step; it is then measured, scaled, read and
dropped. Here it stays what it is, rows and their numbers (`Embedding.sparse`). AdamW, which moves
the other rows too, gets it a piece at a time: a small array of zeros that the rows of a piece are
written into. Rows that no batch has read yet have no moments, and all that AdamW does to them is
let them decay. What is computed is the same, to rounding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from hfkit.train.optim import is_fused_adamw

LARGE = 2**22  # numbers; a smaller table is not worth it
PIECE = 2**22  # numbers of a table that are updated at once
FEW = 1 / 8  # of the rows: up to so many that have moments are updated by themselves


class Tables:
    """The large tables of a model that learn and are read in one place only.

    While open, their gradients are rows. There are none with several processes, on a GPU, or with
    another optimizer: what adds up gradients or reads them there wants them whole.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, processes: int = 1
    ) -> None:
        readers = Counter(id(part) for _, part in model.named_parameters(remove_duplicate=False))
        self.optimizer = optimizer
        self._moved: dict[Tensor, Tensor] = {}  # which rows of a table have moments
        self.tables = [
            module
            for module in model.modules()
            if type(module) is nn.Embedding
            and is_fused_adamw(optimizer)
            and processes == 1
            and not (module.sparse or module.scale_grad_by_freq or module.max_norm)
            and module.weight.requires_grad
            and module.weight.numel() >= LARGE
            and module.weight.is_cpu
            and readers[id(module.weight)] == 1
        ]

    def __enter__(self) -> Self:
        for table in self.tables:
            table.sparse = True
        return self

    def __exit__(self, *exception: object) -> None:
        for table in self.tables:
            table.sparse = False

    def settle(self) -> None:
        """Put together the rows of a gradient that has grown beyond the table: a step may be of
        many micro-batches."""
        for table in self.tables:
            gradient = table.weight.grad
            if gradient is None or not gradient.is_sparse:
                continue
            if gradient._nnz() > table.num_embeddings:
                table.weight.grad = gradient.coalesce()

    def update(self, scale: Tensor | None) -> None:
        """Take AdamW's step in each table whose gradient is rows, and drop that gradient.

        `scale` is what gradients are divided by. `gathered` comes first.
        """
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if not weight.grad.is_sparse:
                    self._moved.pop(weight, None)
                    continue
                moments = _moments(self.optimizer, weight)
                moved = self._rows(weight, weight.grad, moments)
                _update(weight, weight.grad, moved, moments, group, scale)
                moments["step"].add_(1)
                weight.grad = None

    def _rows(self, weight: Tensor, gradient: Tensor, moments: Mapping[str, Tensor]) -> Tensor:
        """The rows of a table that have a gradient or moments, in order."""
        if weight not in self._moved:  # moments of a checkpoint are there before the first step
            both = (moments["exp_avg"], moments["exp_avg_sq"])
            self._moved[weight] = torch.stack([part.any(dim=1) for part in both]).any(dim=0)
        self._moved[weight][gradient.indices()[0]] = True
        return self._moved[weight].nonzero().squeeze(1)


def gathered(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """All gradients; of those that are rows the numbers of each row, put together."""
    found = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.is_sparse:
            gradient = parameter.grad = gradient.coalesce()
            gradient = gradient.values()
        if gradient is not None:
            found.append(gradient)
    return found


def _moments(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """What AdamW keeps of a table, as it would have made it itself."""
    found: dict[str, Tensor] = optimizer.state[weight]
    if not found:
        found["step"] = torch.zeros(())
        found["exp_avg"] = torch.zeros_like(weight)
        found["exp_avg_sq"] = torch.zeros_like(weight)
    return found


def _update(
    weight: Tensor,
    gradient: Tensor,
    moved: Tensor,
    moments: Mapping[str, Tensor],
    group: Mapping[str, Any],
    scale: Tensor | None,
) -> None:
    """AdamW's step, piece by piece; `moved` are the rows that it does more to than decay."""
    numbers, decay = gradient.values(), group["weight_decay"]
    few = len(moved) <= FEW * len(weight)
    rows = gradient.indices()[0]
    if few:
        rows = torch.searchsorted(moved, rows)
        if decay:
            weight.detach().mul_(1 - group["lr"] * decay)
            decay = 0.0
    beta1, beta2 = group["betas"]
    state = (weight.detach(), moments["exp_avg"], moments["exp_avg_sq"])
    zeros = None
    for piece, own in _pieces(rows, len(moved) if few else len(weight), weight.shape[1]):
        parts = [part.index_select(0, moved[piece]) if few else part[piece] for part in state]
        if zeros is None:
            zeros = torch.zeros_like(parts[0])
        slope, places = zeros[: len(parts[0])], rows[own] - piece.start
        slope.index_copy_(0, places, numbers[own])
        adamw(
            parts[:1], [slope], parts[1:2], parts[2:], [], [moments["step"].clone()],
            fused=True, grad_scale=scale, amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
            weight_decay=decay, eps=group["eps"], maximize=False,
        )  # fmt: skip
        slope.index_fill_(0, places, 0.0)
        if few:
            for whole, part in zip(state, parts, strict=True):
                whole.index_copy_(0, moved[piece], part)


def _pieces(rows: Tensor, count: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Parts of `count` rows, each with the places of its own among the sorted `rows`."""
    height = max(1, PIECE // width)
    starts = torch.arange(0, count + height, height)
    bounds = torch.searchsorted(rows, starts).tolist()
    for number, start in enumerate(range(0, count, height)):
        yield slice(start, min(start + height, count)), slice(bounds[number], bounds[number + 1])
