"""The linear layers of an encoder in bf16, with weights laid out once for the processor.

torch's autocast rounds the weights, and oneDNN lays them out anew, for every batch; query, key and
value each round what they share. Measured with MiniLM on one core of Sapphire Rapids, batches of
1024 tokens: products took 45 % and rounding 19 % of the time.

Sums and norms between the linear layers stay fp32, as do embeddings and heads.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import torch
from torch import Tensor, nn

from hfkit.model.unpad import layers_of, measured

log = logging.getLogger(__name__)

# How far outputs may be from those in fp32, in units of the largest; above it something is wrong.
NEAR = 0.1


class Rounded(threading.local):
    """The last tensor that was rounded, and what came out: layers beside each other share it."""

    def __init__(self) -> None:
        self.given: Tensor | None = None
        self.found: Tensor | None = None

    def of(self, values: Tensor) -> Tensor:
        """Return `values` in bf16."""
        if values.dtype == torch.bfloat16:
            return values
        if self.given is not values or self.found is None:
            self.given, self.found = values, values.to(torch.bfloat16)
        return self.found


class HalfLinear(nn.Module):
    """A linear layer for prediction that multiplies in bf16 and gives bf16."""

    def __init__(self, linear: nn.Linear, rounded: Rounded) -> None:
        super().__init__()
        half = torch.bfloat16
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(half))
        self.bias = None if linear.bias is None else linear.bias.detach().to(half)
        self._rounded = rounded

    def forward(self, values: Tensor) -> Tensor:
        """``[…, in_features]`` to ``[…, out_features]``."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            self._rounded.of(values), self.weight, self.bias, "none", [], ""
        )
        return found


def halve(model: nn.Module) -> bool:
    """Let the linear layers of a model on a CPU multiply in bf16.

    False, and nothing done, where its stack of layers is not known or does not bear it.
    """
    found = layers_of(model)
    one_dnn: Any = torch.backends.mkldnn
    if found is None or not one_dnn.is_available():
        return False
    _, layers = found
    before = measured(model)
    rounded = Rounded()
    replaced: list[tuple[nn.Module, str, nn.Linear]] = []
    for module in layers.modules():
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                replaced.append((module, name, child))
    try:
        for module, name, child in replaced:
            setattr(module, name, HalfLinear(child, rounded))
        after: Any = measured(model)
    except (RuntimeError, AttributeError) as error:  # of a build of torch that lacks these kernels
        log.debug("weights cannot be laid out: %s", error)
        after = None
    if before is not None and after is not None and after.near(before, NEAR):
        return True
    for module, name, child in replaced:
        setattr(module, name, child)
    return False
