"""From a model's folder to what computes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.config import Computing
    from hfkit.infer.engine import Engine


def open_engine(
    folder: Path,
    auto_class: str,
    head: Mapping[str, Any] | None,
    computing: Computing,
    device: str,
    *,
    name: str,
) -> Engine:
    """Load the model in `folder` and put it behind an engine.

    Raises what `load_for_prediction` does, and `InputError` for a device that is not here and for
    an engine or arithmetic that nothing here computes with.
    """
    if computing.engine not in ("auto", "torch"):
        raise InputError(
            f"{computing.engine} cannot be used yet", place="--engine", hint="use torch"
        )
    if computing.precision == "int8":
        raise InputError("torch has no int8 here", place="--precision", hint="use fp32")
    return _torch_engine(folder, auto_class, head, computing, device, name)


def _torch_engine(
    folder: Path,
    auto_class: str,
    head: Mapping[str, Any] | None,
    computing: Computing,
    device: str,
    name: str,
) -> Engine:
    from hfkit.infer.torch_engine import TorchEngine, bound_caches, choose_device
    from hfkit.model.arithmetic import set_arithmetic
    from hfkit.model.load import load_for_prediction
    from hfkit.model.unpad import unpad

    bound_caches()
    set_arithmetic(computing.kernels, computing.threads)
    chosen = choose_device(device)
    model = load_for_prediction(folder, auto_class, head, name=name)
    engine = TorchEngine(model, chosen, half=computing.precision == "bf16")
    unpad(model)
    return engine
