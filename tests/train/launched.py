"""What the workers of test_launch.py do: leave in the way that the first argument names."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from hfkit.train.launch import finish, world
from hfkit.train.stopping import Stop, decided


def leave(code: int) -> None:
    rank, _, size = world()
    sys.exit(finish(code, lambda: print(f"rank {rank} of {size}: {code}", flush=True)))


def main(how: str) -> None:
    rank = world()[0]
    if how == "all":  # all find the same error; the second is a little later
        time.sleep(0.3 * rank)
        leave(2)
    if how == "one" and rank == 1:  # the other one waits for it, in vain
        leave(8)
    if how == "together" and rank == 0:
        leave(75)
    if how == "together":
        time.sleep(1)
        print("rank 1 has time to finish", flush=True)
        leave(75)
    if how == "silent" and rank == 1:
        os._exit(3)
    if how == "killed" and rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "killed":  # it misses the other one
        leave(137)
    if how in ("one", "silent"):
        time.sleep(60)
    if how == "meet":
        import torch

        torch.distributed.init_process_group("gloo")
        torch.distributed.barrier()
        Path(sys.argv[2], f"ready-{rank}").touch()
        while not Path(sys.argv[2], "seen").exists():
            time.sleep(0.01)
    if how == "signal":
        with Stop() as stop:
            Path(sys.argv[2], f"ready-{rank}").touch()
            while not (ending := decided(stop.votes())):
                time.sleep(0.01)
            time.sleep(0.5)  # saving
            leave(128 + (ending.signum or 0))


if __name__ == "__main__":
    main(sys.argv[1])
