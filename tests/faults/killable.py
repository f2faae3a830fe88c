"""The training that the forks of test_kills.py do: small, with everything in it that is saved."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from forks import announce_saves, die_before
from training_cases import fingerprint, make_parts, weight_sum

from hfkit.train.checkpoint import Checkpoints
from hfkit.train.launch import make_accelerator
from hfkit.train.loop import train

SETTINGS: dict[str, Any] = {
    "dropout": 0.1, "checkpoint_every": 2, "eval_every": 3, "epochs": 4, "patience": 9,
}  # fmt: skip


def killable_run(folder: str, case: dict[str, Any], announce: Any = None, rank: int = 0) -> None:
    """Train from the newest checkpoint to the end and leave the digest of the last and the best.

    `case` holds the problem, the precision, the number of checkpoints that are kept, the processes
    with the port where they meet, before which move or deletion to die, and settings.
    """
    case = dict(case)
    torch.set_num_threads(1)
    os.fsync = lambda descriptor: None  # slow, and only the death of the machine needs it
    precision, keep = case.pop("precision", "fp32"), case.pop("keep", 2)
    processes, port = case.pop("processes", 1), case.pop("port", 0)
    if last := case.pop("last", 0):
        die_before(last, ["rename", "unlink", "rmdir"])
    if processes > 1:
        os.environ |= {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    if announce is not None:
        announce_saves(announce)
    place = Path(folder)
    parts = make_parts(
        place / "checkpoints",
        accelerator=make_accelerator("cpu", precision, processes),
        parts={"checkpoints": Checkpoints(place / "checkpoints", keep)},
        **SETTINGS | case,
    )
    parts = replace(parts, evaluate=lambda: {"score": weight_sum(parts.model) % 1.0}, best="score")
    *_, last = train(parts, parts.checkpoints.newest())
    result = f"{fingerprint(parts.model)} {last.step} {last.reason} {last.best_step}"
    parts.checkpoints.load_model(last.best_step, parts.model)
    (place / f"result.part-{rank}").write_text(f"{result} {fingerprint(parts.model)}")
    if processes > 1:
        parts.accelerator.wait_for_everyone()
        torch.distributed.destroy_process_group()
    (place / f"result.part-{rank}").replace(place / f"result-{rank}")
