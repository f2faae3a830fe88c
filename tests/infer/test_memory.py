"""Memory stays flat however long the input is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from toys import write_generator

LIMIT = 50  # MiB that the long input may take more than the short one

MEASURE = """
import json, resource, sys
from itertools import cycle, islice
from pathlib import Path
from hfkit.data.output import open_output
from hfkit.data.record import Record
from hfkit.data.writer import Naming, make_writer
from hfkit.infer.predictor import Predictor
from hfkit.infer.stream import predict_stream, read_rows

count, folder, options = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
texts = ["rain sun " * (number % 37 * 2 + 1) for number in range(997)]
given = enumerate(islice(cycle(texts), count), 1)
records = (Record({"text": text}, row, "x", row) for row, text in given)

if folder:
    from hfkit.config import PredictConfig
    from hfkit.run.opening import open_run
    from hfkit.run.predicting import make_predictor

    config = PredictConfig(device="cpu", options=options)
    predictor = make_predictor(open_run(folder, config), config)
else:
    import numpy as np

    class Instant:
        def run(self, batch):
            return {"logits": np.zeros((len(batch["input_ids"]), 1), dtype=np.float32)}

    class Task:
        token_outputs = ()
        joined = False

        def features(self, rows, tokenizer):
            return [{"input_ids": [1, 2, 3], "_row": number} for number in range(len(rows))]

        def decode(self, outputs, encoded, rows):
            return [{"value": float(output["logits"][0])} for output in outputs]

    class Tokenizer:
        padding = {"input_ids": 0}

    predictor = Predictor(Task(), Tokenizer(), Instant())

writer = make_writer("jsonl", Naming())
rows = 0
with open_output("/dev/null") as output:
    to_row = lambda fields: {"text": fields["text"]}
    rows_read = read_rows(records, lambda _: to_row)
    for window in predict_stream(rows_read, predictor, live=count % 2 == 1):
        output.write(writer.text(window))
        rows += len(window)
assert rows == count
# Not ru_maxrss: what the parent held before it started this process counts there, too.
status = Path("/proc/self/status")
if status.exists():
    print(int(status.read_text("ascii").partition("VmHWM:")[2].split()[0]) // 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(count, folder="", **options):
    """MiB that a prediction of `count` rows takes at most."""
    given = [str(count), str(folder), json.dumps(options)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *given],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout)


@pytest.mark.parametrize("odd", [0, 1])  # from a file, from a pipe
@pytest.mark.parametrize("rows", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_the_stream_itself_is_flat(rows, odd):
    assert peak(rows + odd) - peak(10_000 + odd) < LIMIT


@pytest.mark.slow
def test_a_model_is_flat_over_fifty_thousand_rows(tiny_classifier_folder):
    assert peak(50_000, tiny_classifier_folder) - peak(10_000, tiny_classifier_folder) < LIMIT


@pytest.mark.slow
def test_a_model_is_flat_over_a_million_rows(tiny_classifier_folder):
    assert peak(1_000_000, tiny_classifier_folder) - peak(10_000, tiny_classifier_folder) < LIMIT


@pytest.mark.slow
def test_a_model_that_writes_is_flat_over_a_hundred_thousand_rows(tmp_path):
    folder = write_generator(tmp_path)
    few, many = (peak(count, folder, max_new_tokens=4) for count in (10_000, 100_000))
    assert many - few < LIMIT


BEFORE_TORCH = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("MKL_DISABLE_FAST_MM"))

sys.meta_path.insert(0, Watch())
sys.argv = ["hfkit", *sys.argv[1:]]
from hfkit.__main__ import main
main()
"""


def before_torch(*arguments, **own):
    """What the environment says of MKL's buffers when torch is imported."""
    environment = {name: value for name, value in os.environ.items() if "MKL" not in name}
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_TORCH, *map(str, arguments)],
        env={**environment, "HF_HUB_OFFLINE": "1", **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


def test_buffers_are_bounded_before_torch_is_there(tiny_classifier_folder, tmp_path):
    command = ("predict", tiny_classifier_folder, "rain")
    assert before_torch(*command) == "1"
    assert before_torch(*command, MKL_DISABLE_FAST_MM="0") == "0"
    assert before_torch("score", write_generator(tmp_path), "rain") == "1"
    assert before_torch("embed", tiny_classifier_folder, "rain") == "1"
