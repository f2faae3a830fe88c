"""A command in a process of its own: how long it took, and its largest memory.

A small process lies between: the system counts what a process held before it became the command,
which would be all that this one holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hfkit.errors import InputError

BETWEEN = """
import json, os, sys, time
start = time.perf_counter()
nowhere = os.open(os.devnull, os.O_WRONLY)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                       file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, 1)])
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime,
                  used.ru_maxrss]))
"""
# getrusage counts in KiB, on macOS in bytes.
UNITS_OF_MIB = 1024 * 1024 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Fresh:
    """Seconds of the clock, seconds of all cores together, and the largest memory in MiB."""

    wall: float
    cpu: float
    peak_mib: float


def run_fresh(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Fresh:
    """Run a command to its end, without its output.

    Raises `InputError` with the last line of its stderr where it fails.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BETWEEN, *command],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode:
        raise InputError(f"cannot start {command[0]}: {said[-1] if said else ''}")
    code, wall, cpu, peak = json.loads(done.stdout)
    if code:
        last = said[-1].removeprefix("hfkit: error: ") if said else "without a word"
        raise InputError(f"{' '.join(command[2:4])} ended with exit code {code}: {last}")
    return Fresh(wall, cpu, peak / UNITS_OF_MIB)
