"""A model as a file that another engine opens fast: ONNX for onnxruntime, IR for OpenVINO.

    model.onnx        the graph: small, with onnxruntime's fused operators
    model.onnx_data   the weights, which are mapped into memory and not copied
    model_quantized.onnx, model_quantized.onnx_data   the same with weights in int8, where asked for
    openvino_model.xml, openvino_model.bin   the graph and the weights for OpenVINO

The names are those that transformers.js and text-embeddings-inference look for, and optimum-intel
and sentence-transformers. Exported is the padded computation as transformers has it, with any
number of rows and tokens.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hfkit.errors import InputError
from hfkit.imports import import_openvino
from hfkit.sealing import disk_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]  # by name, the rows first

# What a model may read, in the order that other tools list it.
READABLE = ("input_ids", "attention_mask", "token_type_ids")
INLINED = 1024  # bytes; smaller constants stay in the graph
ROUNDED = ["MatMul", "Gemm", "Gather"]  # what static int8 computes in int8
ERRORS_ALONE = 4  # of onnxruntime's log


class Picked(nn.Module):
    """The model as a function of its inputs, by place, that gives some of its outputs."""

    def __init__(self, model: nn.Module, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs, in the order of their names."""
        found = self.model(**dict(zip(self.inputs, values, strict=True)))
        return tuple(found[name] for name in self.outputs)


def write_plain(
    path: Path, model: nn.Module, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Write `model` at `path` as it is, with its weights in a file beside it.

    `inputs` are the names of what it reads, `outputs` of what the file is to give. Raises
    `InputError` where torch has no way to write this model.
    """
    _require("onnxscript")
    rows, length = torch.export.Dim("rows"), torch.export.Dim("length")
    shapes = tuple({0: rows, 1: length} for _ in inputs)
    picked = Picked(model, inputs, outputs).eval()
    try:
        with _silent(), torch.no_grad():
            torch.onnx.export(
                picked,
                _example(inputs),
                str(path),
                dynamo=True,
                external_data=True,
                dynamic_shapes=(shapes,),
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except Exception as error:  # torch and onnxscript have no class of their own for all of it
        if disk_error(error) is not None:
            raise
        reason = " ".join(str(error).split())[:160]
        kind = type(model).__name__
        raise InputError(f"torch cannot write a {kind} as ONNX ({reason})") from error


def optimise(plain: Path, target: Path) -> None:
    """Write what onnxruntime makes of the file `plain` at `target`, for any processor; the weights
    go beside it, as ``<name>_data``."""
    onnxruntime = _require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ALONE
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    key = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{key}file_name", f"{target.name}_data")
    options.add_session_config_entry(f"{key}min_size_in_bytes", str(INLINED))
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])


def quantise(plain: Path, target: Path, calibration: Iterable[Arrays] | None = None) -> None:
    """Write the file `plain` at `target` with the weights of its matrices in int8, a scale for each
    column; what is multiplied with them is rounded as it comes, or with scales for the values that
    the batches of `calibration` lead to."""
    _require("onnxruntime")
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static

    if calibration is None:
        with _silent():
            quantize_dynamic(
                plain,
                target,
                per_channel=True,
                weight_type=QuantType.QInt8,
                use_external_data_format=True,
            )
        return
    with _silent():
        quantize_static(
            plain,
            target,
            Calibration(calibration),
            op_types_to_quantize=ROUNDED,
            # Attention multiplies what was computed: rounding that loses more and gains little.
            nodes_to_exclude=_products_of_activations(plain),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
            # Products stay as they are. Of a MiniLM that chose between 8 labels, 93 of 100 answers
            # stayed the same with them rounded, 97 without.
            extra_options={"OpTypesToExcludeOutputQuantization": ROUNDED},
        )


def _products_of_activations(plain: Path) -> list[str]:
    """The names of the products of two matrices of which neither is a weight."""
    graph = _require("onnx").load(plain, load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm") and not weights & set(node.input[:2])
    ]


class Calibration:
    """Batches as onnxruntime asks for them: one after the other, None at the end."""

    def __init__(self, batches: Iterable[Arrays]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Arrays | None:
        """The next batch."""
        return next(self._batches, None)


def write_openvino(
    path: Path, model: nn.Module, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    """Write `model` for OpenVINO at `path`, in fp32, with its weights beside it as ``.bin``.

    Raises `InputError` where torch or OpenVINO has no way to write this model.
    """
    openvino = import_openvino()
    picked = Picked(model, inputs, outputs).eval()
    shapes = [openvino.PartialShape([-1, -1]) for _ in inputs]
    try:
        # Traced, not exported by torch as for ONNX: that is refused with lengths of any size.
        with _silent(), torch.no_grad():
            found = openvino.convert_model(picked, example_input=_example(inputs), input=shapes)
    except Exception as error:  # neither torch nor openvino has a class of its own for all of it
        if disk_error(error) is not None:
            raise
        reason = " ".join(str(error).split())[:160]
        kind = type(model).__name__
        raise InputError(f"a {kind} cannot be written for OpenVINO ({reason})") from error
    for places, names in ((found.inputs, inputs), (found.outputs, outputs)):
        for place, name in zip(places, names, strict=True):
            place.get_tensor().set_names({name})
    openvino.save_model(found, path, compress_to_fp16=False)


def inputs_of(model: nn.Module, given: Sequence[str]) -> list[str]:
    """What the model reads of what the tokenizer gives; the mask always."""
    import inspect

    known = inspect.signature(model.forward).parameters
    return [name for name in READABLE if name in known and name in {*given, "attention_mask"}]


def _example(inputs: Sequence[str]) -> tuple[Tensor, ...]:
    """Rows of tokens to trace a model with."""
    return tuple(torch.ones(2, 8, dtype=torch.long) for _ in inputs)


def _require(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"exporting needs {name}", hint="pip install 'hfkit[onnx]'") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporters' reports off the terminal: they are about their own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
