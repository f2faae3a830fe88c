"""What is the OpenVINO engine's own: buffers that it uses again, and the stack for signals."""

from __future__ import annotations

import subprocess
import sys

import pytest
from summing import batch, openvino_file

from hfkit.infer.openvino_engine import OpenvinoEngine


@pytest.fixture(scope="module")
def summing(tmp_path_factory):
    return openvino_file(tmp_path_factory.mktemp("openvino"))


def test_what_it_gave_is_not_written_over(summing):
    engine = OpenvinoEngine(summing, 1)
    first = engine.run(batch(2))["logits"]
    kept = first.copy()
    engine.run({**batch(2), "input_ids": batch(2)["input_ids"] + 9})
    assert first.tolist() == kept.tolist()


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
