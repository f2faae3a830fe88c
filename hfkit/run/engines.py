"""From a model's folder to what computes it: the exported model where it may, torch elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.errors import InputError
from hfkit.processor import has_accelerator
from hfkit.run.exported import CLOSE, GRAPH, QUANTIZED, Exported, read_exported, why_not

if TYPE_CHECKING:
    from hfkit.config import Computing
    from hfkit.infer.engine import Engine

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A model to compute: its `folder`, class and head, the `device` as it was asked for, and the
    `name` that errors give it. `code`: its own Python code may run. `rank` is the number of this
    process among several that share the devices."""

    folder: Path
    auto_class: str
    head: Mapping[str, Any] | None
    device: str
    name: str
    rank: int | None = None
    code: bool = False


def open_engine(wanted: Wanted, computing: Computing) -> Engine:
    """Open what computes a model: an exported file with onnxruntime, or torch.

    The engine that is named, else the exported file where one is there, fits the model, was
    measured to equal it and the device is the CPU. Raises what `load_for_prediction` does, and
    `InputError` for a device that is not here and for an engine or arithmetic that nothing here
    computes with.
    """
    if computing.engine == "openvino":
        raise InputError("openvino is not supported yet", place="--engine", hint="use onnx")
    if computing.engine != "torch":
        engine = _exported_engine(wanted, computing)
        if engine is not None:
            return engine
    elif computing.precision == "int8":
        raise InputError("torch has no int8 here", place="--precision", hint="use --engine onnx")
    return _torch_engine(wanted, computing)


def _exported_engine(wanted: Wanted, computing: Computing) -> Engine | None:
    """The exported model; None where torch is to compute, and an error where that is no choice."""
    from hfkit.infer.onnx_engine import OnnxEngine

    named = computing.engine == "onnx" or computing.precision == "int8"
    exported = read_exported(wanted.folder)
    if exported is None and not named:
        return None
    file = QUANTIZED if computing.precision == "int8" else GRAPH
    hint = ""
    reason = _elsewhere(computing, wanted.device)
    if reason is None:
        reason = _unfit(exported, wanted, file)
        hint = _remedy(wanted.name, computing, exported)
    if exported is None or reason is not None:
        if named:
            place = "--precision" if computing.precision == "int8" else "--engine"
            raise InputError(str(reason), place=place, hint=hint)
        log.info("the exported model is not used: %s", reason)
        return None
    if file == GRAPH and not exported.difference <= CLOSE:
        far = f"its outputs are up to {exported.difference:.1g} away from torch's"
        if not named:
            log.info("the exported model is not used: %s", far)
            return None
        log.warning("%s: %s", exported.folder / file, far)
    engine = OnnxEngine(exported.folder / file, computing.threads)
    log.info("%s answers; --engine torch for the model itself", exported.folder / file)
    return engine


def _elsewhere(computing: Computing, device: str) -> str | None:
    """Why an exported model cannot compute what is asked for, whatever it holds."""
    if device not in ("auto", "cpu"):
        return f"an exported model computes on the CPU, not on {device}"
    if device == "auto" and computing.engine == "auto" and has_accelerator():
        return "there is a faster device than the CPU"
    if computing.precision == "bf16":
        return "an exported model does not compute in bf16"
    if find_spec("onnxruntime") is None:
        return "onnxruntime is not installed (pip install 'hfkit[onnx]')"
    return None


def _unfit(exported: Exported | None, wanted: Wanted, file: str) -> str | None:
    if exported is None:
        return "the model has not been exported"
    return why_not(exported, wanted.auto_class, wanted.head, file)


def _remedy(name: str, computing: Computing, exported: Exported | None) -> str:
    """The command that exports what is missing."""
    flags = [flag for flag, wanted in (
        ("--int8", computing.precision == "int8"), ("--overwrite", exported is not None)
    ) if wanted]  # fmt: skip
    return " ".join(["hfkit export", name, *flags])


def _torch_engine(wanted: Wanted, computing: Computing) -> Engine:
    from hfkit.infer.torch_engine import TorchEngine, bound_caches, choose_device
    from hfkit.model.arithmetic import set_arithmetic
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
    model = load_for_prediction(
        wanted.folder, wanted.auto_class, wanted.head, name=wanted.name, code=wanted.code
    )
    engine = TorchEngine(model, chosen, half=computing.precision == "bf16")
    unpad(model)
    return engine
