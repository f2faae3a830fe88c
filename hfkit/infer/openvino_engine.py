"""The engine that runs an OpenVINO model. Imports neither torch nor transformers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.imports import import_openvino
from hfkit.infer.exported_engine import ExportedEngine
from hfkit.processor import cores

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays

# What a core keeps prepared, by shape; texts have thousands of shapes. Over 2000 of them a
# tiny model's memory grew by 106 MiB with this bound, and by 200 MiB with the default of 5000.
PREPARED = 64


class OpenvinoEngine(ExportedEngine):
    """Runs one OpenVINO model, in fp32, or in bf16 where `half`.

    Raises `InputError` where openvino is not installed or cannot open the file.
    """

    def __init__(self, path: Path, threads: int | None = None, *, half: bool = False) -> None:
        threads = threads or cores()
        model = _open(path, threads, half)
        inputs, outputs = (
            [value.any_name for value in values] for values in (model.inputs, model.outputs)
        )
        super().__init__(inputs, outputs, threads)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(model.create_infer_request())

    def compute(self, feeds: Arrays) -> Sequence[Any]:
        """Compute with a request that is idle; what it gives are copies."""
        request = self._idle.get()
        try:
            values = request.infer(feeds, share_inputs=True)
            return [values[place] for place in range(len(self._outputs))]
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
        with _signal_stack_kept():
            return openvino.Core().compile_model(str(path), "CPU", settings)
    except Exception as error:  # openvino's exceptions share no class but this
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"openvino cannot open it ({reason})", place=str(path)) from error


@contextmanager
def _signal_stack_kept() -> Iterator[None]:
    """Keep the stack on which this thread handles signals.

    On processors with AMX, OpenVINO gives the thread that opens a model one of its own, and unmaps
    it with the model, on whichever thread that ends: the next signal, a Ctrl-C, would then kill.
    """
    if sys.platform != "linux":
        yield
        return
    import ctypes

    class Stack(ctypes.Structure):
        _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    system, before = ctypes.CDLL(None), Stack()
    known = system.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            system.sigaltstack(ctypes.byref(before), None)
