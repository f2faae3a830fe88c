"""One run to a folder: of several starts one wins; a finished run is left as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from faults.conftest import counts
from forks import start
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit import hashing, sealing
from hfkit.cli.app import run as command_line
from hfkit.run.output import locked

# The command, and whether torch was imported for it.
PROGRAM = """
import sys
from hfkit.cli.app import run
code = run(sys.argv[1:])
print("torch" in sys.modules)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_base_model(folder / "base", num_hidden_layers=1)
    write_csv(folder / "rows.csv", toy_rows(40))
    return folder


def finetune(files, out, *more: object) -> list[str]:
    return [
        "finetune", str(files / "rows.csv"), "-m", str(files / "base"), "-o", str(out), "-q",
        "--validation", str(files / "rows.csv"), "--batch-size", "8", "--device", "cpu",
        "--max-length", "16", *map(str, more),
    ]  # fmt: skip


def fresh(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.processes
def test_of_several_starts_one_wins(tmp_path, files, measured):
    starts = refused = without_torch = 0
    for together in ((3,), (2, 5, 10))[counts(0, 1)]:
        out = tmp_path / f"run-{together}"
        arguments = finetune(files, out, "--epochs", 20_000)
        children = [fresh(*arguments) for _ in range(together)]
        losers = set()
        begin = time.monotonic()
        while len(losers) < together - 1 and time.monotonic() - begin < 200:
            losers = {child for child in children if child.poll() is not None}
            time.sleep(0.05)
        (winner,) = set(children) - losers
        while not list(out.glob("checkpoints/step-*")) and winner.poll() is None:
            time.sleep(0.05)
        winner.send_signal(signal.SIGTERM)
        _, stderr = winner.communicate(timeout=100)
        assert (winner.returncode, "the same command continues" in stderr) in (
            (143, True),
            (-15, False),
        )
        for child in losers:
            stdout, stderr = child.communicate(timeout=10)
            assert child.returncode == 6, stderr
            assert f"(pid {winner.pid}) is writing here" in stderr
            assert stderr.count("\n") == 1
            without_torch += stdout == "False\n"
        starts += together
        refused += len(losers)
    assert refused == without_torch
    measured("T8", "starts at once on one folder", starts=starts, refused_with_6=refused,
             before_torch_is_imported=without_torch)  # fmt: skip


def test_several_processes_find_the_folder_in_use_before_they_start(tmp_path, files, capfd):
    with locked(tmp_path / "run"):
        assert command_line(finetune(files, tmp_path / "run", "--num-processes", 2)) == 6
    (line,) = capfd.readouterr().err.splitlines()
    assert "is writing here; wait for it, or use another -o" in line


def test_two_exports_into_one_folder(tmp_path, capfd):
    write_classifier(tmp_path / "model", num_hidden_layers=1)
    with locked(tmp_path / "model"):
        assert command_line(["export", str(tmp_path / "model"), "-q"]) == 6
    assert "is writing here; wait for it\n" in capfd.readouterr().err


@pytest.mark.processes
def test_a_finished_run_is_seen_without_torch_and_nothing_is_written(tmp_path, files, measured):
    out = tmp_path / "run"
    arguments = finetune(files, out, "--epochs", 1)
    assert start(arguments, tmp_path / "said").wait() == 0
    before = {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}
    child = fresh(*arguments)
    stdout, stderr = child.communicate(timeout=100)
    assert (child.returncode, stdout, stderr) == (0, f"{out}\nFalse\n", "")
    assert before == {path: path.stat().st_mtime_ns for path in [out, *out.rglob("*")]}
    measured("T13", "a finished run started again", files=len(before), changed=0, exit=0,
             torch_imported="no")  # fmt: skip


def test_overwrite_moves_and_never_mixes(tmp_path, files, capfd, measured):
    out = tmp_path / "run"
    assert command_line(finetune(files, out, "--epochs", 2, "--max-time", "0.001s")) == 75
    before = {path.relative_to(out): hashing.sha256(path) for path in out.rglob("*.json")}
    other = finetune(files, out, "--epochs", 1, "--seed", 3)
    assert command_line(other) == 2
    assert command_line([*other, "--overwrite"]) == 0
    aside = tmp_path / "run.old-1"
    assert {p.relative_to(aside): hashing.sha256(p) for p in aside.rglob("*.json")} == before
    assert sealing.damage(out) is None
    assert not (out / "checkpoints").exists()
    measured("T9", "another run in a used folder", refused=1, moved_by_overwrite=1, mixed=0)
    capfd.readouterr()
