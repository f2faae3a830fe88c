"""SHA-256 of files, on threads of their own where it is known early that they will be asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

BLOCK = 1 << 22  # bytes

Version = tuple[int, int, int, int, int]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    # In large blocks: hashing leaves the interpreter to other threads, and has to get it back
    # after each.
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        block = memoryview(bytearray(min(BLOCK, os.fstat(file.fileno()).st_size)))
        while size := file.readinto(block):
            hashed.update(block[:size])
    return hashed.hexdigest()


class Hashes:
    """Hashes that are taken beside other work: 90 MB take as long as the imports of a prediction.

    Each is given once, and only for the file as it was when its hash was begun; else `sha256` takes
    it anew, and raises what it does.
    """

    def __init__(self) -> None:
        self._begun: dict[Path, tuple[Version, Thread, dict[Path, str]]] = {}

    def begin(self, paths: Sequence[Path]) -> None:
        """Begin to hash files, one after the other; those that were begun before go on."""
        found: dict[Path, str] = {}
        new = [path for path in paths if path not in self._begun]
        thread = Thread(target=_fill, args=(found, new), name="hfkit-hash", daemon=True)
        with suppress(OSError, RuntimeError):  # no such file, no more threads
            # Before: a file that comes in the place of this one from now on is another.
            begun = {path: (_version(path), thread, found) for path in new}
            thread.start()
            self._begun.update(begun)

    def of(self, path: Path) -> str:
        """Return the hash of a file; wait for it where it was begun."""
        if path in self._begun:
            version, thread, found = self._begun.pop(path)
            thread.join()
            if path in found and version == _version(path):
                return found[path]
        return sha256(path)


def _fill(found: dict[Path, str], paths: Sequence[Path]) -> None:
    with suppress(OSError, MemoryError):  # which come again where the hash is asked for
        for path in paths:
            found[path] = sha256(path)


def _version(path: Path) -> Version:
    now = path.stat()
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
