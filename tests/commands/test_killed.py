"""kill -9 at random moments of `hfkit finetune`, then the same command: bit-identical weights.

A fork server imports everything once; each command is a fork of it.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from toys import toy_rows, write_base_model, write_csv

from hfkit import sealing

PRELOAD = ["torch", "transformers.models.bert.modeling_bert", "hfkit.run.fitting",
           "hfkit.run.finishing", "hfkit.train.loop", "hfkit.infer.torch_engine", "hfkit.cli.app",
           "hfkit.commands.finetune"]  # fmt: skip
KILLS = 20


def command(arguments: list[str]) -> None:
    """One command line, in a process of its own."""
    from hfkit.cli.app import run

    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    sys.exit(run(arguments))


@pytest.fixture(scope="module")
def server() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        context.Process(target=int).start()
    return context


def arguments_for(folder: Path, out: Path) -> list[str]:
    return [
        "finetune", str(folder / "train.csv"), "-m", str(folder / "base"), "-o", str(out),
        "--validation", str(folder / "validation.csv"), "--epochs", "6", "--lr", "5e-3",
        "--batch-size", "8", "--micro-batch", "4", "--checkpoint-every", "3", "--eval-every", "7",
        "--device", "cpu", "-q",
    ]  # fmt: skip


def run_whole(server: Any, arguments: list[str]) -> float:
    begin = time.monotonic()
    process = server.Process(target=command, args=(arguments,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return time.monotonic() - begin


@pytest.mark.processes
def test_killed_commands_end_with_the_weights_of_the_uninterrupted_one(
    server: Any, tmp_path: Path
) -> None:
    write_base_model(tmp_path / "base")
    write_csv(tmp_path / "train.csv", toy_rows(64))
    write_csv(tmp_path / "validation.csv", toy_rows(16, seed=5))
    run_whole(server, arguments_for(tmp_path, tmp_path / "warm-up"))
    duration = run_whole(server, arguments_for(tmp_path, tmp_path / "whole"))
    expected = sealing.sha256(tmp_path / "whole" / "model.safetensors")

    chance = random.Random(4)
    killed = number = 0
    while killed < KILLS:
        number += 1
        out = tmp_path / f"run-{number}"
        for _ in range(5):
            process = server.Process(target=command, args=(arguments_for(tmp_path, out),))
            process.start()
            process.join(chance.uniform(0.02, 1.0) * duration)
            if process.exitcode is None:
                process.kill()
                process.join()
                killed += 1
            assert process.exitcode in (0, -9)
            for sealed in (out / "checkpoints").glob("step-*"):
                assert sealing.damage(sealed) is None
        run_whole(server, arguments_for(tmp_path, out))
        assert sealing.sha256(out / "model.safetensors") == expected
        assert sealing.damage(out) is None
        assert not (out / "checkpoints").exists()
    assert number < 20
