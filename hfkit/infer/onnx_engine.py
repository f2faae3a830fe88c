"""The engine that runs an ONNX file with onnxruntime. Imports neither torch nor transformers."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError, ResourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

FATAL = 4  # onnxruntime's own log: what goes wrong comes as an exception
# How onnxruntime words a failed allocation; it has no class of its own for it.
NO_MEMORY = ("failed to allocate memory", "bad_alloc", "out of memory")


class OnnxEngine:
    """Runs one ONNX file on the CPU; halves a batch that does not fit into memory.

    `threads` of None are the cores that this process may use. Raises `InputError` where onnxruntime
    is not installed or cannot open the file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._session = _open(path, threads or usable_cores())
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._outputs = [value.name for value in self._session.get_outputs()]
        self._halved = False

    def run(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute one batch; see `Engine.run`."""
        try:
            return self._forward(batch)
        except Exception as error:  # onnxruntime's exceptions share no class but this
            if not _out_of_memory(error):
                raise
        # Outside the handler, so that the failed attempt's arrays are free before the next one.
        return self._run_halves(batch)

    def _forward(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        import numpy as np

        absent = [name for name in self._inputs if name not in batch]
        if absent:
            raise InputError(
                f"the ONNX file asks for {absent[0]}, which the tokenizer does not give"
            )
        feeds = {name: np.asarray(batch[name], dtype=np.int64) for name in self._inputs}
        values = self._session.run(self._outputs, feeds)
        return {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(self._outputs, values, strict=True)
        }

    def _run_halves(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        import numpy as np

        rows, length = batch["input_ids"].shape
        if rows == 1:
            raise ResourceError(
                f"out of memory on one row of {length} tokens", hint="lower --max-length"
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


def usable_cores() -> int:
    """The number of cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _open(path: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "onnxruntime is not installed", place="--engine", hint="pip install 'hfkit[onnx]'"
        ) from error
    if not path.is_file():
        raise InputError("no such ONNX file", place=str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    # Both keep memory for every shape they have met, and batches of texts have thousands.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above: no class of its own
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"onnxruntime cannot open it ({reason})", place=str(path)) from error


def _out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY)
