"""All contestants of a line started, then measured in turns."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.speed.worker import Queues, work
from hfkit import WAITING_THREADS
from hfkit.processor import NO_BUFFERS

log = logging.getLogger(__name__)

Job = dict[str, Any]
Round = dict[str, Any]  # wall, cpu, peak_mib, kernels; of the limit flops


@dataclass
class Turns:
    """What came of it, by contestant and part; `failed` says who could not take part, and why."""

    rounds: dict[str, dict[str, list[Round]]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)
    kernels: dict[str, dict[str, list[dict]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def seconds(self, name: str, part: str, clock: str = "wall") -> list[float]:
        """What each round took, or what else it tells by that name."""
        return [round[clock] for round in self.rounds[name][part]]


class Contestant:
    """A process that does rounds on command."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self.file = tempfile.NamedTemporaryFile("w", suffix=".json")  # noqa: SIM115
        json.dump(job, self.file)
        self.file.flush()
        self.noise = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.worker", self.file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.noise,
            text=True,
            env=environment(job["threads"]),
        )

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"failed": self._last_words()}
        return self.report()

    def report(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": self._last_words()}

    def end(self) -> None:
        if self.process.poll() is None:
            self.ask({"do": "stop"})
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.file.close()
        self.noise.close()

    def _last_words(self) -> str:
        self.process.wait()
        self.noise.seek(0)
        lines = self.noise.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process ended with {self.process.returncode}: {(lines or [''])[-1][:200]}"


class Inside:
    """The same as a thread of this process: quick, and good for nothing but to see that it runs."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self.channel = Queues()
        self.thread = Thread(target=work, args=(job, self.channel), daemon=True)
        self.thread.start()

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        self.channel.commands.put(dict(command))
        return self.report()

    def report(self) -> dict[str, Any]:
        return dict(self.channel.reports.get(timeout=300))

    def end(self) -> None:
        if self.thread.is_alive():
            self.ask({"do": "stop"})
        self.thread.join(timeout=60)


def measure(
    jobs: Mapping[str, Job],
    parts: Sequence[str],
    rounds: int,
    *,
    inside: bool,
    profile: bool,
    compared: Sequence[str] = (),
) -> Turns:
    """Start all, warm each up with a whole round, then `rounds` rounds in turns.

    What the sides are compared by is asked for after them, for the parts in `compared`; a profile
    comes last.
    """
    found = Turns()
    started: list[Contestant | Inside] = []
    # Processes begin together; threads, which share what they import, one after another.
    processes = [] if inside else [Contestant(*job) for job in jobs.items()]
    for one in processes or (Inside(*job) for job in jobs.items()):
        name, report = one.name, one.report()
        if "failed" in report:
            found.failed[name] = report["failed"]
            one.end()
            continue
        found.lengths.update(report.get("lengths", {}))
        found.rounds[name] = {part: [] for part in parts}
        found.outputs[name], found.kernels[name] = {}, {}
        started.append(one)
    for part in parts:
        for number in range(rounds + 1):
            for one in started:
                _turn(found, one, part, counts=number > 0)
                log.info("%s: %s, round %d is done", one.name, part, number)
    for part in compared:
        for one in started:
            if one.name not in found.failed:
                report = one.ask({"do": "outputs", "part": part})
                found.outputs[one.name][part] = report.get("outputs")
    for part in parts if profile else ():
        for one in started:
            if one.name not in found.failed:
                log.info("%s: %s, a profile is taken", one.name, part)
                report = one.ask({"do": "profile", "part": part})
                found.kernels[one.name][part] = report.get("kernels", [])
    for one in started:
        log.info("%s ends", one.name)
        one.end()
    return found


def _turn(found: Turns, one: Contestant | Inside, part: str, *, counts: bool) -> None:
    if one.name in found.failed:
        return
    report = one.ask({"do": "round", "part": part})
    if "failed" in report:
        found.failed[one.name] = report["failed"]
    elif counts:
        found.rounds[one.name][part].append(report)


def environment(threads: int) -> dict[str, str]:
    """Of every contestant alike: no network, so many threads, no settings of hfkit's from outside.

    Threads wait for one another and MKL keeps its buffers as each side has it by default: this
    process has imported hfkit, whose settings no peer must get. Python keeps what it compiled, as
    packages that are installed have it: the sources here would be compiled at every start.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HFKIT_")}
    for name in ("PYTHONDONTWRITEBYTECODE", *WAITING_THREADS, *NO_BUFFERS):
        kept.pop(name, None)
    number = str(threads)
    return {
        **kept,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "RAYON_NUM_THREADS": number,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path.cwd()), kept.get("PYTHONPATH")))),
    }
