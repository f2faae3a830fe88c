"""Rows answered by two processes: what one answers, in the same order; a death is an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys import read_jsonl, toy_rows, write_classifier, write_csv

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
    assert predictor.engine.unpadded, "batches are cut in another way than for one process"
    process, _ = worker = predictor.engine._idle.get()
    predictor.engine._idle.put(worker)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match="ended with code -9"):
        predictor.predict(rows)


def workers_of(process):
    """The numbers of a command's worker processes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]  # fmt: skip


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc to find the workers in")
def test_a_killed_worker_ends_the_command_with_one_line(tiny_classifier_folder):
    child = subprocess.Popen(
        [sys.executable, "-m", "hfkit", "predict", str(tiny_classifier_folder), "-",
         "--num-processes", "2", "--format", "jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    row = json.dumps({"text": "a late parcel"}) + "\n"
    try:
        child.stdin.write(row)
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["prediction"]
        workers = workers_of(child)
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        _, stderr = child.communicate(row * 20, timeout=60)
    finally:
        child.kill()
    assert child.returncode == 4
    assert stderr.count("hfkit: error: a worker process ended with code -9") == 1
    assert "Traceback" not in stderr


def test_rows_that_cannot_be_answered_stand_in_their_place(tmp_path, tiny_classifier_folder):
    rows = toy_rows(21)
    lines = [json.dumps({"text": row["text"]}) for row in rows]
    for broken in (5, 12):
        lines[broken] = "{"
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(lines) + "\n")
    found = []
    for count in (1, 2):
        output = tmp_path / f"{count}.jsonl"
        done = hfkit("predict", tiny_classifier_folder, source, "-o", output,
                     "--batch-size", 4, "--num-processes", count)  # fmt: skip
        found.append((done.returncode, done.stderr, read_jsonl(output)))
    (code, said, one), (code_two, said_two, two) = found
    assert code == code_two, (said, said_two)
    errors = [number for number, row in enumerate(one) if row.get("error")]
    assert errors == [number for number, row in enumerate(two) if row.get("error")] == [5, 12]
    labels = [[row["prediction"]["label"] for row in rows if not row.get("error")]
              for rows in (one, two)]  # fmt: skip
    assert labels[0] == labels[1] and len(labels[0]) == 19


def test_fewer_rows_than_processes(tmp_path, tiny_classifier_folder):
    source = write_csv(tmp_path / "rows.csv", toy_rows(1))
    done = hfkit("predict", tiny_classifier_folder, source, "--num-processes", 3)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2  # the header and the row


def test_notes_of_workers_are_said_once(tmp_path):
    folder = write_classifier(tmp_path / "model", "albert")
    source = write_csv(tmp_path / "rows.csv", toy_rows(9))
    done = hfkit("predict", folder, source, "--num-processes", 2)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("computing with padding") == 1


def test_under_torchrun_it_is_refused(tmp_path, tiny_classifier_folder):
    source = write_csv(tmp_path / "rows.csv", toy_rows(3))
    done = hfkit("predict", tiny_classifier_folder, source, RANK="0", WORLD_SIZE="2")
    assert done.returncode == 2 and "--num-processes" in done.stderr
