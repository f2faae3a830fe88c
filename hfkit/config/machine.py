"""Where a command runs, and what computes."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import Section, setting

Device = Literal["auto", "cpu", "cuda", "mps"]
Engine = Literal["auto", "torch", "onnx", "openvino"]
Exportable = Literal["onnx", "openvino"]
Kernels = Literal["auto", "default", "onednn"]
ErrorFormat = Literal["text", "json"]
Arithmetic = Literal["fp32", "bf16", "int8"]


class Machine(Section):
    """Where and how loudly the command runs; nothing here changes what is computed."""

    device: Device = setting("auto", "Device to compute on", saved=False)
    offline: bool = setting(False, "Never open a network connection", saved=False)
    quiet: bool = setting(False, "Only errors on stderr", flags=("-q",), saved=False)
    verbose: bool = setting(False, "More on stderr", flags=("-v",), saved=False)
    debug: bool = setting(False, "Show the traceback of an error", saved=False)
    error_format: ErrorFormat = setting(
        "text", "How the last line says why a command failed: text, or a JSON object", saved=False
    )
    config: str | None = setting(
        None, "Recipe: a YAML file or the name of a packaged one", flags=("-c",), saved=False
    )
    set: list[str] = setting(
        [], "Any setting as key=value (repeatable)", flags=("-s",), saved=False
    )


class Trust(Section):
    """What a model may do besides being computed."""

    allow_remote_code: str | None = setting(
        None,
        "Run the Python code that a model of the Hub brings along: the full commit you have read",
        changes_result=True,
    )


class Hardware(Section):
    """How the processor is used.

    Another kernel or number of threads adds in another order, which moves results in their last
    digits.
    """

    kernels: Kernels = setting(
        "auto",
        "What multiplies fp32 matrices on a CPU: auto goes by the processor's family",
        changes_result=True,
    )
    threads: int | None = setting(
        None, "Threads of a process; default: the cores it may use",
        changes_result=True, ge=1, le=1024,
    )  # fmt: skip


class Computing(Hardware):
    """How a model that is not trained any more computes."""

    engine: Engine = setting(
        "auto",
        "What computes; auto: an exported model that was measured to equal torch, or torch",
    )
    precision: Arithmetic = setting(
        "fp32", "Arithmetic of the forward pass; bf16 and int8 move scores a little"
    )
    batch_size: int | None = setting(
        None, "Most rows computed at once; default: what batch_tokens allows", flags=("-b",), ge=1
    )
    batch_tokens: int | None = setting(
        None, "Most tokens computed at once; default: what suits the engine", ge=1
    )


class Processes(Section):
    """Several processes, each with its share of the rows."""

    num_processes: int = setting(1, "Processes to compute with", flags=("--nproc-per-node",), ge=1)
