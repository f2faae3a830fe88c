"""The engine that runs a torch model; with writing_engine.py what in `infer` imports torch."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hfkit.errors import InputError
from hfkit.infer.ahead import attempt, in_order
from hfkit.infer.halves import Halves
from hfkit.targets import TARGETS

if TYPE_CHECKING:
    import torch

    from hfkit.infer.engine import Arrays

GPU_TOKENS = 16384  # computed at once; a GPU with fewer is idle between its kernels. Not measured.

# What no task asks for, and large: heads of encoder-decoder models give it beside their logits.
UNUSED = frozenset({"loss", "encoder_last_hidden_state"})

# oneDNN and the layer above it keep what they prepared for every shape they have met. Batches of
# texts have thousands of shapes: without a bound, memory grows for as long as the input does. An
# encoder has four for each length of its packed row, and each takes up to a megabyte.
SHAPES = 16
# A step in bf16 has ten for each length of its packed row. 64 of them would be made anew all the
# time: with 256 MiniLM's training took 55 MiB more, and a tenth less time.
SHAPES_OF_TRAINING = 256


class TorchEngine:
    """Runs a model on one device, without dropout, in fp32, or in bf16 where `half`. `unpadded`:
    the model's layers compute no padding, as `unpad` has made them."""

    def __init__(
        self, model: torch.nn.Module, device: str | torch.device = "cpu", *, half: bool = False
    ) -> None:
        import torch

        self.device = torch.device(device)
        self.model = model.to(self.device)
        self._inputs = frozenset(inspect.signature(model.forward).parameters) - TARGETS
        if self.device.type != "cpu":
            self.batch_tokens = GPU_TOKENS
        self.half = half
        self.unpadded = False
        self._halves = Halves(
            self._forward, "lower --max-length, or use another --device", self._release
        )
        self._pool: ThreadPoolExecutor | None = None

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch; see `Engine.run`."""
        return self._halves.run(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order: on a CPU one to a core, a few ahead of the one that is
        asked for.

        A batch on each core takes less time than each batch on all cores, which would wait for
        one another after every operation.
        """
        import torch

        threads = torch.get_num_threads()
        if self.device.type != "cpu" or threads == 1:
            for batch in batches:
                yield attempt(self.run, batch)
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
            precision = torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)
            with torch.inference_mode(), precision:
                return self._compute(tensors)
        finally:
            if was_training:
                self.model.train()

    def _compute(self, tensors: dict[str, torch.Tensor]) -> Arrays:
        """Compute one batch that is on the device, without dropout."""
        import torch

        outputs = self.model(**tensors)
        return {
            name: value.float().cpu().numpy()
            for name, value in outputs.items()
            if isinstance(value, torch.Tensor) and name not in UNUSED
        }

    def _release(self) -> None:
        """Give the blocks that the failed attempt fragmented back to the device."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def engine_of(model: torch.nn.Module, device: str | torch.device = "cpu") -> TorchEngine:
    """The engine for a model: one that writes writes, all others are asked once."""
    from hfkit.infer.writing_engine import WritingEngine

    if getattr(model, "writes", False):
        from hfkit.infer.generating_engine import GeneratingEngine

        return GeneratingEngine(model, device)
    return (WritingEngine if hasattr(model, "hfkit_sampling") else TorchEngine)(model, device)


def bound_caches(shapes: int = SHAPES) -> None:
    """Bound what torch keeps per shape; has to come before the first computation."""
    os.environ.setdefault("LRU_CACHE_CAPACITY", "16")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(shapes))


def choose_device(name: str) -> str:
    """Return the device that ``auto`` means here; raise `InputError` for one that is not here."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next((device for device, is_here in here.items() if is_here), "cpu")
    if not here.get(name, True):
        raise InputError(f"no {name} device on this machine", place="--device", hint="use cpu")
    return name
