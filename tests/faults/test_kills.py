"""kill -9 at random moments, half of them aimed at a save; the same command must end the same.

The loop reads no data in workers of their own: there is nothing to kill beside the processes that
train.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from example_data import STEP_LOSSES, TOKEN_LOSSES
from faults.conftest import FULL, counts
from forks import fork_server, start, until_saving
from killable import killable_run
from listening import listening
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit import hashing, sealing
from hfkit.train.checkpoint import Checkpoints

pytestmark = pytest.mark.processes

KILLS_PER_RUN = 4
# What is saved and how a run goes on is one code for all losses.
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (counts(6, 100), {}),
    "accumulation": (counts(4, 60), {"micro_batch": 8}),
    "bf16": (counts(4, 60), {"precision": "bf16"}),
    "lora": (counts(4, 40), {"lora": "r=4,dropout=0.1", "micro_batch": 8}),
    "one-kept": (counts(4, 40), {"keep": 1, "micro_batch": 8}),
    **{
        problem: (counts(2, 8), {"problem": problem, "micro_batch": 8})
        for problem in ((*TOKEN_LOSSES, *STEP_LOSSES) if FULL else ("tokens", "graded"))
    },
}


class Killed:
    """Counts kills, and the checkpoints that are damaged after each."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.kills = self.aimed = self.damaged = self.looked_at = self.completed = 0

    def wait(self, process: Any, saving: Any, duration: float) -> None:
        """Let a moment pass: anywhere in the run, or close behind the beginning of a save."""
        if saving:
            until_saving(process, saving)
            time.sleep(self.chance.uniform(0, 0.03))
        else:
            time.sleep(self.chance.uniform(0, duration))

    def look(self, checkpoints: Path) -> None:
        """Check every checkpoint that has a final name."""
        for sealed in checkpoints.glob("step-*"):
            self.looked_at += 1
            self.damaged += sealing.damage(sealed) is not None

    def figures(self) -> dict[str, int]:
        return {
            "kills": self.kills, "aimed": self.aimed, "checkpoints_looked_at": self.looked_at,
            "damaged": self.damaged, "runs_completed_to_the_same_bits": self.completed,
        }  # fmt: skip


def begin(folder: Path, case: dict[str, Any], saving: Any = None, rank: int = 0) -> Any:
    process = fork_server().Process(target=killable_run, args=(str(folder), case, saving, rank))
    process.start()
    return process


def finish(folder: Path, case: dict[str, Any]) -> str:
    process = begin(folder, case)
    process.join(120)
    assert process.exitcode == 0
    return (folder / "result-0").read_text()


@pytest.mark.parametrize("name", CASES)
def test_killed_runs_end_like_the_uninterrupted_one(tmp_path, name, measured):
    kills, case = CASES[name]
    whole = tmp_path / "whole"
    whole.mkdir()
    first = finish(whole, case)  # it warms up caches
    for path in (whole / "checkpoints").iterdir():
        sealing.remove(path)
    since = time.monotonic()
    expected = finish(whole, case)
    duration = time.monotonic() - since
    assert expected == first

    killed = Killed(seed=11)
    number = 0
    while killed.kills < kills:
        number += 1
        assert number < 20 + kills
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        for _ in range(KILLS_PER_RUN):
            saving = fork_server().Event() if killed.kills % 2 else None
            process = begin(folder, case, saving)
            killed.wait(process, saving, duration)
            process.kill()
            process.join()
            killed.look(folder / "checkpoints")
            if (folder / "result-0").exists():
                break
            killed.kills += 1
            killed.aimed += saving is not None
            if killed.kills == kills:
                break
        if not (folder / "result-0").exists():
            finish(folder, case)
        assert (folder / "result-0").read_text() == expected
        killed.completed += 1
    assert killed.damaged == 0
    measured("T1", f"kill -9 of a training: {name}", **killed.figures())


def test_one_kept_checkpoint_is_never_the_last_to_go(tmp_path, measured):
    """At whatever move or deletion of a training the kill comes: a good checkpoint is there from
    the first one on, and so is the best."""
    kills = lost = 0
    ended = False
    while not ended:
        folder = tmp_path / f"run-{kills}"
        folder.mkdir()
        last = 1 + kills * counts(7, 1)
        process = begin(folder, {"keep": 1, "micro_batch": 8, "last": last})
        process.join(120)
        ended = process.exitcode == 0
        assert ended or process.exitcode == -signal.SIGKILL
        kills += not ended
        checkpoints = Checkpoints(folder / "checkpoints", keep=1)
        begun = list(checkpoints.folder.glob("step-*")) + list(checkpoints.folder.glob(".gone-*"))
        lost += bool(begun) and checkpoints.newest() is None  # it looks for its best, too
    assert kills >= counts(5, 50)
    assert lost == 0
    measured("T10", "kill -9 before move or deletion n of a training that keeps one checkpoint, "
             "n = 1, 2, 3 …", kills=kills, without_a_good_or_the_best_checkpoint=lost)  # fmt: skip


def together(folder: Path, case: dict[str, Any], saving: Any = None) -> list[Any]:
    """Start a process for each rank; they meet at a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        case = {**case, "processes": 2, "port": probe.getsockname()[1]}
    return [begin(folder, case, saving, rank) for rank in range(2)]


def test_one_of_two_processes_is_killed(tmp_path, measured):
    case = {"micro_batch": 4}
    whole = tmp_path / "whole"
    for folder in (whole, tmp_path / "run"):
        folder.mkdir()
    since = time.monotonic()
    for process in together(whole, case):
        process.join(120)
        assert process.exitcode == 0
    duration = time.monotonic() - since
    expected = [(whole / f"result-{rank}").read_text() for rank in range(2)]

    killed = Killed(seed=12)
    number = 0
    folder = tmp_path / "run"
    while killed.kills < counts(3, 50):
        saving = fork_server().Event() if killed.kills % 2 else None
        processes = together(folder, case, saving)
        victim = killed.chance.randrange(2)
        killed.wait(processes[0], saving, duration)
        processes[victim].kill()
        processes[victim].join()
        processes[1 - victim].join(0.05)
        processes[1 - victim].kill()  # what the launcher does, a little later
        processes[1 - victim].join()
        killed.look(folder / "checkpoints")
        if all((folder / f"result-{rank}").exists() for rank in range(2)):
            found = [(folder / f"result-{rank}").read_text() for rank in range(2)]
            assert found == expected
            killed.completed += 1
            number += 1
            folder = tmp_path / f"run-{number}"
            folder.mkdir()
        else:
            killed.kills += 1
            killed.aimed += saving is not None
    for process in together(folder, case):
        process.join(120)
        assert process.exitcode == 0
    assert [(folder / f"result-{rank}").read_text() for rank in range(2)] == expected
    killed.completed += 1
    assert killed.damaged == 0
    measured("T14", "kill -9 of one of two processes", **killed.figures())


def arguments_for(folder: Path, out: Path) -> list[str]:
    return [
        "finetune", str(folder / "train.csv"), "-m", str(folder / "base"), "-o", str(out),
        "--validation", str(folder / "validation.csv"), "--epochs", "6", "--lr", "5e-3",
        "--batch-size", "8", "--micro-batch", "4", "--checkpoint-every", "3", "--eval-every", "7",
        "--device", "cpu", "-q",
    ]  # fmt: skip


def test_killed_commands_end_with_the_weights_of_the_uninterrupted_one(tmp_path, measured):
    write_base_model(tmp_path / "base")
    write_csv(tmp_path / "train.csv", toy_rows(64))
    write_csv(tmp_path / "validation.csv", toy_rows(16, seed=5))
    said = tmp_path / "said"
    assert start(arguments_for(tmp_path, tmp_path / "warm-up"), said).wait() == 0
    since = time.monotonic()
    assert start(arguments_for(tmp_path, tmp_path / "whole"), said).wait() == 0
    duration = time.monotonic() - since
    expected = hashing.sha256(tmp_path / "whole" / "model.safetensors")

    killed = Killed(seed=4)
    number = 0
    while killed.kills < counts(5, 40):
        number += 1
        out = tmp_path / f"run-{number}"
        for _ in range(KILLS_PER_RUN):
            saving = fork_server().Event() if killed.kills % 2 else None
            fork = start(arguments_for(tmp_path, out), said, announce=saving)
            killed.wait(fork.process, saving, duration)
            if fork.process.is_alive():
                killed.kills += 1
                killed.aimed += saving is not None
            fork.end(signal.SIGKILL)
            assert fork.wait() in (0, -9)
            killed.look(out / "checkpoints")
            if killed.kills == counts(5, 40):
                break
        assert start(arguments_for(tmp_path, out), said).wait() == 0, said.read_text()
        assert hashing.sha256(out / "model.safetensors") == expected
        assert sealing.damage(out) is None
        assert not (out / "checkpoints").exists()
        killed.completed += 1
    assert killed.damaged == 0
    measured("T2", "kill -9 of `hfkit finetune`, then the same command", **killed.figures())


@pytest.mark.slow
def test_an_export_that_is_replaced_is_there_whatever_moment_the_kill_comes(tmp_path, measured):
    model = write_classifier(tmp_path / "model")
    said = tmp_path / "said"
    export = ["export", str(model), "-q"]
    predict = ["predict", str(model), "some rain", "--engine", "onnx"]
    assert start(export, said).wait() == 0, said.read_text()
    kills = put_back = 0
    while True:
        fork = start([*export, "--overwrite"], said, last_move=kills + 1)
        if fork.wait() == 0:
            break
        assert fork.wait() == -signal.SIGKILL
        kills += 1
        between = not (model / "onnx").exists()
        assert start(predict, said).wait() == 0, said.read_text()
        assert (
            "a kill came while it was replaced; the old one is back" in said.read_text()
        ) == between
        assert sealing.damage(model / "onnx", manifest="export.json") is None
        put_back += between
    assert kills >= 3 and put_back == 1
    assert [path.name for path in model.iterdir() if "onnx" in path.name] == ["onnx"]
    measured("T1", "kill -9 before `export --overwrite` renames folder n, n = 1, 2, 3 …",
             kills=kills, put_back=put_back, exports_lost=0)  # fmt: skip


LEAVING = """
import os, pathlib, threading, time

def leave():
    while not list(pathlib.Path(os.environ["RUN"]).glob("checkpoints/step-*")):
        time.sleep(0.02)
    os._exit(3)

if os.environ.get("RANK") == "1":
    threading.Thread(target=leave, daemon=True).start()
"""


@pytest.mark.slow
def test_a_worker_that_ends_without_a_word_is_told_of_in_one_line(tmp_path, measured):
    write_base_model(tmp_path / "base")
    write_csv(tmp_path / "train.csv", toy_rows(64))
    write_csv(tmp_path / "validation.csv", toy_rows(16, seed=5))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LEAVING)
    out = tmp_path / "run"
    arguments = [*arguments_for(tmp_path, out), "--num-processes", "2", "--epochs", "9999"]
    paths = [str(tmp_path / "site"), *filter(None, sys.path)]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "RUN": str(out), "OMP_NUM_THREADS": "1"}
    child = subprocess.run(
        [sys.executable, "-m", "hfkit", *arguments], capture_output=True, text=True, timeout=100,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert child.returncode == 5, child.stderr
    (line,) = child.stderr.splitlines()
    assert "hfkit: error: a worker process ended with code 3; the same command continues" in line
    assert not any(map(sealing.damage, (out / "checkpoints").glob("step-*")))
    measured("T14", "a worker of `finetune --num-processes 2` ends with code 3 and says nothing",
             exit=5, lines=1)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc to find the workers in")
def test_a_killed_worker_ends_the_command_with_its_code_and_one_line(tmp_path, measured):
    write_base_model(tmp_path / "base")
    write_csv(tmp_path / "train.csv", toy_rows(64))
    write_csv(tmp_path / "validation.csv", toy_rows(16, seed=5))
    out = tmp_path / "run"
    arguments = [*arguments_for(tmp_path, out), "--num-processes", "2", "--epochs"]
    child = subprocess.Popen(
        [sys.executable, "-m", "hfkit", *arguments, "9999"], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not list(out.glob("checkpoints/step-*")) and child.poll() is None:
        time.sleep(0.05)
    found = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    workers = [pid for pid in found if b"hfkit" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    listeners = listening(child.pid)
    assert len(listeners) >= 3 and all(address.is_loopback for address in listeners)
    os.kill(int(workers[1]), signal.SIGKILL)
    _, stderr = child.communicate(timeout=100)
    assert child.returncode == 137, stderr
    (line,) = stderr.splitlines()
    assert "a process of this run was killed (signal 9); the same command continues" in line
    assert not any(map(sealing.damage, (out / "checkpoints").glob("step-*")))
    measured("T14", "kill -9 of a worker of `finetune --num-processes 2`", exit=137, lines=1)
    measured("M6", "sockets that `finetune --num-processes 2` waits at", sockets=len(listeners),
             that_other_machines_reach=0)  # fmt: skip
