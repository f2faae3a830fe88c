"""What is the ONNX engine's own: batches share one session."""

from __future__ import annotations

from threading import Barrier, get_ident

import onnxruntime
import pytest
from summing import batch, onnx_file, sums

from hfkit.infer.onnx_engine import OnnxEngine


@pytest.fixture(scope="module")
def summing(tmp_path_factory):
    return onnx_file(tmp_path_factory.mktemp("onnx"))


class Watched:
    """A session that calls something before each run."""

    def __init__(self, session, before):
        self.session, self.before = session, before

    def run(self, outputs, feeds):
        self.before()
        return self.session.run(outputs, feeds)


def test_several_batches_are_under_way_in_one_session(summing, monkeypatch):
    opened = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession",
        lambda *arguments, **named: opened.append(1) or session(*arguments, **named),
    )  # fmt: skip
    engine = OnnxEngine(summing, threads=2)
    engine._session = Watched(engine._session, Barrier(2, timeout=30).wait)  # two, or none ends
    given = [batch(rows) for rows in [1, 5, 2, 7, 3, 4]]
    for one, outputs in zip(given, engine.run_all(iter(given)), strict=True):
        assert outputs["logits"][:, 0].tolist() == sums(one)
    assert len(opened) == 1


@pytest.mark.parametrize(("threads", "count"), [(1, 3), (2, 1), (2, 0)])
def test_nothing_waits_for_a_batch_that_does_not_come(summing, threads, count):
    """One thread, or one batch: it is computed where it is asked for."""
    engine = OnnxEngine(summing, threads=threads)
    callers = set()
    engine._session = Watched(engine._session, lambda: callers.add(get_ident()))
    assert len(list(engine.run_all(batch(2) for _ in range(count)))) == count
    assert callers == ({get_ident()} if count else set())
