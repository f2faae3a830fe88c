"""Adapters (LoRA) in a model, and which of its weights learn.

    attach    peft's layers stand in the chosen ones' places; what is new to the model learns whole
    detach    what was learnt, as an `Adapter`; the model is a plain one again, merged
    put       the same model from the base model's weights and a stored `Adapter`

The detail that peft leaves to its user: everything that a checkpoint lacked is random, and so must
be trained *and* saved, a pooler as well as a head. peft saves the head alone, and a reload then
answers from another pooler.

`detach` and `put` add with the same arithmetic: a model that is opened again has the very weights
that were scored, bit for bit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from hfkit import sealing
from hfkit.errors import InputError
from hfkit.imports import without
from hfkit.model import adapted, gate
from hfkit.model.heads import Embedder
from hfkit.model.load import quiet, seeded
from hfkit.model.lora import PLACE, Lora, chosen
from hfkit.model.writer import writes

log = logging.getLogger(__name__)

NAME = "default"  # peft's own for the only adapter
A, B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class Adapter:
    """What was learnt: the tensors by the names of the bare model, ``PATH.lora_A.weight [r, in]``
    and ``PATH.lora_B.weight [out, r]`` for each layer with an adapter, the rest whole.

    `new` are the modules that are stored whole. `columns`: the layers keep their weights as
    ``[in, out]``, as those of GPT-2 do.
    """

    lora: Lora
    tensors: Mapping[str, Tensor]
    new: tuple[str, ...] = ()
    columns: bool = False

    @property
    def targets(self) -> list[str]:
        """The layers that have an adapter."""
        return [name.removesuffix(A) for name in self.tensors if name.endswith(A)]


def read(folder: Path) -> Adapter:
    """Read the adapter of a run. Raises what `read_lora` does."""
    lora, new, columns = adapted.read_lora(folder)
    tensors = adapted.bare(load_file(gate.inside(folder, adapted.TENSORS)))
    return Adapter(lora, tensors, new, columns)


def write(stage: Path, adapter: Adapter, base: Mapping[str, Any]) -> None:
    """Write the files of an adapter into a run's folder; `base` is what `describe_base` gives."""
    (stage / adapted.FOLDER).mkdir()
    tensors = {f"{adapted.PREFIX}{name}": tensor for name, tensor in adapter.tensors.items()}
    save_file(tensors, stage / adapted.TENSORS, metadata={"format": "pt"})
    config = adapted.config_of(adapter, base["name"])
    (stage / adapted.CONFIG).write_bytes(sealing.as_json(config))
    (stage / adapted.BASE).write_bytes(sealing.as_json(base))
    (stage / adapted.TENSORS).chmod((stage / adapted.BASE).stat().st_mode)


def attach(
    model: Any, lora: Lora, new: Iterable[str], *, seed: int, without_layers: int = 0
) -> None:
    """Let adapters learn, drawn from `seed`, beside the head and whatever is `new`; tell it.

    `new` are names of weights that no checkpoint gave. The first layers of the encoder get none,
    as many as `without_layers` says. Raises `InputError` for targets that the model does not have.
    """
    whole = learnt_whole(model, new)
    left_out = [*whole, *_first_layers(_inner(model), without_layers)]
    linear = {
        path: module
        for path, module in _inner(model).named_modules()
        if type(module) in (nn.Linear, Conv1D) and not _inside(path, left_out)
    }
    paths = chosen(linear, lora.targets)
    columns = {type(linear[path]) is Conv1D for path in paths}
    if len(columns) > 1:
        raise InputError("these layers do not keep their weights alike", place=PLACE)
    with without("kernels"), without("bitsandbytes"), quiet(), seeded(seed):
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(
            r=lora.r,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=paths,
            fan_in_fan_out=columns == {True},
        )
        inject_adapter_in_model(config, _inner(model))
    for path in whole:
        _inner(model).get_submodule(path).requires_grad_(True)
    model.hfkit_adapted = (lora, tuple(whole), columns == {True})
    names = dict.fromkeys(path.rpartition(".")[2] for path in paths)
    parts = [f"adapters of rank {lora.r} in {', '.join(names)}"]
    _tell(model, parts + ([f"whole: {', '.join(whole)}"] if whole else []))


def detach(model: Any) -> Adapter:
    """Take what `attach` has put in out again, add it to the weights, and return it."""
    lora, whole, columns = model.hfkit_adapted
    del model.hfkit_adapted
    inner = _inner(model)
    tensors: dict[str, Tensor] = {}
    for path, module in list(inner.named_modules()):
        if hasattr(module, "lora_A"):
            tensors[path + A] = _copied(module.lora_A[NAME].weight)
            tensors[path + B] = _copied(module.lora_B[NAME].weight)
            parent, _, name = path.rpartition(".")
            setattr(inner.get_submodule(parent), name, module.base_layer)
    for path in whole:
        for name, tensor in inner.get_submodule(path).state_dict().items():
            tensors[f"{path}.{name}"] = _copied(tensor)
    adapter = Adapter(lora, tensors, whole, columns)
    _merge(inner, adapter)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return adapter


def put(model: Any, adapter: Adapter, place: str) -> set[str]:
    """Add a stored adapter to the base model's weights; return the names, in `model`, of the
    weights it brings whole.

    Raises `InputError`, naming `place`, for tensors that do not fit.
    """
    inner = _inner(model)
    adapter = _of_body(adapter, inner)
    own = dict(inner.state_dict(keep_vars=True))
    brought = {name: t for name, t in adapter.tensors.items() if not name.endswith((A, B))}
    for name, tensor in brought.items():
        if name not in own or own[name].shape != tensor.shape:
            raise InputError(f"{name} does not fit the model", place=place)
        own[name].data.copy_(tensor)
    try:
        _merge(inner, adapter)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise InputError("its adapters do not fit the model", place=place) from error
    prefix = "" if inner is model else f"{model.base_model_prefix}."
    # Weights that are tied have several names.
    shared = {id(own[name]) for name in brought}
    return {prefix + name for name, value in own.items() if id(value) in shared}


def _of_body(adapter: Adapter, inner: Any) -> Adapter:
    """The adapter, or of it what a model without the head has a place for."""
    body = inner.base_model_prefix
    own = {n: t for n, t in adapter.tensors.items() if n.startswith(f"{body}.")}
    if hasattr(inner, body) or not own:
        return adapter
    return replace(adapter, tensors={n.removeprefix(f"{body}."): t for n, t in own.items()})


def freeze(model: Any, new: Iterable[str], *, embeddings: bool, layers: int) -> None:
    """Keep the embeddings, and the first `layers` layers of an encoder, as they are; tell it.

    What is `new` learns all the same. Raises `InputError` where there are fewer layers.
    """
    kept = [model.get_submodule(path) for path in _first_layers(model, layers)]
    if embeddings:
        stacks = [path for path, _ in _stacks(model)]
        kept += [
            module
            for path, module in model.named_modules()
            if isinstance(module, nn.Embedding) and not _inside(path, stacks)
        ]
    for module in kept:
        module.requires_grad_(False)
    parameters = dict(model.named_parameters())
    for name in new:
        if name in parameters:
            parameters[name].requires_grad_(True)
    parts = ["the embeddings"] if embeddings else []
    parts += [f"the first {layers} layers"] if layers else []
    _tell(model, [f"all but {' and '.join(parts)}"])


def learnt_whole(model: Any, new: Iterable[str]) -> list[str]:
    """The modules to learn and save whole, by their paths in the bare model: the head, and the
    parents of weights that are `new`."""
    inner = _inner(model)
    prefix = "" if inner is model else f"{model.base_model_prefix}."
    found = [name.removeprefix(prefix).rpartition(".")[0] for name in new]
    body = getattr(inner, inner.base_model_prefix, None)
    if inner is model and body is not None and not writes(model):
        head = {name.split(".")[0] for name, _ in model.named_parameters() if "." in name}
        found = [*sorted(head - {model.base_model_prefix}), *found]
    if "" in found:
        raise InputError(
            "a new weight stands in no layer, and adapters cannot save it", place=PLACE
        )
    paths = list(dict.fromkeys(found))
    return [path for path in paths if not _inside(path, set(paths) - {path})]


def _merge(inner: Any, adapter: Adapter) -> None:
    """Add ``alpha/r · B A`` to the weights. In fp64, so that no order of summing, kernel or number
    of threads shows in the last bit of an fp32 weight."""
    for path in adapter.targets:
        weight = inner.get_submodule(path).weight
        down, up = adapter.tensors[path + A], adapter.tensors[path + B]
        change = (up.double() @ down.double()) * (adapter.lora.alpha / adapter.lora.r)
        change = change.T if adapter.columns else change
        if change.shape != weight.shape or len(down) != adapter.lora.r:
            raise KeyError(path)
        weight.data.copy_((weight.data.cpu().double() + change).to(weight.dtype))


def _inner(model: Any) -> Any:
    """The model that transformers knows: of an `Embedder` its encoder."""
    return model.encoder if isinstance(model, Embedder) else model


def _first_layers(model: Any, count: int) -> list[str]:
    """The paths of the first layers of the encoder."""
    if not count:
        return []
    path, stack = next(_stacks(model), ("", ()))
    if count > len(stack):
        raise InputError(f"the model has {len(stack)} layers", place="--freeze-layers")
    return [f"{path}.{number}" for number in range(count)]


def _stacks(model: Any) -> Iterator[tuple[str, nn.ModuleList]]:
    """The lists of layers, the encoder's first."""
    config = model.config
    counts = {
        getattr(config, name, None)
        for name in ("num_hidden_layers", "num_layers", "encoder_layers", "num_decoder_layers",
                     "decoder_layers")
    }  # fmt: skip
    found: list[str] = []
    for path, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) in counts and not _inside(path, found):
            found.append(path)
            yield path, module


def _inside(path: str, modules: Iterable[str]) -> bool:
    """Whether a path is one of these modules or leads into one."""
    return any(path == module or path.startswith(f"{module}.") for module in modules)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone().contiguous()


def _tell(model: nn.Module, parts: list[str]) -> None:
    learns = sum(p.numel() for p in model.parameters() if p.requires_grad)
    every = sum(p.numel() for p in model.parameters())
    log.info("trains %s of %s parameters: %s", _size(learns), _size(every), "; ".join(parts))


def _size(count: int) -> str:
    """A count for people.

    >>> _size(22_700_000), _size(310_123), _size(640)
    ('22.7 million', '310 thousand', '640')
    """
    if count >= 950_000:
        return f"{count / 1e6:.1f} million"
    return f"{count / 1e3:.0f} thousand" if count >= 10_000 else f"{count:,}"
