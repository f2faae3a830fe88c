"""Time for memory: micro-batches that shrink until they fit, activations computed twice.

`Room` finds the largest micro-batch by trying: a step that runs out of memory is taken again, from
its beginning, with half the rows. On several processes gradients may then not meet inside the
backward pass, where one process that failed would leave the others waiting: every process computes
alone, all say how it went, and only then the gradients are added up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator

from hfkit.errors import InputError, is_out_of_memory

T = TypeVar("T")

log = logging.getLogger(__name__)


class Room:
    """How many encoded rows fit into memory at once, as far as is known; the same everywhere.

    `limit` is None as long as nothing failed: the whole share of a process is tried.
    """

    def __init__(self, accelerator: Accelerator, limit: int | None = None) -> None:
        self.accelerator, self.limit = accelerator, limit

    def find(self, attempt: Callable[[int | None], T], undo: Callable[[], None], rows: int) -> T:
        """Return what `attempt` gives with the largest limit that no process fails with.

        `rows` is the largest share of a process; `undo` drops what a failed attempt has left.
        Raises `torch.OutOfMemoryError` where not even one row fits.
        """
        while True:
            found, failure = None, None
            try:
                found = attempt(self.limit)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = str(error)  # not the error itself, which holds the tensors
            if not self._any(failure is not None):
                return found  # type: ignore[return-value]
            found = None
            undo()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            tried = min(self.limit or rows, rows)
            if tried <= 1:
                raise torch.OutOfMemoryError(failure or "another process ran out of memory")
            self.limit = tried // 2
            if self.accelerator.is_main_process:
                log.info("out of memory on %d rows at once; trying %d", tried, self.limit)

    def _any(self, failed: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return failed
        own = torch.tensor([float(failed)], device=self.accelerator.device)
        together: Any = self.accelerator.reduce(own, "sum")
        return bool(together.item())


def average_gradients(accelerator: Accelerator, parameters: Iterable[torch.nn.Parameter]) -> None:
    """Make each gradient the mean over the processes, as DDP would have.

    One that no process has stays None, so that the optimizer leaves its parameter alone.
    """
    if accelerator.num_processes == 1:
        return
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    own = torch.tensor([float(p.grad is not None) for p in trainable], device=accelerator.device)
    used: Any = accelerator.reduce(own, "sum")
    for parameter, count in zip(trainable, used.tolist(), strict=True):
        if count:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = accelerator.reduce(gradient, "mean")


@contextmanager
def recomputing(model: torch.nn.Module, wanted: bool) -> Iterator[None]:
    """While open, activations inside the layers are computed again in the backward pass.

    Dropout drops the same units both times. Raises `InputError` for a model that cannot do it.
    """
    if not wanted:
        yield
        return
    able = [part for part in model.modules() if hasattr(part, "gradient_checkpointing_enable")]
    if not able or not getattr(able[0], "supports_gradient_checkpointing", False):
        raise InputError("this model cannot compute its activations again",
                         place="--gradient-checkpointing")  # fmt: skip
    inner: Any = able[0]  # the outermost one knows its own parts
    # transformers has renamed it; the older name warns where the newer one is there.
    name = next(name for name in ("activation", "gradient")
                if hasattr(inner, f"{name}_checkpointing_enable"))  # fmt: skip
    getattr(inner, f"{name}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(inner, f"{name}_checkpointing_disable")()
