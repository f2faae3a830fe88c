"""kill -9 at random moments, half of them aimed at a save; the same command must end the same.

The fork server imports torch once and runs no operation of it; each run is a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time

import pytest
from example_data import STEP_LOSSES, TOKEN_LOSSES
from training_cases import killable_run

from hfkit import sealing

KILLS_PER_RUN = 5
# What is saved and how a run goes on is one code for all losses.
KILLS = {"single-label": 20, **dict.fromkeys([*TOKEN_LOSSES, *STEP_LOSSES], 4)}


@pytest.fixture(scope="module")
def forks():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_cases"])
    with pytest.MonkeyPatch.context() as patch:  # the server finds modules by the environment only
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        context.Process(target=int).start()
    return context


def start(forks, folder, problem, announce=None):
    process = forks.Process(target=killable_run, args=(str(folder), problem, announce))
    process.start()
    return process


def finish(forks, folder, problem) -> str:
    process = start(forks, folder, problem)
    process.join(120)
    assert process.exitcode == 0
    return (folder / "result").read_text()


@pytest.mark.processes
@pytest.mark.parametrize(("problem", "kills"), KILLS.items())
def test_killed_runs_end_like_the_uninterrupted_one(tmp_path, forks, problem, kills):
    chance = random.Random(11)
    whole = tmp_path / "whole"
    whole.mkdir()
    finish(forks, whole, problem)  # the first one warms up caches
    (whole / "result").rename(whole / "first")
    begin = time.monotonic()
    for path in (whole / "checkpoints").iterdir():
        sealing.remove(path)
    expected = finish(forks, whole, problem)
    assert expected == (whole / "first").read_text()
    duration = time.monotonic() - begin

    killed = 0
    for number in range(kills):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        for _ in range(KILLS_PER_RUN):
            saving = forks.Event() if killed % 2 else None
            process = start(forks, folder, problem, saving)
            if saving:
                while process.is_alive() and not saving.wait(0.002):
                    pass  # a run that resumes at its last step has nothing to save
                time.sleep(chance.uniform(0, 0.03))
            else:
                time.sleep(chance.uniform(0, duration))
            process.kill()
            process.join()
            for sealed in (folder / "checkpoints").glob("step-*"):
                assert sealing.damage(sealed) is None
            if (folder / "result").exists():
                break
            killed += 1
        if not (folder / "result").exists():
            finish(forks, folder, problem)
        assert (folder / "result").read_text() == expected
        if killed >= kills:
            break
    assert killed >= kills
