"""The engine that runs a torch model. The one file of `infer` that imports torch."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError, ResourceError
from hfkit.infer.ahead import in_order
from hfkit.targets import TARGETS

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

log = logging.getLogger(__name__)

GPU_TOKENS = 16384  # computed at once; a GPU with fewer is idle between its kernels. Not measured.

# What no task asks for, and large: heads of encoder-decoder models give it beside their logits.
UNUSED = frozenset({"loss", "encoder_last_hidden_state"})

# oneDNN and the layer above it keep what they prepared for every shape they have met. Batches of
# texts have thousands of shapes: without a bound, memory grows for as long as the input does.
BOUNDS = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}


class TorchEngine:
    """Runs a model on one device, without dropout, in fp32 unless `half`, which multiplies in bf16;
    halves a batch that does not fit."""

    def __init__(
        self, model: torch.nn.Module, device: str | torch.device = "cpu", *, half: bool = False
    ) -> None:
        import torch

        self.device = torch.device(device)
        self.model = model.to(self.device)
        self._inputs = frozenset(inspect.signature(model.forward).parameters) - TARGETS
        if self.device.type != "cpu":
            self.batch_tokens = GPU_TOKENS
        self._half = half
        self._halved = False
        self._pool: ThreadPoolExecutor | None = None

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch; see `Engine.run`."""
        try:
            return self._forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
        # Outside the handler, so that the failed attempt's tensors are free before the next one.
        return self._run_halves(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays]:
        """Compute batches, in their order: on a CPU one to a core.

        A batch on each core takes less time than each batch on all cores, which would wait for
        one another after every operation.
        """
        import torch

        threads = torch.get_num_threads()
        if self.device.type != "cpu" or threads == 1:
            yield from map(self.run, batches)
            return
        was_training = self.model.training
        self.model.eval()  # here, not in each thread: they share the model
        try:
            # Kept: what oneDNN has prepared belongs to a thread.
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    threads, "hfkit-engine", torch.set_num_threads, (1,)
                )
            yield from in_order(self._pool, self.run, batches, 2 * threads)
        finally:
            self.model.train(was_training)

    def _forward(self, batch: Arrays) -> Arrays:
        import torch

        tensors = {
            name: torch.from_numpy(array).to(self.device)
            for name, array in batch.items()
            if name in self._inputs
        }
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            precision = torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)
            with torch.inference_mode(), precision:
                outputs = self.model(**tensors)
        finally:
            if was_training:
                self.model.train()
        return {
            name: value.float().cpu().numpy()
            for name, value in outputs.items()
            if isinstance(value, torch.Tensor) and name not in UNUSED
        }

    def _run_halves(self, batch: Arrays) -> Arrays:
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


def bound_caches() -> None:
    """Bound what torch keeps per shape; has to come before the first computation."""
    for name, bound in BOUNDS.items():
        os.environ.setdefault(name, bound)


def choose_device(name: str) -> str:
    """Return the device that ``auto`` means here; raise `InputError` for one that is not here."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((device for device, is_here in here.items() if is_here), "cpu")
    if not here.get(name, True):
        raise InputError(f"no {name} device on this machine", place="--device", hint="use cpu")
    return name


def _out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; for the CPU's there is no class of its own."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error) or "out of memory" in str(error).lower()
