"""Rows answered by two processes: what one answers, in the same order; a death is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from toys import read_jsonl, toy_rows, write_csv

from hfkit.config import PredictConfig
from hfkit.errors import ResourceError
from hfkit.run.opening import open_run
from hfkit.run.predicting import make_predictor

pytestmark = pytest.mark.processes


def hfkit(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "hfkit", *map(str, arguments)], capture_output=True, text=True,
        check=False, timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def test_two_processes_answer_what_one_answers(tmp_path, tiny_classifier_folder):
    source = write_csv(tmp_path / "rows.csv", toy_rows(33))
    found = []
    for count in (1, 2):
        output = tmp_path / f"{count}.jsonl"
        done = hfkit("predict", tiny_classifier_folder, source, "-o", output, "--scores",
                     "--batch-size", 4, "--num-processes", count)  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(read_jsonl(output))
    one, two = found
    assert len(one) == len(two) == 33
    for a, b in zip(one, two, strict=True):
        first, second = a.pop("prediction"), b.pop("prediction")
        assert a == b and first["label"] == second["label"]
        scores = [list(answer["scores"].values()) for answer in (first, second)]
        np.testing.assert_allclose(*scores, atol=1e-5)


def test_a_worker_that_is_killed_ends_with_an_error(tiny_classifier_folder):
    config = PredictConfig(model=str(tiny_classifier_folder), num_processes=2, batch_size=1)
    predictor = make_predictor(open_run(config.model, config), config)
    rows = [{"text": f"row {number}"} for number in range(8)]
    assert len(predictor.predict(rows)) == 8
    process, _ = worker = predictor.engine._idle.get()
    predictor.engine._idle.put(worker)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match="ended with code -9"):
        predictor.predict(rows)


def test_under_torchrun_it_is_refused(tmp_path, tiny_classifier_folder):
    source = write_csv(tmp_path / "rows.csv", toy_rows(3))
    done = hfkit("predict", tiny_classifier_folder, source, RANK="0", WORLD_SIZE="2")
    assert done.returncode == 2 and "--num-processes" in done.stderr
