"""The process of one contestant, or in a quick run its thread.

A job is a JSON object: `function` names the contestant, the rest is what it reads. Commands come on
standard input and reports go to standard output, one JSON object a line; whatever a library prints
goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from queue import Queue
from typing import Any, TextIO

from benchmarks.speed.pace import Channel, Ended, Pace, peak_mib


class Pipe:
    """A channel through the standard streams."""

    def __init__(self, commands: TextIO, reports: TextIO) -> None:
        self.commands, self.reports = commands, reports

    def receive(self) -> dict[str, Any]:
        line = self.commands.readline()
        return json.loads(line) if line else {"do": "stop"}

    def send(self, message: Mapping[str, Any]) -> None:
        self.reports.write(json.dumps(message) + "\n")
        self.reports.flush()


class Queues:
    """A channel between threads."""

    def __init__(self) -> None:
        self.commands: Queue[dict[str, Any]] = Queue()
        self.reports: Queue[Mapping[str, Any]] = Queue()

    def receive(self) -> dict[str, Any]:
        return self.commands.get()

    def send(self, message: Mapping[str, Any]) -> None:
        self.reports.put(message)


def work(job: dict[str, Any], channel: Channel) -> None:
    """Let a contestant do its rounds, and report its memory; or why it cannot."""
    module, _, name = job["function"].partition(":")
    try:
        getattr(import_module(module), name)(Pace(channel, job["device"]), job)
    except Ended:
        pass
    except Exception as error:  # a contestant that is not there is a result, too
        said = " ".join(str(error).split()) or type(error).__name__
        channel.send({"failed": said[:200]})
        return
    channel.send({"peak_mib": peak_mib(job["device"])})


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if hasattr(os, "sched_setaffinity"):  # before any library counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["threads"]])
    work(job, Pipe(sys.stdin, reports))
    reports.flush()
    os._exit(0)  # threads that a library left behind would hold the next contestants up


if __name__ == "__main__":
    main()
