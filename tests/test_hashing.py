"""Hashes that are begun early are those of the files as they are when they are asked for."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from hfkit import hashing


def of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"abc" * 1000)
    return path


def test_a_hash_that_was_begun_is_taken_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    hashed = hashing._hashed

    def counted(path: Path) -> str:
        taken.append(threading.current_thread().name)
        return hashed(path)

    monkeypatch.setattr(hashing, "_hashed", counted)
    hashing.begin([file])
    hashing.begin([file, file.parent / "absent"])
    assert hashing.sha256(file) == of(b"abc" * 1000)
    assert taken == ["hfkit-hash"]
    assert hashing.sha256(file) == of(b"abc" * 1000)
    assert len(taken) == 2, "the first answer is not kept"


@pytest.mark.parametrize("replaced", [True, False], ids=["another file", "written over"])
def test_a_file_that_has_changed_since_is_hashed_anew(file: Path, replaced: bool) -> None:
    hashing.begin([file])
    before = file.stat()
    if replaced:
        other = file.parent / "other"
        other.write_bytes(b"xyz" * 1000)
        other.replace(file)
    else:
        file.write_bytes(b"xyz" * 1000)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert hashing.sha256(file) == of(b"xyz" * 1000)


def test_what_cannot_be_read_is_told_where_it_is_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing, "_hashed", failing)
    hashing.begin([file])
    with pytest.raises(OSError, match="Input/output error"):
        hashing.sha256(file)
