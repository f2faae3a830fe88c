"""A command in a process of its own."""

from __future__ import annotations

import sys

import pytest

from hfkit.errors import InputError
from hfkit.run.fresh import run_fresh


def test_the_memory_is_that_of_the_command_alone() -> None:
    held = bytearray(300 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    small = run_fresh([sys.executable, "-c", "print(1)"])
    large = run_fresh([sys.executable, "-c", "x = b'x' * (200 * 1024 * 1024)"])
    assert small.peak_mib < 100 and 200 < large.peak_mib < 290
    assert len(held) and small.wall > 0 and small.cpu > 0


def test_a_failure_says_its_last_line() -> None:
    program = "import sys; print('note', file=sys.stderr); sys.exit('hfkit: error: no such file')"
    with pytest.raises(InputError, match="exit code 1: no such file"):
        run_fresh([sys.executable, "-c", program])


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(InputError, match="cannot start"):
        run_fresh(["/nowhere/program"])
