"""A model in a few operations, for each engine of exported files: it adds up the tokens of a row
that are not padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("input_ids", "attention_mask")


def batch(rows: int, length: int = 3) -> dict[str, Any]:
    """Rows of tokens, with an input that the model does not ask for."""
    return {
        "input_ids": np.arange(rows * length, dtype=np.int32).reshape(rows, length),
        "attention_mask": np.ones((rows, length), dtype=np.int64),
        "token_type_ids": np.zeros((rows, length), dtype=np.int64),
    }


def sums(given: dict[str, Any]) -> list[float]:
    """What the model gives for a batch without padding."""
    found: list[float] = given["input_ids"].sum(axis=1).tolist()
    return found


def onnx_file(folder: Path) -> Path:
    """Write the model for onnxruntime."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("Mul", list(NAMES), ["kept"]),
            helper.make_node("Cast", ["kept"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "axes"], ["logits"], keepdims=1),
        ],
        "summing",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"])
            for name in NAMES
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    path = folder / "model.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def openvino_file(folder: Path) -> Path:
    """Write the model for OpenVINO."""
    from hfkit.imports import import_openvino

    openvino = import_openvino()
    from openvino import opset13 as ops

    given = [ops.parameter([-1, -1], np.int64, name=name) for name in NAMES]
    for node in given:
        node.output(0).set_names({node.friendly_name})
    numbers = ops.convert(ops.multiply(*given), "f32")
    total = ops.reduce_sum(numbers, ops.constant([1]), keep_dims=True)
    total.output(0).set_names({"logits"})
    path = folder / "openvino_model.xml"
    openvino.save_model(openvino.Model([total], given), path, compress_to_fp16=False)
    return path
