"""The embeddings of a step brought together, and what each of them should change.

    embed every micro-batch                          without its graph, unless it is the only one
    gather over the processes, in the order of the step's rows
    loss and its gradient by embedding               the same arithmetic on every process
    embed again, backward(embedding x gradient)      in loop.py

This is GradCache (Gao et al. 2021, arXiv 2101.06983), over processes as well: the loss never sees
how the batch was cut, and only one micro-batch's graph is ever in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from hfkit.config import Training
from hfkit.errors import InputError
from hfkit.train.pair_losses import StepLoss


def check_across(settings: Training, processes: int) -> None:
    """Refuse the settings that a loss across the step does not work with. Raises `InputError`."""
    if settings.fsdp:
        raise InputError("a loss across the step does not work on shards", place="--fsdp",
                         hint="leave it out; --micro-batch and --gradient-checkpointing save "
                         "memory too")  # fmt: skip
    if settings.micro_batch == "auto" and processes > 1:
        raise InputError(
            "a loss across the step is not searched for on several processes",
            place="--micro-batch auto",
            hint="give a number, or leave it out",
        )


def together(accelerator: Accelerator, own: Tensor, rows: int) -> Tensor:
    """Return the embeddings ``[rows, D]`` of a whole step from each process's own.

    A process owns every `world`-th row, as `batches.share` deals them out; one without a row takes
    part all the same.
    """
    world = accelerator.num_processes
    if world == 1:
        return own
    most = -(-rows // world)
    padded = own.new_zeros(most, own.shape[1])
    padded[: len(own)] = own
    gathered: Any = accelerator.gather(padded)
    whole = own.new_empty(rows, own.shape[1])
    for rank in range(world):
        mine = len(range(rank, rows, world))
        whole[rank::world] = gathered[rank * most : rank * most + mine]
    return whole


def loss_and_gradient(
    loss: StepLoss, embeddings: Tensor, batch: Mapping[str, Tensor]
) -> tuple[float, float, Tensor]:
    """The sum and count of a step's loss, and the gradient of the sum by embedding ``[N, D]``."""
    leaf = embeddings.float().detach().requires_grad_()
    with torch.enable_grad():
        total, count = loss(SimpleNamespace(embeddings=leaf), batch)
        (gradient,) = torch.autograd.grad(total, leaf, allow_unused=True, materialize_grads=True)
    return float(total.detach()), float(count), gradient
