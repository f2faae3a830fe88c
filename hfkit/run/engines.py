"""From a model's folder to what computes it: the exported model where it may, torch elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit import garbage
from hfkit.errors import HfkitError, InputError
from hfkit.hashing import Hashes
from hfkit.processor import cores, has_accelerator, lays_out, this_processor
from hfkit.run.exported import (
    CLOSE,
    KINDS,
    ONNX,
    OPENVINO,
    QUANTIZED,
    Exported,
    Kind,
    begin_hashes,
    read_exported,
    why_not_graph,
    why_not_weights,
)

if TYPE_CHECKING:
    from hfkit.config import Computing
    from hfkit.infer.engine import Engine

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A model to compute: its `folder`, class and head, the `device` as it was asked for, and the
    `name` that errors give it. `code`: its own Python code may run. `rank` is the number of this
    process among several that share the devices. `once`: for a single row. `hashes` may be under
    way already."""

    folder: Path
    auto_class: str
    head: Mapping[str, Any] | None
    device: str
    name: str
    rank: int | None = None
    code: bool = False
    once: bool = False
    hashes: Hashes | None = None


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


def begin(folder: Path, computing: Computing, device: str, hashes: Hashes) -> None:
    """Begin what `open_engine` will wait for longest where an exported file answers for the model
    in `folder`: the hashes of its weights. What is wrong is told there."""
    with suppress(HfkitError, OSError):
        for kind in _kinds(computing):
            with suppress(InputError):  # it is damaged; another may answer
                exported = read_exported(folder, kind)
                if exported is not None and not _why_not(kind, exported, computing, device):
                    return begin_hashes(exported, _file(kind, computing), hashes)


def _is_named(kind: Kind, computing: Computing) -> bool:
    return computing.engine == kind.name or computing.precision == "int8"


def _file(kind: Kind, computing: Computing) -> str:
    return QUANTIZED if computing.precision == "int8" else kind.graph


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
    named = _is_named(kind, computing)
    try:
        exported = read_exported(wanted.folder, kind)
    except InputError as error:
        if named:
            raise
        log.info("the exported model is not used: %s", error)
        return None
    if exported is None and not named:
        return None
    file = _file(kind, computing)
    engine: Engine | None = None
    place, hint = "--precision" if computing.precision == "int8" else "--engine", ""
    far = _distance(exported) if file == kind.graph else ""
    reason = _why_not(kind, exported, computing, wanted.device)
    if not reason:
        engine, reason = _opened(kind, exported, wanted, computing, file)
        place = place if exported is None else str(exported.folder)
        hint = _remedy(kind, wanted.name, computing, exported)
    if exported is None or engine is None:
        if named:
            raise InputError(reason, place=place, hint=hint)
        log.info("%s: the exported model is not used: %s", wanted.folder / kind.name, reason)
        return None
    if far:
        log.warning("%s: %s", exported.folder / file, far)
    log.info("%s answers; --engine torch for the model itself", exported.folder / file)
    garbage.usual()
    return engine


def _why_not(kind: Kind, exported: Exported | None, computing: Computing, device: str) -> str:
    """Why an exported model does not compute, as far as that is known without opening it; one that
    is named may be far from torch's outputs."""
    far = "" if _is_named(kind, computing) else _distance(exported)
    return _elsewhere(kind, computing, device) or far


def _distance(exported: Exported | None) -> str:
    """What is wrong with the outputs of the exported file; "" where they are close to torch's."""
    if exported is None or exported.difference <= CLOSE:
        return ""
    return f"its outputs are up to {exported.difference:.1g} away from torch's"


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


def _opened(
    kind: Kind, exported: Exported | None, wanted: Wanted, computing: Computing, file: str
) -> tuple[Engine | None, str]:
    """Open the exported `file`, or say why it may not be used."""
    if exported is None:
        return None, "the model has not been exported"
    reason = why_not_graph(exported, wanted.auto_class, wanted.head, file)
    if reason is not None:
        return None, reason
    hashes = wanted.hashes or Hashes()
    begin_hashes(exported, file, hashes)
    try:
        engine = _loaded(kind, exported.folder / file, computing, wanted.once)
    except InputError:
        reason = why_not_weights(exported, file, hashes)
        if reason is None:
            raise
        return None, reason
    reason = why_not_weights(exported, file, hashes)
    return (engine, "") if reason is None else (None, reason)


def _loaded(kind: Kind, path: Path, computing: Computing, once: bool) -> Engine:
    if kind is OPENVINO:
        from hfkit.infer.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(path, computing.threads, half=computing.precision == "bf16")
    from hfkit.infer.onnx_engine import OnnxEngine

    return OnnxEngine(path, computing.threads, once=once and path.name == kind.graph)


def _remedy(kind: Kind, name: str, computing: Computing, exported: Exported | None) -> str:
    """The command that exports what is missing."""
    flags = [flag for flag, wanted in (
        ("--engine openvino", kind is OPENVINO),
        ("--int8", computing.precision == "int8"), ("--overwrite", exported is not None)
    ) if wanted]  # fmt: skip
    return " ".join(["hfkit export", name, *flags])


def _torch_engine(wanted: Wanted, computing: Computing) -> Engine:
    import torch

    from hfkit.infer.torch_engine import bound_caches, choose_device, engine_of
    from hfkit.model.arithmetic import set_arithmetic, share_memory
    from hfkit.model.linear import lay_out
    from hfkit.model.load import load_for_prediction
    from hfkit.model.unpad import unpad
    from hfkit.run.opening import check_weights

    check_weights(wanted.folder)
    bound_caches()
    share_memory(computing.threads or cores())
    set_arithmetic(computing.kernels, computing.threads)
    chosen = choose_device(wanted.device)
    if chosen == "cuda" and wanted.rank is not None:
        chosen = f"cuda:{wanted.rank % torch.cuda.device_count()}"
    model = load_for_prediction(
        wanted.folder, wanted.auto_class, wanted.head, name=wanted.name, code=wanted.code
    )
    half = computing.precision == "bf16"
    engine = engine_of(model, chosen)
    reads = not getattr(model, "writes", False)
    if reads:  # a cache of what was read is not packed
        engine.unpadded = unpad(model)
    laid_out = False
    if chosen == "cpu" and (half or (reads and lays_out(computing.kernels, this_processor()))):
        laid_out = lay_out(model, torch.bfloat16 if half else torch.float32)
    engine.half = half and not laid_out
    return engine
