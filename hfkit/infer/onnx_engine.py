"""The engine that runs an ONNX file with onnxruntime. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.infer.ahead import attempt, in_order
from hfkit.infer.halves import Halves
from hfkit.processor import cores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from hfkit.infer.engine import Arrays

FATAL = 4  # onnxruntime's own log: what goes wrong comes as an exception


class OnnxEngine:
    """Runs one ONNX file on the CPU.

    `threads` of None are as many as `cores`. Raises `InputError` where onnxruntime
    is not installed or cannot open the file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._threads = threads or cores()
        self._session = _open(path)
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._outputs = [value.name for value in self._session.get_outputs()]
        self._halves = Halves(self._forward, "lower --max-length")
        self._pool: ThreadPoolExecutor | None = None

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch, on one core; see `Engine.run`."""
        return self._halves.run(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order, as many at a time as there are threads.

        All of them go through the one session: the weights are in memory once.
        """
        source = iter(batches)
        first = list(islice(source, 2))
        if self._threads == 1 or len(first) < 2:
            for batch in chain(first, source):
                yield attempt(self.run, batch)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # not for a single text

            self._pool = ThreadPoolExecutor(self._threads, "hfkit-engine")
        yield from in_order(self._pool, self.run, chain(first, source), 2 * self._threads)

    def _forward(self, batch: Arrays) -> Arrays:
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


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "onnxruntime is not installed", place="--engine", hint="pip install 'hfkit[onnx]'"
        ) from error
    if not path.is_file():
        raise InputError("no such ONNX file", place=str(path))
    options = onnxruntime.SessionOptions()
    # A batch to a core: 7,800 tokens a second on two cores, where two threads for each of two
    # batches gave 6,700, for one batch after the other 6,800 (MiniLM, 64 texts of 16 tokens).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    # Both keep memory for every shape they have met, and batches of texts have thousands.
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no class but this
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"onnxruntime cannot open it ({reason})", place=str(path)) from error
