"""Dropout that draws its random numbers four at a time.

On a CPU torch's dropout draws one number of 53 bits for each element, which took a tenth of a
training step. Sixteen bits say as well whether one is dropped: the probability is kept to 1/65536.
They come from torch's own generator, so a seed, a resumed step and recomputed activations give the
same ones as before.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LEVELS = 2**16


class Dropped(torch.autograd.Function):
    """Elements times a mask, times what makes up for the dropped ones."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, kept: Tensor, scale: float) -> Tensor:
        """Drop what is not `kept`."""
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return torch.mul(values, kept).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The same for the gradient."""
        (kept,) = ctx.saved_tensors
        return torch.mul(gradient, kept).mul_(ctx.scale), None, None


def dropped(values: Tensor, probability: float) -> Tensor:
    """Set elements to 0 with this probability and scale the others up, as in training."""
    if values.device.type != "cpu":
        return nn.functional.dropout(values, probability)
    level = round(probability * LEVELS)
    count = -(-values.numel() // 4)
    numbers = torch.empty(count, dtype=torch.int64).random_(-(2**63), None)
    numbers = numbers.view(torch.int16)[: values.numel()].view(values.shape)
    kept = numbers >= level - LEVELS // 2
    found: Tensor = Dropped.apply(  # type: ignore[no-untyped-call]
        values, kept, LEVELS / (LEVELS - level)
    )
    return found


class Dropout(nn.Dropout):
    """`nn.Dropout` by `dropped`."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training alone."""
        return dropped(input, self.p) if self.training and self.p else input


def quicken(model: nn.Module) -> None:
    """Put this dropout in the place of torch's everywhere in `model`."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))
