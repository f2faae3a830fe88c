"""Exceptions of everyday life become one line and the right exit code."""

from __future__ import annotations

import errno

import pytest

from hfkit.cli.failures import ending
from hfkit.errors import DivergedError, InputError, InUseError, SafetyError


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class HfHubHTTPError(OSError):
    """Named as huggingface_hub names its own."""


class PanicException(BaseException):
    """Named as tokenizers names what Rust panics with."""


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "runs/a/model.safetensors")


CASES = [
    (InputError("wrong", place="a.csv:3"), 2, "error: a.csv:3: wrong"),
    (SafetyError("pickle"), 3, "error: pickle"),
    (InUseError("busy"), 6, "error: busy"),
    (DivergedError("nan"), 8, "error: nan"),
    (disk_full(), 4, "error: runs/a/model.safetensors: no space left on device"),
    (OSError(errno.EIO, "Input/output error"), 4, "error: input/output error"),
    (FileNotFoundError(2, "No such file", "a.csv"), 2, "error: a.csv: no such file"),
    (PermissionError(13, "Permission denied", "out"), 2, "error: out: permission denied"),
    (OutOfMemoryError("CUDA out of memory. Tried"), 4, "error: out of memory; lower --micro-batch"),
    (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        4,
        "error: out of memory; lower --micro-batch",
    ),
    (MemoryError(), 4, "error: out of memory"),
    (HfHubHTTPError("502 Bad Gateway\nfor url"), 7, "error: network: 502 Bad Gateway;"),
    (KeyboardInterrupt(), 130, "error: interrupted"),
    (PanicException("no entry found for key"), 2, "error: the tokenizer's library gave up"),
]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(("error", "code", "line"), CASES, ids=lambda value: type(value).__name__)
def test_known_errors(error, code, line, capsys) -> None:
    end = ending(error, debug=False)
    end.speak()
    assert end.code == code
    shown = capsys.readouterr().err
    assert shown.startswith(f"hfkit: {line}")
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(BrokenPipeError(), 141), (SystemExit(3), 3), (SystemExit(None), 0)]
)
def test_silent_endings(error, code, capsys) -> None:
    end = ending(error, debug=False)
    end.speak()
    assert (end.code, capsys.readouterr().err) == (code, "")


def test_a_cause_is_in_the_report_by_class_alone(capsys, tmp_path) -> None:
    try:
        try:
            raise ValueError("private")
        except ValueError as cause:
            raise TypeError("private") from cause
    except TypeError as error:
        ending(error, debug=False).speak()
    (report,) = (tmp_path / "hfkit").iterdir()
    text = report.read_text()
    assert "TypeError" in text and "ValueError" in text and "test_failures.py" in text
    assert "private" not in text + capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_no_second_error(monkeypatch, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert ending(TypeError("x"), debug=False).code == 5
