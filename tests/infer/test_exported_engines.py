"""What engines of exported files have in common: what they pass on, refuse, leave unimported."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from exports import HEAVY
from summing import batch, onnx_file, openvino_file, sums

from hfkit.errors import InputError, ResourceError

# Engine -> its module and class, what writes a file for it, and how it names such a file.
ENGINES = {
    "onnx": ("hfkit.infer.onnx_engine", "OnnxEngine", onnx_file, "ONNX"),
    "openvino": ("hfkit.infer.openvino_engine", "OpenvinoEngine", openvino_file, "OpenVINO"),
}
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


class Narrow:
    """Stands before a session or a request, and has memory for `room` rows."""

    def __init__(self, inner, room):
        self.inner, self.room, self.sizes = inner, room, []

    def run(self, outputs, feeds):  # of a session of onnxruntime
        self._take(feeds, "Failed to allocate memory for requested buffer of size 7")
        return self.inner.run(outputs, feeds)

    def infer(self, feeds, **flags):  # of a request of OpenVINO
        self._take(feeds, "Exception from src/inference: std::bad_alloc")
        return self.inner.infer(feeds, **flags)

    def _take(self, feeds, failure):
        self.sizes.append(len(feeds["input_ids"]))
        if self.sizes[-1] > self.room:
            raise RuntimeError(failure)


@pytest.fixture(params=ENGINES)
def kind(request):
    return request.param


@pytest.fixture
def path(kind, tmp_path):
    return ENGINES[kind][2](tmp_path)


@pytest.fixture
def engine_class(kind):
    module, name, *_ = ENGINES[kind]
    return getattr(import_module(module), name)


def narrowed(engine, room):
    """Make its one session, or request, a narrow one."""
    if hasattr(engine, "_session"):
        engine._session = narrow = Narrow(engine._session, room)
    else:
        narrow = Narrow(engine._idle.get(), room)
        engine._idle.put(narrow)
    return narrow


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (4, 3), (2, 700)])
def test_it_gives_fp32_by_name_for_any_shape(engine_class, path, rows, length):
    given = batch(rows, length)
    found = engine_class(path).run(given)
    assert list(found) == ["logits"] and found["logits"].dtype == np.float32
    assert found["logits"][:, 0].tolist() == sums(given)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_batches_come_back_in_their_order(engine_class, path, threads):
    engine = engine_class(path, threads)
    given = [batch(number % 7 + 1, number % 11 + 1) for number in range(200)]
    for _ in range(2):
        for one, found in zip(given, engine.run_all(iter(given)), strict=True):
            assert found["logits"][:, 0].tolist() == sums(one)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_comes_in_its_place(engine_class, path, threads):
    engine = engine_class(path, threads)
    given = [batch(1), {"input_ids": batch(1)["input_ids"]}, batch(1)]
    first, failed, last = engine.run_all(given)
    assert first["logits"].tolist() == last["logits"].tolist() == [[3.0]]
    assert isinstance(failed, InputError) and "attention_mask" in str(failed)


def test_a_batch_that_does_not_fit_is_halved_and_told_once(engine_class, path, caplog):
    engine = engine_class(path, 1)
    narrow = narrowed(engine, room=3)
    given = batch(8)
    for _ in range(2):
        assert engine.run(given)["logits"][:, 0].tolist() == sums(given)
    assert narrow.sizes[:4] == [8, 4, 2, 2]
    assert caplog.text.count("in halves") == 1


def test_one_row_that_does_not_fit_is_an_error(engine_class, path):
    engine = engine_class(path, 1)
    narrowed(engine, room=0)
    with pytest.raises(ResourceError, match="one row of 3 tokens"):
        engine.run(batch(2))


def test_an_input_that_is_not_given_is_named(engine_class, path):
    with pytest.raises(InputError, match="attention_mask"):
        engine_class(path).run({"input_ids": batch(1)["input_ids"]})


def test_a_file_that_cannot_be_opened_is_one_line(kind, engine_class, path, tmp_path):
    cut = tmp_path / f"cut{path.suffix}"
    cut.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot open") as caught:
        engine_class(cut)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=f"no such {ENGINES[kind][3]} file"):
        engine_class(tmp_path / f"other{path.suffix}")


def test_a_missing_package_is_named_with_its_command(kind, engine_class, path, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[kind], None)
    with pytest.raises(InputError, match="not installed") as caught:
        engine_class(path)
    assert f"pip install 'hfkit[{kind}]'" in str(caught.value)


def test_it_imports_neither_torch_nor_transformers(kind, path):
    module, name, *_ = ENGINES[kind]
    code = (
        f"import sys; from pathlib import Path; from {module} import {name}\n"
        f"{name}(Path(sys.argv[1]))\n"
        f"print(sorted({{*{HEAVY}, 'openvino_telemetry'}} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
