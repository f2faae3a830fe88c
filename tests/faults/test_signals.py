"""SIGTERM and Ctrl-C at any moment: exit code 143 or 130, one line, the same command goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.conftest import counts
from forks import fork_server, start, until_saving
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit import hashing, sealing

pytestmark = pytest.mark.processes

BOTH = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_base_model(folder / "base", num_hidden_layers=1)
    write_classifier(folder / "classifier", num_hidden_layers=1)
    write_csv(folder / "rows.csv", toy_rows(64))
    write_csv(folder / "many.csv", toy_rows(30_000))
    since = time.monotonic()
    assert start(finetune(folder, folder / "warm-up"), folder / "said").wait() == 0
    since = time.monotonic()
    assert start(finetune(folder, folder / "whole"), folder / "said").wait() == 0
    return folder, time.monotonic() - since


def finetune(files: Path, out: Path, epochs: int = 5) -> list[str]:
    return [
        "finetune", str(files / "rows.csv"), "-m", str(files / "base"), "-o", str(out), "-q",
        "--validation", str(files / "rows.csv"), "--epochs", str(epochs), "--batch-size", "8",
        "--checkpoint-every", "3", "--device", "cpu", "--max-length", "16",
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "code"), BOTH)
def test_a_signal_at_any_moment(tmp_path, files, number, code, measured):
    folder, duration = files
    expected = hashing.sha256(folder / "whole" / "model.safetensors")
    chance = random.Random(number)
    sent = aimed = tracebacks = half_trained = completed = 0
    said = tmp_path / "said"
    while sent < counts(4, 50):
        out = tmp_path / f"run-{sent}"
        saving = fork_server().Event() if sent % 3 == 1 else None
        fork = start(finetune(folder, out), said, announce=saving).begun()
        if saving:
            until_saving(fork.process, saving)
            time.sleep(chance.uniform(0, 0.02))
        else:
            time.sleep(chance.uniform(0.02, 0.8 * duration))
        fork.end(number)
        found = fork.wait()
        tracebacks += "Traceback" in fork.stderr
        leaving = found == -number and not fork.stderr and sealing.damage(out) is None
        if found == 0 or leaving:  # it was done before the signal was looked at
            completed += 1
            duration *= 0.8  # the machine is less busy than when it was measured
            assert completed < 30
            continue
        sent += 1
        aimed += saving is not None
        assert found == code, fork.stderr
        assert fork.stderr.count("\n") == 1, fork.stderr
        if (out / sealing.MANIFEST).exists():  # it came between the seal and the end
            half_trained += hashing.sha256(out / "model.safetensors") != expected
        assert start(finetune(folder, out), said).wait() == 0
        assert hashing.sha256(out / "model.safetensors") == expected
    assert (tracebacks, half_trained) == (0, 0)
    promise, name = ("T6", "SIGTERM") if number == signal.SIGTERM else ("T7", "SIGINT")
    measured(promise, f"{name} at a random moment of `finetune`", signals=sent, during_a_save=aimed,
             tracebacks=tracebacks, models_of_half_a_training=half_trained, ended_with=code,
             same_weights_afterwards=sent)  # fmt: skip


@pytest.mark.parametrize(("number", "code"), BOTH)
def test_a_signal_while_it_starts(tmp_path, files, number, code, measured):
    """A real start, which imports for seconds. Python itself is given a moment to begin."""
    folder, _ = files
    chance = random.Random(number)
    sent, latest = 0, 4.0
    while sent < counts(1, 12):
        out = tmp_path / f"run-{sent}-{latest}"
        child = subprocess.Popen(
            [sys.executable, "-m", "hfkit", *finetune(folder, out)], stderr=subprocess.PIPE,
            text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        time.sleep(chance.uniform(0.3, latest))
        child.send_signal(number)
        _, stderr = child.communicate(timeout=100)
        if child.returncode == 0:  # it was done before: this machine is a fast one
            latest *= 0.7
            assert latest > 0.5
            continue
        sent += 1
        assert child.returncode == code, stderr
        assert stderr.count("\n") == 1 and "Traceback" not in stderr, stderr
    promise, name = ("T6", "SIGTERM") if number == signal.SIGTERM else ("T7", "SIGINT")
    measured(promise, f"{name} in the seconds of the start", signals=sent, tracebacks=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc to look at the handlers in")
def test_the_second_signal_ends_it_at_once(tmp_path, files, number):
    folder, _ = files
    saving = fork_server().Event()
    out = tmp_path / "run"
    fork = start(finetune(folder, out), tmp_path / "said", announce=saving, pause=60)
    until_saving(fork.process, saving)
    fork.end(number)
    while fork.catches(number):  # the first one is being taken
        time.sleep(0.01)
    assert fork.process.is_alive()
    fork.end(number)
    assert fork.wait(20) == -number  # a shell shows 143 and 130
    assert fork.stderr == ""
    assert not any(map(sealing.damage, (out / "checkpoints").glob("step-*")))


@pytest.mark.parametrize(("number", "code"), BOTH)
def test_a_stopped_predict_says_where_its_rows_are(tmp_path, files, number, code):
    folder, _ = files
    output = tmp_path / "answers.jsonl"
    part = tmp_path / "answers.jsonl.part"
    arguments = ["predict", str(folder / "classifier"), str(folder / "many.csv"), "-o", str(output)]
    fork = start(arguments, tmp_path / "said")
    begin = time.monotonic()
    while not (part.exists() and part.stat().st_size) and time.monotonic() - begin < 60:
        time.sleep(0.005)
    fork.end(number)
    assert fork.wait() == code, fork.stderr
    assert "Traceback" not in fork.stderr
    assert not output.exists()
    assert f"not finished; the rows so far are in {output}.part" in fork.stderr
    assert fork.stderr.splitlines()[-1].startswith("hfkit: error: ")
    assert part.read_bytes().endswith(b"\n")
