"""Computation without padding: the layers of an encoder read one row of real tokens.

    embeddings [B, L, D] ─ pack ─▶ layers [1, T, D] ─ pad ─▶ head [B, L, D]

Embeddings and heads stay as transformers has them, and so does each layer: hooks pack what the
first one is given and pad what the last one returns. Attention goes through transformers' own door
for such functions. A family that computes attention itself (MPNet's and DeBERTa's relative
positions) gets its attention padded, and the rest of each layer not.

No list of families says where this is right: each model is *proved* when it is loaded, by a small
batch that must give the same outputs, and before training the same gradients. A model that fails
stays padded, with a note.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel
from transformers.modeling_utils import AttentionInterface

from hfkit.model import attention
from hfkit.model.load import quiet, seeded
from hfkit.model.packing import Packing

log = logging.getLogger(__name__)

LENGTHS = (5, 19, 2, 11)  # tokens of the texts that prove a model
COARSE = "hfkit_coarse"  # attribute of such a model whose packed rows are to have few lengths
CLOSE = 1e-5  # of outputs, relative to the largest
CLOSE_GRADIENTS = 1e-4

AttentionInterface.register(attention.NAME, attention.attend)


@dataclass
class Unpadded:
    """The hooks of one model; `remove` makes it what it was."""

    model: Any
    before: str
    current: attention.Current
    handles: list[RemovableHandle] = field(default_factory=list)

    def remove(self) -> None:
        """Compute with padding again."""
        for handle in self.handles:
            handle.remove()
        if self.model.config._attn_implementation != self.before:
            self.model.set_attn_implementation(self.before)


def unpad(model: nn.Module, *, gradients: bool = False) -> bool:
    """Let `model` compute without padding if that is proved to change nothing; tell if it does.

    The model must be on its device. `gradients` are compared too.
    """
    found = layers_of(model)
    if found is None:
        log.info("computing with padding: no single stack of layers in %s", type(model).__name__)
        return False
    owner, layers = found
    with quiet():
        wanted = measured(model, gradients)
        if wanted is None:
            log.info("computing with padding: %s cannot be tried out", type(model).__name__)
            return False
        for attach in (_attach_attention, _attach_around_attention):
            hooks = attach(owner, layers)
            if hooks is None:
                continue
            found_without = measured(model, gradients)
            if found_without is not None and found_without.near(wanted, CLOSE, CLOSE_GRADIENTS):
                return True
            hooks.remove()
    log.info("computing with padding: %s gives other outputs without it", type(model).__name__)
    return False


def attach_measured(model: nn.Module, packing: Packing) -> Unpadded | None:
    """Let a model of which only the shapes are wanted compute without padding, always with this
    `packing`. None where `unpad` would not try, or its first way does not suit the family."""
    found = layers_of(model)
    if found is None:
        return None
    for even in (False, True):  # what is worked out from real numbers
        packing.groups(even), packing.back(even)
    owner, layers = found
    hooks = _attach_attention(owner, layers, packing)
    return hooks or _attach_around_attention(owner, layers, packing)


def layers_of(model: nn.Module) -> tuple[PreTrainedModel, nn.ModuleList] | None:
    """The layers of the one encoder, and the innermost model around them, which is given the
    mask."""
    config: Any = getattr(model, "config", None)
    count = getattr(config, "num_hidden_layers", None)
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    if len(stacks) != 1 or getattr(config, "is_encoder_decoder", False):
        return None
    path, layers = stacks[0]
    owner = None
    parts = path.split(".")
    for end in range(len(parts)):
        module = model.get_submodule(".".join(parts[:end]))
        if isinstance(module, PreTrainedModel):
            owner = module
    return None if owner is None else (owner, layers)


def _attach_attention(
    owner: PreTrainedModel, layers: nn.ModuleList, fixed: Packing | None = None
) -> Unpadded | None:
    """Pack before the first layer, pad after the last; attention through transformers' interface.
    None where the family has no such interface."""
    if not owner._can_set_attn_implementation():
        return None
    hooks = _hooks(owner)
    owner.set_attn_implementation(attention.NAME)
    for module in layers.modules():
        setattr(module, attention.PACKING, hooks.current)
    _attach_ends(hooks, owner, layers, fixed)
    return hooks


def _attach_around_attention(
    owner: PreTrainedModel, layers: nn.ModuleList, fixed: Packing | None = None
) -> Unpadded | None:
    """The same, but padded for each layer's attention. None where no child is named so."""
    inside = [
        child for layer in layers for name, child in layer.named_children() if "attention" in name
    ]
    if len(inside) != len(layers):
        return None
    hooks = _hooks(owner)
    current = hooks.current

    def pad(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return (_packing(current).pad(args[0]), *args[1:]), kwargs

    def pack(module: nn.Module, args: Any, output: Any) -> Any:
        return _with_first(output, _packing(current).pack)

    _attach_ends(hooks, owner, layers, fixed)
    for child in inside:
        hooks.handles.append(child.register_forward_pre_hook(pad, with_kwargs=True))
        hooks.handles.append(child.register_forward_hook(pack))
    return hooks


def _hooks(owner: PreTrainedModel) -> Unpadded:
    on_cpu = next(owner.parameters()).device.type == "cpu"
    current = attention.CurrentOfThread() if on_cpu else attention.Current()
    return Unpadded(owner, owner.config._attn_implementation, current)


def _attach_ends(
    hooks: Unpadded, owner: PreTrainedModel, layers: nn.ModuleList, fixed: Packing | None
) -> None:
    current = hooks.current
    signature = inspect.signature(owner.forward)

    def begin(module: nn.Module, args: Any, kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        given.update(given.pop("kwargs", {}))
        mask, tokens = given.get("attention_mask"), given.get("input_ids")
        if mask is None and tokens is not None:
            mask = torch.ones_like(tokens)
        current.packing = fixed
        if fixed is None and mask is not None and mask.ndim == 2:
            coarse = getattr(owner, COARSE, False) or torch.is_autocast_enabled("cpu")
            current.packing = Packing(mask, coarse=coarse)
        current.angles = {}

    def pack(module: nn.Module, args: Any, kwargs: Any) -> Any:
        packing = _packing(current)
        if module is layers[0]:
            args, kwargs = _with_hidden(args, kwargs, packing.pack)
        angles = kwargs.get("position_embeddings")
        if angles is not None:
            packed = current.angles
            if id(angles) not in packed:
                packed[id(angles)] = tuple(_packed_angles(part, packing) for part in angles)
            kwargs = {**kwargs, "position_embeddings": packed[id(angles)]}
        return args, kwargs

    def pad(module: nn.Module, args: Any, output: Any) -> Any:
        return _with_first(output, _packing(current).pad)

    hooks.handles.append(owner.register_forward_pre_hook(begin, with_kwargs=True))
    for layer in layers:
        hooks.handles.append(layer.register_forward_pre_hook(pack, with_kwargs=True))
    hooks.handles.append(layers[-1].register_forward_hook(pad))


def _packing(current: attention.Current) -> Packing:
    if current.packing is None:
        raise ValueError("a batch without a mask of its tokens")
    return current.packing


def _packed_angles(angles: Tensor, packing: Packing) -> Tensor:
    """A table of angles ``[1 or B, L, D]``, by position, for the packed tokens."""
    return packing.pack(angles.expand(packing.shape[0], -1, -1))


def _with_hidden(args: Any, kwargs: Any, change: Callable[[Tensor], Tensor]) -> tuple[Any, Any]:
    """The arguments of a layer with its hidden states changed."""
    if args:
        return (change(args[0]), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}


def _with_first(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """An output, or the first of several, changed."""
    if isinstance(output, tuple):
        return (change(output[0]), *output[1:])
    return change(output)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout, and without a trace of what is computed."""
    training = model.training
    model.eval()
    try:
        with seeded(0):
            yield
    finally:
        model.train(training)


class Measured(NamedTuple):
    """The outputs of a small made-up batch, and the gradients of a weighted sum of them all."""

    outputs: list[Tensor]
    slopes: list[Tensor]

    def near(self, other: Measured, bound: float, slopes: float = 0.0) -> bool:
        """Whether the outputs, and the gradients where there are some, differ by no more than this,
        in units of the largest."""
        return _close(self.outputs, other.outputs, bound) and _close(
            self.slopes, other.slopes, slopes
        )


def measured(model: nn.Module, gradients: bool = False) -> Measured | None:
    """Measure a model; None where it fails on the batch."""
    try:
        return _computed(model, gradients)
    except Exception as error:  # whatever a family does not bear is a reason to leave it alone
        log.debug("a batch to try out failed: %s", error)
        return None


def _computed(model: Any, gradients: bool) -> Measured:
    known = model.get_input_embeddings().num_embeddings
    device = next(model.parameters()).device
    padding = getattr(model.config, "pad_token_id", None) or 0
    with _evaluating(model), torch.set_grad_enabled(gradients):
        tokens = torch.randint(padding + 1, known, (len(LENGTHS), max(LENGTHS)))
        mask = torch.arange(max(LENGTHS)).unsqueeze(0) < torch.tensor(LENGTHS).unsqueeze(1)
        tokens = tokens.masked_fill(~mask, padding)
        given = {"input_ids": tokens.to(device), "attention_mask": mask.long().to(device)}
        found = []
        for value in model(**given).values():
            if isinstance(value, Tensor) and value.is_floating_point():
                per_token = value.shape[:2] == mask.shape
                found.append(value[mask.to(device)] if per_token else value)
        if not gradients:
            return Measured(found, [])
        parts = [(part * torch.rand(part.shape).to(device)).sum() for part in found]
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        slopes = torch.autograd.grad(torch.stack(parts).sum(), trained, allow_unused=True)
        return Measured(
            [part.detach() for part in found], [one for one in slopes if one is not None]
        )


def _close(found: list[Tensor], wanted: list[Tensor], bound: float) -> bool:
    return len(found) == len(wanted) and all(
        _difference(one, other) <= bound for one, other in zip(found, wanted, strict=True)
    )


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, in units of the largest number where that is above 1."""
    if one.shape != other.shape:
        return torch.inf
    if not one.numel():
        return 0.0
    return float((one - other).abs().max() / other.abs().max().clamp(min=1.0))
