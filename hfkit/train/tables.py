"""Embedding tables, of which a step reads a few rows: what the others need not cost.

The gradient of a table is zero but for the tokens of the batch. torch makes it whole all the same,
47 MB for MiniLM and 768 for XLM-R, anew in each step; it is then measured, scaled, read and
dropped. Here it stays what it is, rows and their numbers (`Embedding.sparse`). AdamW, which moves
the other rows too, gets it a piece at a time: a small array of zeros that the rows of a piece are
written into. What is computed is the same, to rounding.
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
                if weight.grad is not None and weight.grad.is_sparse:
                    moments = _moments(self.optimizer, weight)
                    _update(weight, weight.grad, moments, group, scale)
                    moments["step"].add_(1)
                    weight.grad = None


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
    moments: Mapping[str, Tensor],
    group: Mapping[str, Any],
    scale: Tensor | None,
) -> None:
    """AdamW's step, piece by piece."""
    rows, numbers = gradient.indices()[0], gradient.values()
    beta1, beta2 = group["betas"]
    zeros = None
    for piece, own in _pieces(rows, weight.shape):
        one = weight.detach()[piece]
        if zeros is None:
            zeros = torch.zeros_like(one)
        part, places = zeros[: len(one)], rows[own] - piece.start
        part.index_copy_(0, places, numbers[own])
        adamw(
            [one], [part], [moments["exp_avg"][piece]], [moments["exp_avg_sq"][piece]], [],
            [moments["step"].clone()],
            fused=True, grad_scale=scale, amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
            weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
        )  # fmt: skip
        part.index_fill_(0, places, 0.0)


def _pieces(rows: Tensor, shape: torch.Size) -> Iterator[tuple[slice, slice]]:
    """Parts of a table, each with the places of its rows among the sorted `rows`."""
    height = max(1, PIECE // shape[1])
    starts = torch.arange(0, shape[0] + height, height)
    bounds = torch.searchsorted(rows, starts).tolist()
    for number, start in enumerate(range(0, shape[0], height)):
        end = min(start + height, shape[0])
        yield slice(start, end), slice(bounds[number], bounds[number + 1])
