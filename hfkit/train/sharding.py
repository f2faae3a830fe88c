"""A model in shards: every process keeps its part of weights, gradients and optimizer state.

The layers are gathered one after another while they compute (PyTorch's FSDP2), so a process needs
memory for its share and one layer. Beside the shards stands the whole model, as it came and in the
main memory: it takes the weights over when they are evaluated or saved, so that evaluation,
checkpoints and the finished model know nothing of shards.

Gathering is work for all processes together. They have to compute equally many micro-batches, which
`Shards` itself does not see to.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator


class Shards:
    """The shards of `whole`, as the `model` to train; all processes must hold equal weights."""

    def __init__(self, whole: torch.nn.Module, accelerator: Accelerator) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        self._device = accelerator.device
        self.whole = whole.to("cpu")
        self.model = deepcopy(self.whole)
        # Outputs of the whole are read, never changed in place, which would lose gradients. Those
        # of layers stay warned about.
        name = type(self.model).__name__
        warnings.filterwarnings(
            "ignore", rf"FSDP2-wrapped module \((FSDP)?{name}\) returned a view"
        )
        mesh = init_device_mesh(self._device.type, (accelerator.num_processes,))
        for layer in layers(self.model):
            fully_shard(layer, mesh=mesh)
        fully_shard(self.model, mesh=mesh)

    @contextmanager
    def gathered(self) -> Iterator[torch.nn.Module]:
        """The whole model on the device, with the weights of now; to be entered by all."""
        self.gather()
        self.whole.to(self._device)
        try:
            yield self.whole
        finally:
            self.whole.to("cpu")

    def gather(self) -> None:
        """Copy the weights of the shards into the whole model."""
        for parts in ("named_parameters", "named_buffers"):
            wholes = dict(getattr(self.whole, parts)())
            with torch.no_grad():
                for name, value in getattr(self.model, parts)():
                    wholes[name].copy_(entire(value))

    def close(self) -> None:
        """Leave the whole model on the device, as it came."""
        self.whole.to(self._device)


def layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules of the list of layers with most weights; none where a model has no such list.

    >>> stack = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    >>> len(layers(torch.nn.ModuleDict({"head": torch.nn.Linear(2, 9), "layers": stack})))
    2
    """
    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 1]
    return list(max(lists, key=_size, default=()))


def entire(value: Tensor) -> Tensor:
    """A tensor as it is, or put together from all processes' shards, which all must ask for."""
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


def norm_of(tensors: Iterable[Tensor]) -> float:
    """The norm of all tensors together, over the shards of all processes."""
    tensors = list(tensors)
    if all(type(part) in (Tensor, torch.nn.Parameter) and part.is_cpu for part in tensors):
        # A product with itself takes a third of the time of torch's norm.
        flat = [part.detach().reshape(-1).float() for part in tensors]
        return math.sqrt(sum(float(torch.dot(part, part)) for part in flat))
    return float(entire(torch.nn.utils.get_total_norm(tensors)).item())


def sharded_like(value: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of a whole tensor that belongs to `parameter`, where that is sharded."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(parameter, DTensor) or value.shape != parameter.shape:
        return value
    place: Any = parameter
    whole = value.to(parameter.device)
    # Every process has read the whole tensor: none needs to be sent.
    return distribute_tensor(whole, place.device_mesh, place.placements, src_data_rank=None)


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
