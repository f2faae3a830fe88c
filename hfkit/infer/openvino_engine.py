"""The engine that runs an OpenVINO model. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.infer.ahead import attempt, in_order
from hfkit.infer.halves import Halves
from hfkit.processor import cores
from hfkit.telemetry import import_openvino

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays

# What a core keeps prepared, by shape; texts have thousands of shapes. Over 2000 of them a
# tiny model's memory grew by 106 MiB with this bound, and by 200 MiB with the default of 5000.
PREPARED = 64


class OpenvinoEngine:
    """Runs one OpenVINO model on the CPU, in fp32, or in bf16 where `half`; a batch to a core.

    `threads` of None are as many as `cores`. Raises `InputError` where openvino is not installed
    or cannot open the file.
    """

    def __init__(self, path: Path, threads: int | None = None, *, half: bool = False) -> None:
        self._threads = threads or cores()
        model = _open(path, self._threads, half)
        self._inputs = [value.any_name for value in model.inputs]
        self._outputs = [value.any_name for value in model.outputs]
        self._halves = Halves(self._forward, "lower --max-length")
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._threads):
            self._idle.put(model.create_infer_request())
        self._pool: ThreadPoolExecutor | None = None

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch, on one core; see `Engine.run`."""
        return self._halves.run(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order, one to a core."""
        if self._threads == 1:
            for batch in batches:
                yield attempt(self.run, batch)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "hfkit-engine")
        yield from in_order(self._pool, self.run, batches, 2 * self._threads)

    def _forward(self, batch: Arrays) -> Arrays:
        import numpy as np

        absent = [name for name in self._inputs if name not in batch]
        if absent:
            raise InputError(
                f"the OpenVINO file asks for {absent[0]}, which the tokenizer does not give"
            )
        feeds = {name: np.asarray(batch[name], dtype=np.int64) for name in self._inputs}
        request = self._idle.get()
        try:
            values = request.infer(feeds, share_inputs=True)
            return {
                name: np.asarray(values[place], dtype=np.float32)
                for place, name in enumerate(self._outputs)
            }
        finally:
            self._idle.put(request)


def _open(path: Path, threads: int, half: bool) -> Any:
    openvino = import_openvino()
    if not path.is_file():
        raise InputError("no such OpenVINO file", place=str(path))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        # Several processes would all be put onto the same cores.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": PREPARED,
    }
    try:
        return openvino.Core().compile_model(str(path), "CPU", settings)
    except Exception as error:  # openvino's exceptions share no class but this
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"openvino cannot open it ({reason})", place=str(path)) from error
