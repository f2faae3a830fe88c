"""Linear layers for prediction on a CPU, with weights laid out once for the processor.

torch hands its weights to the processor's library as they are, and writes the bias into the result
before each product. Here oneDNN gets them in the order in which it reads them, adds the bias as it
writes, and takes the activation along where one follows (GELU). In bf16 weights are rounded once
besides, and query, key and value share what they round. Measured with MiniLM on one core of
Sapphire Rapids, batches of 1024 tokens: in bf16 torch's autocast spent 45 % of the time on products
and 19 % on rounding; in fp32 a tenth of it went into biases and GELU.

Sums and norms between the linear layers stay fp32, as do embeddings and heads.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation

from hfkit.model.arithmetic import Files
from hfkit.model.unpad import CLOSE, COARSE, Measured, layers_of, measured

log = logging.getLogger(__name__)

# How far outputs may be from those of the layers as they came, in units of the largest; above it
# something is wrong. bf16 rounds to three digits.
NEAR = {torch.float32: CLOSE, torch.bfloat16: 0.1}


class Rounded(threading.local):
    """The last tensor that was rounded, and what came out: layers beside each other share it."""

    def __init__(self, kind: torch.dtype) -> None:
        self.kind = kind
        self.given: Tensor | None = None
        self.found: Tensor | None = None

    def of(self, values: Tensor) -> Tensor:
        """Return `values` in this type."""
        if values.dtype == self.kind:
            return values
        if self.given is not values or self.found is None:
            self.given, self.found = values, values.to(self.kind)
        return self.found


class LaidOut(nn.Module):
    """A linear layer that multiplies in one type, and gives it."""

    def __init__(self, linear: nn.Linear, rounded: Rounded) -> None:
        super().__init__()
        kind = rounded.kind
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(kind))
        self.bias = None if linear.bias is None else linear.bias.detach().to(kind, copy=True)
        self.activation: Literal["none", "gelu"] = "none"
        self._rounded = rounded

    def forward(self, values: Tensor) -> Tensor:
        """``[…, in_features]`` to ``[…, out_features]``."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            self._rounded.of(values), self.weight, self.bias, self.activation, [], "none"
        )
        return found


def lay_out(model: nn.Module, kind: torch.dtype) -> bool:
    """Let the linear layers of a model on a CPU multiply in fp32 or bf16, laid out once.

    False, and nothing done, where its stack of layers is not known or does not bear it.
    """
    found = layers_of(model)
    one_dnn: Any = torch.backends.mkldnn
    if found is None or not one_dnn.is_available():
        return False
    owner, layers = found
    wanted = measured(model)
    if wanted is None:
        return False
    replaced = _replaced(layers, kind)
    if not replaced or not _near(model, wanted, kind):
        _set(replaced, before=True)
        return False
    fused = _with_activations(model, layers)
    _set(fused, before=False)
    if not _near(model, wanted, kind):
        _set(fused, before=True)
    setattr(owner, COARSE, True)
    return True


class Change(NamedTuple):
    """A child of a module, what comes in its place, and the linear layer that takes it along."""

    parent: nn.Module
    name: str
    before: nn.Module
    after: nn.Module
    giver: LaidOut | None = None


def _set(changes: list[Change], *, before: bool) -> None:
    """Make changes, or take them back."""
    for change in changes:
        setattr(change.parent, change.name, change.before if before else change.after)
        if change.giver is not None:
            change.giver.activation = "none" if before else "gelu"


def _replaced(layers: nn.Module, kind: torch.dtype) -> list[Change]:
    """Replace the linear layers one after another: only one of them is there twice at a time.
    All, or none where a build of torch or a processor lacks the kernels."""
    rounded, files = Rounded(kind), Files()
    found = []
    try:
        for parent, name, child in _children(layers, nn.Linear):
            found.append(Change(parent, name, child, LaidOut(child, rounded)))
            _set(found[-1:], before=False)
            files.give_back(child.weight)
    except (RuntimeError, AttributeError) as error:
        log.debug("weights cannot be laid out: %s", error)
        _set(found, before=True)
        return []
    return found


def _with_activations(model: nn.Module, layers: nn.Module) -> list[Change]:
    """The activations that read what a linear layer gives, found by looking on."""
    outputs: list[Tensor] = []
    makers: dict[int, LaidOut] = {}
    givers: dict[int, list[LaidOut | None]] = {}

    def made(module: Any, given: Any, output: Tensor) -> None:
        outputs.append(output)  # alive, so that no other tensor gets its number
        makers[id(output)] = module

    def read(module: nn.Module, given: Any) -> None:
        givers.setdefault(id(module), []).append(makers.get(id(given[0])))

    activations = list(_children(layers, GELUActivation))
    hooks = [part.register_forward_hook(made) for _, _, part in _children(layers, LaidOut)]
    hooks += [part.register_forward_pre_hook(read) for _, _, part in activations]
    measured(model)
    for hook in hooks:
        hook.remove()
    found = []
    for parent, name, child in activations:
        its_own = givers.get(id(child), [])
        if len(its_own) == 1 and its_own[0] is not None:
            found.append(Change(parent, name, child, nn.Identity(), its_own[0]))
    return found


def _children(layers: nn.Module, kind: type[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    """All modules of just this type, with their parents."""
    return [
        (module, name, child)
        for module in layers.modules()
        for name, child in module.named_children()
        if type(child) is kind
    ]


def _near(model: nn.Module, wanted: Measured, kind: torch.dtype) -> bool:
    found = measured(model)
    return found is not None and found.near(wanted, NEAR[kind])
