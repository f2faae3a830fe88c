"""SHA-256 of files, on threads of their own where it is known early that they will be asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread

BLOCK = 1 << 22  # bytes

_begun: dict[tuple[Path, int, int, int], Callable[[], str]] = {}  # by path, node, size and time


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits; wait where it was begun."""
    wait = _begun.pop(_version(path), None)
    return _hashed(path) if wait is None else wait()


def begin(paths: Iterable[Path]) -> None:
    """Begin to take the hashes of files, each on a thread of its own: 90 MB take as long as the
    imports of a prediction. One that is never asked for ends with the process."""
    for path in paths:
        if path.is_file() and _version(path) not in _begun:
            _begun[_version(path)] = _beside(path)


def _version(path: Path) -> tuple[Path, int, int, int]:
    """A file as it is now: a hash that was begun is not that of a file that replaced it since."""
    found = path.stat()
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _beside(path: Path) -> Callable[[], str]:
    found: list[str | OSError] = []

    def work() -> None:
        try:
            found.append(_hashed(path))
        except OSError as error:
            found.append(error)

    thread = Thread(target=work, name="hfkit-hash", daemon=True)
    thread.start()

    def wait() -> str:
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    return wait


def _hashed(path: Path) -> str:
    # In large blocks: hashing leaves the interpreter to other threads, and has to get it back
    # after each.
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        block = memoryview(bytearray(min(BLOCK, os.fstat(file.fileno()).st_size)))
        while size := file.readinto(block):
            hashed.update(block[:size])
    return hashed.hexdigest()
