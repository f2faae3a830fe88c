"""The ONNX engine: what it passes on, what it refuses, and what it leaves unimported."""

from __future__ import annotations

import subprocess
import sys
from threading import Barrier, get_ident

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hfkit.errors import InputError, ResourceError
from hfkit.infer.onnx_engine import OnnxEngine


@pytest.fixture(scope="module")
def summing(tmp_path_factory):
    """A file that gives the sum of the tokens that are not padding."""
    shape = ["rows", "length"]
    names = ("input_ids", "attention_mask")
    graph = helper.make_graph(
        [
            helper.make_node("Mul", list(names), ["kept"]),
            helper.make_node("Cast", ["kept"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "axes"], ["logits"], keepdims=1),
        ],
        "summing",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def batch(rows, length=3):
    return {
        "input_ids": np.arange(rows * length, dtype=np.int32).reshape(rows, length),
        "attention_mask": np.ones((rows, length), dtype=np.int64),
        "token_type_ids": np.zeros((rows, length), dtype=np.int64),
    }


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (4, 3), (2, 700)])
def test_it_gives_fp32_by_name_for_any_shape(summing, rows, length):
    given = batch(rows, length)
    found = OnnxEngine(summing).run(given)
    assert list(found) == ["logits"] and found["logits"].dtype == np.float32
    assert found["logits"][:, 0].tolist() == given["input_ids"].sum(axis=1).tolist()


class Narrow:
    """A session that fits at most `room` rows."""

    def __init__(self, session, room):
        self.session, self.room, self.sizes = session, room, []

    def run(self, outputs, feeds):
        self.sizes.append(len(feeds["input_ids"]))
        if self.sizes[-1] > self.room:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 7")
        return self.session.run(outputs, feeds)


def test_a_batch_that_does_not_fit_is_halved_and_told_once(summing, caplog):
    engine = OnnxEngine(summing)
    engine._session = narrow = Narrow(engine._session, room=3)
    given = batch(8)
    for _ in range(2):
        found = engine.run(given)["logits"][:, 0]
        assert found.tolist() == given["input_ids"].sum(axis=1).tolist()
    assert narrow.sizes[:4] == [8, 4, 2, 2]
    assert caplog.text.count("in halves") == 1


def test_one_row_that_does_not_fit_is_an_error(summing):
    engine = OnnxEngine(summing)
    engine._session = Narrow(engine._session, room=0)
    with pytest.raises(ResourceError, match="one row of 3 tokens"):
        engine.run(batch(2))


class Meeting:
    """A session whose runs wait for one another: no run ends before two are under way."""

    def __init__(self, session):
        self.session, self.meeting = session, Barrier(2, timeout=30)

    def run(self, outputs, feeds):
        self.meeting.wait()
        return self.session.run(outputs, feeds)


def test_several_batches_are_under_way_in_one_session_and_keep_their_order(summing, monkeypatch):
    opened = []
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", _counting(onnxruntime.InferenceSession, opened)
    )
    engine = OnnxEngine(summing, threads=2)
    engine._session = Meeting(engine._session)
    sizes = [1, 5, 2, 7, 3, 4]
    found = list(engine.run_all(batch(rows) for rows in sizes))
    for rows, outputs in zip(sizes, found, strict=True):
        assert outputs["logits"][:, 0].tolist() == batch(rows)["input_ids"].sum(axis=1).tolist()
    assert len(opened) == 1


def _counting(kind, opened):
    return lambda *arguments, **named: opened.append(1) or kind(*arguments, **named)


@pytest.mark.parametrize(("threads", "count"), [(1, 3), (2, 1), (2, 0)])
def test_nothing_waits_for_a_batch_that_does_not_come(summing, threads, count):
    """One thread, or one batch: it is computed where it is asked for."""
    engine = OnnxEngine(summing, threads=threads)
    callers = set()
    session = engine._session
    engine._session = Watched(session, lambda: callers.add(get_ident()))
    assert len(list(engine.run_all(batch(2) for _ in range(count)))) == count
    assert callers == ({get_ident()} if count else set())


class Watched:
    """A session that tells of each run."""

    def __init__(self, session, tell):
        self.session, self.tell = session, tell

    def run(self, outputs, feeds):
        self.tell()
        return self.session.run(outputs, feeds)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_comes_in_its_place(summing, threads):
    engine = OnnxEngine(summing, threads=threads)
    given = [batch(1), {"input_ids": batch(1)["input_ids"]}, batch(1)]
    first, failed, last = engine.run_all(given)
    assert first["logits"].tolist() == last["logits"].tolist() == [[3.0]]
    assert isinstance(failed, InputError) and "attention_mask" in str(failed)


def test_an_input_that_is_not_given_is_named(summing):
    with pytest.raises(InputError, match="attention_mask"):
        OnnxEngine(summing).run({"input_ids": batch(1)["input_ids"]})


def test_a_file_that_cannot_be_opened_is_one_line(summing, tmp_path):
    cut = tmp_path / "model.onnx"
    cut.write_bytes(summing.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot open") as caught:
        OnnxEngine(cut)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such ONNX file"):
        OnnxEngine(tmp_path / "other.onnx")


def test_a_missing_package_is_named_with_its_command(summing, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="not installed") as caught:
        OnnxEngine(summing)
    assert "pip install 'hfkit[onnx]'" in str(caught.value)


def test_it_imports_neither_torch_nor_transformers(summing):
    code = (
        "import sys; from pathlib import Path; from hfkit.infer.onnx_engine import OnnxEngine\n"
        "OnnxEngine(Path(sys.argv[1]))\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'sklearn', 'scipy',"
        " 'accelerate'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(summing)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
