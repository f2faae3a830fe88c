"""Exceptions of everyday life become one line and the right exit code."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from hfkit import errors
from hfkit.cli.app import run
from hfkit.cli.failures import asks_for_json, ending, speak_json
from hfkit.errors import (
    DivergedError,
    HfkitError,
    InputError,
    InUseError,
    SafetyError,
    StoppedError,
    WorkersError,
)


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


@pytest.fixture
def as_json():
    speak_json(True)
    yield
    speak_json(False)


CODES = [
    "input", "safety", "in-use", "diverged", "resource", "resource", "input", "input", "resource",
    "resource", "resource", "network", "interrupted", "input",
]  # fmt: skip


@pytest.mark.parametrize(("case", "code"), [*zip(CASES, CODES, strict=True)], ids=CODES)
def test_the_last_line_as_json(case, code, as_json, capsys) -> None:
    error, exit_code, line = case
    ending(error, debug=False).speak()
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    said = json.loads(shown)
    assert list(said) == ["code", "exit", "place", "message", "hint"]
    assert (said["code"], said["exit"]) == (code, exit_code)
    text = str(HfkitError(said["message"], place=said["place"] or "", hint=said["hint"] or ""))
    assert f"error: {text}".startswith(line)


def test_what_is_said_elsewhere_is_no_json_either(as_json, capsys) -> None:
    for error in (WorkersError(2), BrokenPipeError(), SystemExit(3)):
        ending(error, debug=False).speak()
    assert capsys.readouterr().err == ""


def test_places_hints_secrets_and_odd_characters_as_json(as_json, capsys) -> None:
    name = "\u202eé\n.csv"
    ending(InputError("x hf_" + "a" * 34, place=name, hint="y"), debug=False).speak()
    shown = capsys.readouterr().err
    assert shown.isascii() and shown.count("\n") == 1
    assert json.loads(shown) == {
        "code": "input", "exit": 2, "place": name, "message": "x [secret]", "hint": "y",
    }  # fmt: skip
    ending(StoppedError("stopped at step 3", exit_code=143, hint="go on"), debug=False).speak()
    said = json.loads(capsys.readouterr().err)
    assert (said["code"], said["exit"], said["place"]) == ("stopped", 143, None)
    ending(TypeError("private"), debug=False).speak()
    said = json.loads(capsys.readouterr().err)
    assert (said["code"], said["exit"]) == ("internal", 5)


def test_the_codes_are_those_of_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    section = page.split("## Errors for programs")[1].split("\n## ")[0]
    listed = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    classes = [
        value for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, HfkitError) and value is not WorkersError
    ]  # fmt: skip
    codes = [error.code for error in classes]
    assert len(set(codes)) == len(codes)
    assert listed == {*codes, "usage", "interrupted", "terminated"}


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (["predict", "--error-format", "json"], "", "input"),
        (["predict", "--error_format=json"], "", "input"),
        (["predict"], "json", "input"),
        (["env", "--jsom"], "json", "usage"),
        (["predict", "--error-format", "json", "--batch-sise", "3"], "", "usage"),
        (["predict", "--error-format", "json", "--batch-size", "none"], "", "input"),
        (["verify", "nowhere", "-s", "error_format=json"], "", "input"),
        (["predict", "--error-format", "text"], "json", None),
        (["predict"], "", None),
        (["predict", "--error-format", "jsom"], "", None),
    ],
)
def test_who_asks_for_json(arguments, environment, code, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HFKIT_ERROR_FORMAT", environment)
    assert run(arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    if code is None:
        assert last.startswith("hfkit: error: ")
    else:
        assert json.loads(last)["code"] == code
    speak_json(False)


def test_the_last_word_on_the_format_counts() -> None:
    assert asks_for_json(["a", "--error-format", "text", "--error-format=json"])
    assert not asks_for_json(["--error-format"])
    assert not asks_for_json([])
