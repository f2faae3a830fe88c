"""The optimizer and the course of its learning rate.

The course is a pure function of the step: there is no scheduler object, nothing of it is saved, and
nothing steps once too often.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from hfkit.config import Optimizer, Schedule
from hfkit.errors import InputError

_FUSED = ("cpu", "cuda", "mps", "xpu")
_EIGHT_BIT = ("cpu", "cuda")


def make_optimizer(
    model: torch.nn.Module, *, lr: float, weight_decay: float, name: Optimizer = "adamw"
) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019), the same with moments of 8 bits, or Adafactor
    (Shazeer & Stern 2018), which keeps two vectors for a matrix in place of two matrices, over the
    trainable parameters of `model`.

    Matrices decay; vectors, that is biases and the scales of norms, do not. The model must be on
    its device already. Raises `InputError` for a device that has no such optimizer.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "adafactor":
        return torch.optim.Adafactor(groups, lr=lr)
    if name == "adamw8bit":
        return _eight_bit(groups, lr, trainable)
    fused = all(parameter.device.type in _FUSED for parameter in trainable)
    return torch.optim.AdamW(groups, lr=lr, fused=fused)


def _eight_bit(
    groups: list[dict[str, Any]], lr: float, trainable: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    from hfkit.train.eight_bit import AdamW8bit

    devices = {parameter.device.type for parameter in trainable} - set(_EIGHT_BIT)
    if devices:
        message = f"adamw8bit does not compute on {', '.join(sorted(devices))}"
        raise InputError(message, place="--optim", hint="use adamw, or --device cpu")
    optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=lr)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step use this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def is_fused_adamw(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it is AdamW that makes its step in one pass."""
    return type(optimizer) is torch.optim.AdamW and bool(optimizer.defaults["fused"])


def scale(
    optimizer: torch.optim.Optimizer, gradients: list[torch.Tensor], factor: float
) -> torch.Tensor | None:
    """Let the next step use the gradients times `factor`.

    Fused AdamW on a CPU divides as it reads them, which saves a pass over all of them: what it
    divides by is returned.
    """
    plain = all(type(part) is torch.Tensor and part.is_cpu for part in gradients)
    if not (plain and is_fused_adamw(optimizer)):
        torch._foreach_mul_(gradients, factor)
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        return None
    divisor = torch.tensor(1 / factor)
    optimizer.grad_scale = divisor  # type: ignore[attr-defined]
    return divisor


def warmup_steps(warmup: float, total: int) -> int:
    """Return how many of `total` steps warm up: below 1 a share, from 1 a number.

    >>> warmup_steps(0.1, 200), warmup_steps(1, 200), warmup_steps(50, 200)
    (20, 1, 50)
    """
    return math.ceil(warmup * total) if warmup < 1 else min(round(warmup), total)


def lr_factor(schedule: Schedule, step: int, total: int, warmup: float) -> float:
    """Return the share of the peak learning rate at `step`, counted from 0.

    It climbs in equal stairs to 1 at the last step of the warm-up, then falls along a line or half
    a cosine and would reach 0 one step after the last: no step is spent at 0.

    >>> [lr_factor("linear", step, 6, 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    warm = warmup_steps(warmup, total)
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(total - warm, 1)
    if schedule == "linear":
        return 1.0 - done
    if schedule == "cosine":
        return (1.0 + math.cos(math.pi * done)) / 2
    return 1.0
