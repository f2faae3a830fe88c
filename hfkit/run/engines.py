"""From a model's folder to what computes it: the exported model where it may, torch elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.errors import InputError
from hfkit.processor import has_accelerator, this_processor
from hfkit.run.exported import (
    CLOSE,
    KINDS,
    ONNX,
    OPENVINO,
    QUANTIZED,
    Exported,
    Kind,
    read_exported,
    why_not,
)

if TYPE_CHECKING:
    from hfkit.config import Computing
    from hfkit.infer.engine import Engine

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A model to compute: its `folder`, class and head, the `device` as it was asked for, and the
    `name` that errors give it. `rank` is the number of this process among several that share the
    devices."""

    folder: Path
    auto_class: str
    head: Mapping[str, Any] | None
    device: str
    name: str
    rank: int | None = None


def open_engine(wanted: Wanted, computing: Computing) -> Engine:
    """Open what computes a model: an exported file with OpenVINO or onnxruntime, or torch.

    The engine that is named, else the first exported file that fits the model and was measured
    to equal it, where the device is the CPU. Raises what `load_for_prediction` does, and
    `InputError` for a device that is not here and for an engine or arithmetic that nothing here
    computes with.
    """
    for kind in _kinds(computing):
        engine = _exported_engine(kind, wanted, computing)
        if engine is not None:
            return engine
    return _torch_engine(wanted, computing)


def _kinds(computing: Computing) -> tuple[Kind, ...]:
    """What may answer in torch's place, in the order in which it is tried."""
    if computing.precision == "int8" and computing.engine in ("auto", "onnx"):
        return (ONNX,)
    if computing.precision == "int8":
        raise InputError(
            f"{computing.engine} has no int8 here", place="--precision", hint="use --engine onnx"
        )
    return tuple(kind for kind in KINDS.values() if computing.engine in ("auto", kind.name))


def _exported_engine(kind: Kind, wanted: Wanted, computing: Computing) -> Engine | None:
    """The exported model; None where another computes, and an error where that is no choice."""
    named = computing.engine == kind.name or computing.precision == "int8"
    exported = read_exported(wanted.folder, kind)
    if exported is None and not named:
        return None
    file = QUANTIZED if computing.precision == "int8" else kind.graph
    hint = ""
    reason = _elsewhere(kind, computing, wanted.device)
    if reason is None:
        reason = _unfit(exported, wanted, file)
        hint = _remedy(kind, wanted.name, computing, exported)
    if exported is None or reason is not None:
        if named:
            place = "--precision" if computing.precision == "int8" else "--engine"
            raise InputError(str(reason), place=place, hint=hint)
        _say_unused(exported, str(reason))
        return None
    if file == kind.graph and not exported.difference <= CLOSE:
        far = f"its outputs are up to {exported.difference:.1g} away from torch's"
        if not named:
            _say_unused(exported, far)
            return None
        log.warning("%s: %s", exported.folder / file, far)
    engine = _opened(kind, exported.folder / file, computing)
    log.info("%s answers; --engine torch for the model itself", exported.folder / file)
    return engine


def _say_unused(exported: Exported | None, reason: str) -> None:
    if exported is not None:
        log.info("%s: the exported model is not used: %s", exported.folder, reason)


def _opened(kind: Kind, path: Path, computing: Computing) -> Engine:
    if kind is OPENVINO:
        from hfkit.infer.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(path, computing.threads, half=computing.precision == "bf16")
    from hfkit.infer.onnx_engine import OnnxEngine

    return OnnxEngine(path, computing.threads)


def _elsewhere(kind: Kind, computing: Computing, device: str) -> str | None:
    """Why an exported model cannot compute what is asked for, whatever it holds."""
    if device not in ("auto", "cpu"):
        return f"an exported model computes on the CPU, not on {device}"
    if device == "auto" and computing.engine == "auto" and has_accelerator():
        return "there is a faster device than the CPU"
    if computing.precision == "bf16":
        reason = _not_in_bf16(kind, computing)
        if reason is not None:
            return reason
    if find_spec(kind.package) is None:
        return f"{kind.package} is not installed (pip install 'hfkit[{kind.name}]')"
    return None


def _not_in_bf16(kind: Kind, computing: Computing) -> str | None:
    """Why not: bf16 rounds in each engine in its own way, so that none is taken unnamed."""
    if kind is not OPENVINO:
        return "an exported model does not compute in bf16"
    if computing.engine == "auto":
        return "bf16 needs --engine openvino to be named"
    return None if this_processor().has_bf16 else "this processor has no bf16 of its own"


def _unfit(exported: Exported | None, wanted: Wanted, file: str) -> str | None:
    if exported is None:
        return "the model has not been exported"
    return why_not(exported, wanted.auto_class, wanted.head, file)


def _remedy(kind: Kind, name: str, computing: Computing, exported: Exported | None) -> str:
    """The command that exports what is missing."""
    flags = [flag for flag, wanted in (
        ("--engine openvino", kind is OPENVINO),
        ("--int8", computing.precision == "int8"), ("--overwrite", exported is not None)
    ) if wanted]  # fmt: skip
    return " ".join(["hfkit export", name, *flags])


def _torch_engine(wanted: Wanted, computing: Computing) -> Engine:
    from hfkit.infer.torch_engine import TorchEngine, bound_caches, choose_device
    from hfkit.model.arithmetic import set_arithmetic
    from hfkit.model.half import halve
    from hfkit.model.load import load_for_prediction
    from hfkit.model.unpad import unpad
    from hfkit.run.opening import check_weights

    check_weights(wanted.folder)
    bound_caches()
    set_arithmetic(computing.kernels, computing.threads)
    chosen = choose_device(wanted.device)
    if chosen == "cuda" and wanted.rank is not None:
        import torch

        chosen = f"cuda:{wanted.rank % torch.cuda.device_count()}"
    model = load_for_prediction(wanted.folder, wanted.auto_class, wanted.head, name=wanted.name)
    half = computing.precision == "bf16"
    engine = TorchEngine(model, chosen)
    unpad(model)
    engine.half = half and not (chosen == "cpu" and halve(model))
    return engine
