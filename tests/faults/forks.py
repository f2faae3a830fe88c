"""Runs as forks of a server that has imported everything once: a start costs milliseconds.

The server runs no operation of torch, whose threads would not survive a fork.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PRELOAD = [
    "torch", "transformers.models.bert.modeling_bert", "hfkit.__main__", "hfkit.cli.app",
    "hfkit.commands.finetune", "hfkit.commands.predict", "hfkit.run.fitting",
    "hfkit.run.finishing", "hfkit.train.loop", "hfkit.infer.torch_engine", "killable",
]  # fmt: skip


@cache
def fork_server() -> Any:
    """The context whose processes are forks; one server for all tests of this process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with pytest.MonkeyPatch.context() as patch:  # the server finds modules by the environment only
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        context.Process(target=int).start()
    return context


@dataclass
class Fork:
    """A command line in a process of its own."""

    process: Any
    said: Path  # its stderr; the file appears when the command line takes over

    def begun(self) -> Fork:
        """Wait until it is the command line that runs."""
        while self.process.is_alive() and not self.said.exists():
            time.sleep(0.002)
        return self

    def wait(self, seconds: float = 120) -> int | None:
        """Wait for its end, so long at most; return its exit code, None if it is alive."""
        self.process.join(seconds)
        code: int | None = self.process.exitcode
        return code

    def end(self, number: int) -> None:
        """Send it a signal, if it is alive."""
        if self.process.is_alive():
            os.kill(self.process.pid, number)

    def catches(self, number: int) -> bool:
        """Whether the signal has a handler (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(mask, 16) >> (number - 1) & 1)

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self.said.read_text("utf-8") if self.said.exists() else ""


def start(arguments: list[str], said: Path, **faults: Any) -> Fork:
    """Start ``hfkit *arguments``; what it says goes to the file `said`. `faults` are those of
    `command`."""
    said.unlink(missing_ok=True)
    given = (list(map(str, arguments)), str(said))
    process = fork_server().Process(target=command, args=given, kwargs=faults)
    process.start()
    return Fork(process, said)


def command(
    arguments: list[str],
    said: str,
    *,
    announce: Any = None,
    pause: float = 0,
    largest: int = 0,
    last_move: int = 0,
    every_window: bool = False,
) -> None:
    """What the fork does.

    `announce` is an event, set whenever a checkpoint is begun, which then takes `pause` seconds
    longer; `largest` is the size in bytes that the system lets a file grow to; before it renames
    a folder for the `last_move`-th time it is killed; with `every_window` the journal of a
    prediction is written after each, where seconds stand for hours.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from hfkit.__main__ import main

    torch.set_num_threads(1)
    if announce is not None:
        announce_saves(announce, pause)
    if largest:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    if every_window:
        from hfkit.run import journal

        journal.EVERY = 0.0
    if last_move:
        die_before(last_move, ["rename"])
    sys.argv = ["hfkit", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    main()


def die_before(number: int, operations: Sequence[str]) -> None:
    """Let this process be killed before the `number`-th of these operations of `os`. A rename
    counts where it is of a folder."""
    numbers = itertools.count(1)

    def counted(name: str, operation: Any) -> Any:
        def call(path: Any, *rest: Any, **options: Any) -> Any:
            counts = name != "rename" or Path(path).is_dir()
            if counts and next(numbers) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(path, *rest, **options)

        return call

    for name in operations:
        setattr(os, name, counted(name, getattr(os, name)))


def announce_saves(event: Any, pause: float = 0) -> None:
    """Set the event whenever a checkpoint, or an export, is begun."""
    from hfkit import sealing

    staged = sealing.staged

    def announced(*arguments: Any, **options: Any) -> Any:
        event.set()
        time.sleep(pause)
        return staged(*arguments, **options)

    sealing.staged = announced


def until_saving(process: Any, event: Any, most: float = 60) -> None:
    """Wait for a save to begin, or for the end of the process: what resumes late has none left."""
    begin = time.monotonic()
    while process.is_alive() and not event.wait(0.002) and time.monotonic() - begin < most:
        pass
