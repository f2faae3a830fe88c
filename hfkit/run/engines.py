"""From a model's folder to what computes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    Raises what `load_for_prediction` does, and `InputError` for a device that is not here.
    """
    return _torch_engine(folder, auto_class, head, device, name)


def _torch_engine(
    folder: Path, auto_class: str, head: Mapping[str, Any] | None, device: str, name: str
) -> Engine:
    from hfkit.infer.torch_engine import TorchEngine, bound_caches, choose_device
    from hfkit.model.load import load_for_prediction

    bound_caches()
    chosen = choose_device(device)
    return TorchEngine(load_for_prediction(folder, auto_class, head, name=name), chosen)
