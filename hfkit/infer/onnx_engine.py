"""The engine that runs an ONNX file with onnxruntime. Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.infer.exported_engine import ExportedEngine

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays

FATAL = 4  # onnxruntime's own log: what goes wrong comes as an exception


class OnnxEngine(ExportedEngine):
    """Runs one ONNX file; `once`: for a single row.

    Raises `InputError` where onnxruntime is not installed or cannot open the file.
    """

    def __init__(self, path: Path, threads: int | None = None, *, once: bool = False) -> None:
        self._session = _open(path, once)
        inputs, outputs = (
            [value.name for value in values]
            for values in (self._session.get_inputs(), self._session.get_outputs())
        )
        super().__init__(inputs, outputs, threads)

    def compute(self, feeds: Arrays) -> Sequence[Any]:
        """Compute in the one session."""
        values: Sequence[Any] = self._session.run(self._outputs, feeds)
        return values


def _open(path: Path, once: bool) -> Any:
    import numpy  # noqa: F401 - onnxruntime prints what interrupts its own import of it

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
    if once:
        # Weights laid out for its products make a batch faster by 6 ms; to lay them out takes 40
        # (MiniLM), and memory of their size.
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no class but this
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"onnxruntime cannot open it ({reason})", place=str(path)) from error
