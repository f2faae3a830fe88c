"""Hashes that are begun early are those of the files as they are when they are asked for."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit import hashing
from hfkit.hashing import Hashes

OLD, NEW = b"abc" * 1000, b"xyz" * 1000


def of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def takers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that hash a file, one for each time."""
    names, taken = [], hashing.sha256

    def counted(path: Path) -> str:
        names.append(threading.current_thread().name)
        return taken(path)

    monkeypatch.setattr(hashing, "sha256", counted)
    return names


def test_a_hash_that_was_begun_is_given_once(file: Path, takers: list[str]) -> None:
    hashes = Hashes()
    hashes.begin([file])
    hashes.begin([file])
    assert hashes.of(file) == of(OLD)
    assert takers == ["hfkit-hash"]
    assert hashes.of(file) == of(OLD)
    assert takers == ["hfkit-hash", "MainThread"]


def replace(file: Path) -> None:
    other = file.parent / "other"
    other.write_bytes(NEW)
    other.replace(file)


def write_over(file: Path) -> None:
    """With the size and time of before."""
    before = file.stat()
    file.write_bytes(NEW)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replace, write_over])
def test_a_file_that_has_changed_since_is_hashed_anew(
    file: Path, change: Callable[[Path], None]
) -> None:
    hashes = Hashes()
    hashes.begin([file])
    change(file)
    assert hashes.of(file) == of(NEW)


@pytest.mark.parametrize("change", [replace, write_over])
def test_a_file_that_changes_while_its_hash_begins_is_hashed_anew(
    file: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two the thread has read."""
    start = threading.Thread.start
    for first in (True, False):
        file.write_bytes(OLD)

        def changed(thread: threading.Thread, first: bool = first) -> None:
            if first:
                change(file)
            start(thread)
            thread.join()
            if not first:
                change(file)

        hashes = Hashes()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", changed)
            hashes.begin([file])
        assert hashes.of(file) == of(NEW)


def test_what_cannot_be_read_is_told_where_it_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing, "sha256", failing)
    hashes = Hashes()
    hashes.begin([file])
    with pytest.raises(OSError, match="Input/output error"):
        hashes.of(file)


def test_a_file_that_is_not_there_is_an_error_where_it_is_asked_for(file: Path) -> None:
    hashes = Hashes()
    hashes.begin([file.parent / "absent"])
    with pytest.raises(FileNotFoundError):
        hashes.of(file.parent / "absent")


def test_without_another_thread_it_is_taken_where_it_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    hashes = Hashes()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        hashes.begin([file])
    assert hashes.of(file) == of(OLD)
