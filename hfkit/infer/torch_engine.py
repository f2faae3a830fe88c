"""The engine that runs a torch model. The one file of `infer` that imports torch."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from hfkit.errors import ResourceError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

TARGETS = frozenset({"labels", "loss_weight", "start_positions", "end_positions"})
"""Keys for the loss. A head given labels would compute a loss of its own, which hfkit never uses."""


class TorchEngine:
    """Runs a model on one device, in fp32 and without dropout; halves a batch that does not fit."""

    def __init__(self, model: torch.nn.Module, device: str | torch.device = "cpu") -> None:
        import torch

        self.device = torch.device(device)
        self.model = model.to(self.device)
        self._inputs = frozenset(inspect.signature(model.forward).parameters) - TARGETS
        self._halved = False

    def run(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute one batch; see `Engine.run`."""
        try:
            return self._forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Outside the handler, so that the failed attempt's tensors are free before the next one.
        return self._run_halves(batch)

    def _forward(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        import torch

        tensors = {
            name: torch.from_numpy(array).to(self.device)
            for name, array in batch.items()
            if name in self._inputs
        }
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                outputs = self.model(**tensors)
        finally:
            self.model.train(was_training)
        return {
            name: value.float().cpu().numpy()
            for name, value in outputs.items()
            if isinstance(value, torch.Tensor) and name != "loss"
        }

    def _run_halves(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        import numpy as np

        rows, length = batch["input_ids"].shape
        self._release()
        if rows == 1:
            raise ResourceError(
                f"out of memory on one row of {length} tokens",
                hint="lower --max-length, or use another --device",
            )
        if not self._halved:
            self._halved = True
            log.warning(
                "out of memory on %d rows of %d tokens; computing such batches in halves "
                "(a lower --batch-size avoids the retries)", rows, length,
            )  # fmt: skip
        middle = rows // 2
        first = self.run({name: array[:middle] for name, array in batch.items()})
        second = self.run({name: array[middle:] for name, array in batch.items()})
        return {name: np.concatenate([first[name], second[name]]) for name in first}

    def _release(self) -> None:
        """Give the blocks that the failed attempt fragmented back to the device."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def _out_of_memory(error: BaseException) -> bool:
    """Tell an allocation that failed from any other error; the CPU allocator has no class for it."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()
