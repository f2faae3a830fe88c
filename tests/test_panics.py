"""What Rust says as it gives up is kept off stderr, and nothing else is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Thread

import pytest

from hfkit import panics


class PanicException(BaseException):
    """Named as pyo3 names it."""


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be the command line."""
    monkeypatch.setattr(panics, "_ours", True)


def write(text: str) -> None:
    os.write(2, text.encode())


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory here")
def test_what_is_written_before_a_panic_goes_nowhere(command_line, capfd) -> None:
    with pytest.raises(PanicException), panics.swallowed():
        write("thread '<unnamed>' panicked\n")
        raise PanicException
    write("after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize("error", [None, ValueError(), KeyboardInterrupt()])
def test_all_else_comes_out_in_its_order(command_line, capfd, error) -> None:
    write("1\n")
    try:
        with panics.swallowed():
            write("2\n")
            write("3\n")
            thread = Thread(target=write, args=("4\n" * 50_000,))
            thread.start()
            thread.join()
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        write("5\n")
    assert capfd.readouterr().err == "1\n2\n3\n" + "4\n" * 50_000 + ("5\n" if error else "")


def descriptors() -> list[Path]:
    return sorted(Path("/dev/fd").iterdir())


def test_descriptors_are_given_back(command_line) -> None:
    before = descriptors()
    for _ in range(3):
        with panics.swallowed():
            pass
    assert descriptors() == before


def test_a_thread_or_a_notebook_leaves_stderr_alone(monkeypatch, capfd) -> None:
    def panic() -> None:
        with pytest.raises(PanicException), panics.swallowed():
            write("said\n")
            raise PanicException

    panic()
    assert capfd.readouterr().err == "said\n"
    monkeypatch.setattr(panics, "_ours", True)
    thread = Thread(target=panic)
    thread.start()
    thread.join()
    assert capfd.readouterr().err == "said\n"
    monkeypatch.setattr(sys, "stderr", None)  # closed: another file may have its number
    panic()
    assert capfd.readouterr().err == "said\n"
