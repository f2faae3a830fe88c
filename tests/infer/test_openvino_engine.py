"""The OpenVINO engine: what it passes on, what it refuses, and what it leaves unimported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hfkit.errors import InputError, ResourceError
from hfkit.imports import import_openvino
from hfkit.infer.openvino_engine import OpenvinoEngine

openvino = import_openvino()


@pytest.fixture(scope="module")
def summing(tmp_path_factory):
    """A file that gives the sum of the tokens that are not padding."""
    from openvino import opset13 as ops

    given = [
        ops.parameter([-1, -1], np.int64, name=name) for name in ("input_ids", "attention_mask")
    ]
    for node in given:
        node.output(0).set_names({node.friendly_name})
    numbers = ops.convert(ops.multiply(*given), "f32")
    total = ops.reduce_sum(numbers, ops.constant([1]), keep_dims=True)
    total.output(0).set_names({"logits"})
    path = tmp_path_factory.mktemp("openvino") / "openvino_model.xml"
    openvino.save_model(openvino.Model([total], given), path, compress_to_fp16=False)
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
    found = OpenvinoEngine(summing).run(given)
    assert list(found) == ["logits"] and found["logits"].dtype == np.float32
    assert found["logits"][:, 0].tolist() == given["input_ids"].sum(axis=1).tolist()


AFTER = """
import gc, os, signal, sys, threading
from pathlib import Path
from hfkit.infer.openvino_engine import OpenvinoEngine

engines = [OpenvinoEngine(Path(sys.argv[1])) for _ in range(3)]
caught = []
signal.signal(signal.SIGINT, lambda *_: caught.append("caught"))
os.kill(os.getpid(), signal.SIGINT)
ends = threading.Thread(target=engines.clear)
ends.start(); ends.join(); gc.collect()
os.kill(os.getpid(), signal.SIGINT)
print(*caught)
"""


def test_a_signal_after_the_engine_has_gone_is_handled(summing):
    done = subprocess.run(
        [sys.executable, "-c", AFTER, str(summing)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "caught caught\n"), done.stderr


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_batches_come_back_in_their_order(summing, threads):
    engine = OpenvinoEngine(summing, threads)
    given = [batch(number % 7 + 1, number % 11 + 1) for number in range(200)]
    for _ in range(2):
        for one, found in zip(given, engine.run_all(iter(given)), strict=True):
            assert found["logits"][:, 0].tolist() == one["input_ids"].sum(axis=1).tolist()


def test_what_it_gave_is_not_written_over(summing):
    engine = OpenvinoEngine(summing, 1)
    first = engine.run(batch(2))["logits"]
    kept = first.copy()
    engine.run({**batch(2), "input_ids": batch(2)["input_ids"] + 9})
    assert first.tolist() == kept.tolist()


class Narrow:
    """A request that fits at most `room` rows."""

    def __init__(self, request, room):
        self.request, self.room, self.sizes = request, room, []

    def infer(self, feeds, **flags):
        self.sizes.append(len(feeds["input_ids"]))
        if self.sizes[-1] > self.room:
            raise RuntimeError("Exception from src/inference: std::bad_alloc")
        return self.request.infer(feeds, **flags)


def narrow(summing, room):
    engine = OpenvinoEngine(summing, 1)
    engine._idle.put(Narrow(engine._idle.get(), room))
    return engine


def test_a_batch_that_does_not_fit_is_halved_and_told_once(summing, caplog):
    engine = narrow(summing, room=3)
    given = batch(8)
    for _ in range(2):
        found = engine.run(given)["logits"][:, 0]
        assert found.tolist() == given["input_ids"].sum(axis=1).tolist()
    assert engine._idle.get().sizes[:4] == [8, 4, 2, 2]
    assert caplog.text.count("in halves") == 1


def test_one_row_that_does_not_fit_is_an_error(summing):
    with pytest.raises(ResourceError, match="one row of 3 tokens"):
        narrow(summing, room=0).run(batch(2))


def test_an_input_that_is_not_given_is_named(summing):
    with pytest.raises(InputError, match="attention_mask"):
        OpenvinoEngine(summing).run({"input_ids": batch(1)["input_ids"]})


def test_a_file_that_cannot_be_opened_is_one_line(summing, tmp_path):
    cut = tmp_path / "openvino_model.xml"
    cut.write_bytes(summing.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot open") as caught:
        OpenvinoEngine(cut)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no such OpenVINO file"):
        OpenvinoEngine(tmp_path / "other.xml")


def test_a_missing_package_is_named_with_its_command(summing, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="not installed") as caught:
        OpenvinoEngine(summing)
    assert "pip install 'hfkit[openvino]'" in str(caught.value)


def test_it_imports_neither_torch_nor_transformers(summing):
    code = (
        "import sys; from pathlib import Path\n"
        "from hfkit.infer.openvino_engine import OpenvinoEngine\n"
        "OpenvinoEngine(Path(sys.argv[1]))\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'sklearn', 'scipy',"
        " 'accelerate', 'openvino_telemetry'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(summing)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
