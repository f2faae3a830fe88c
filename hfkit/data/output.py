"""Where results go: standard output, or a file that appears under its name only when it is whole.

A file is written as ``NAME.part`` beside its place, whole lines at a time, and renamed at the end:
a reader never takes part of a file for all of it, and what was there before stays until then. After
a failure ``NAME.part`` keeps the lines so far. One process at a time can write a name. Pipes and
devices (``/dev/null``) are written directly.

Standard output is written through its descriptor: a buffer of Python's that cannot be emptied
because the reader is gone would make noise on stderr at exit.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hfkit.errors import InputError, InUseError, ResourceError

log = logging.getLogger(__name__)


class Output:
    """An open place to write to: a descriptor, or a text stream that has none (in tests)."""

    def __init__(self, name: str, descriptor: int | None, stream: TextIO | None = None) -> None:
        self.name = name
        self._descriptor = descriptor
        self._stream = stream
        self.size = 0  # bytes written

    @property
    def is_terminal(self) -> bool:
        """Whether a person is looking at it."""
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, text: str) -> None:
        """Write whole lines, past all buffers.

        Raises `ResourceError` when the device is full or fails, `BrokenPipeError` when the reader
        of a pipe is gone.
        """
        self.write_bytes(text.encode("utf-8", "backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are; raises what `write` does."""
        try:
            if self._stream is not None:
                self._stream.write(data.decode("utf-8"))
                self._stream.flush()
            elif self._descriptor is not None:
                _write_all(self._descriptor, data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ResourceError(
                f"cannot write ({os.strerror(error.errno or errno.EIO).lower()})", place=self.name
            ) from error
        self.size += len(data)

    def rewrite(self, data: bytes) -> None:
        """Replace the first bytes of a file. Raises `InputError` where it cannot be gone back."""
        try:
            os.pwrite(-1 if self._descriptor is None else self._descriptor, data, 0)
        except OSError as error:
            raise InputError("only a file can take this format", place=self.name) from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program made the pipe non-blocking
            select.select([], [descriptor], [])


@contextmanager
def open_output(path: str | None, overwrite: bool = False) -> Iterator[Output]:
    """Open a file, or standard output for None and ``-``.

    Raises `InputError` where the file exists and `overwrite` is not asked for, `InUseError` where
    another process is writing it, `ResourceError` where it cannot be written.
    """
    if path is None or path == "-":
        yield _standard_output()
        return
    final = Path(path).expanduser().resolve()
    if final.exists() and not final.is_file():
        if final.is_dir():
            raise InputError("is a folder; name a file", place=path)
        yield from _direct(path)
        return
    if not final.parent.is_dir():
        raise InputError(f"the folder {Path(path).parent} does not exist", place=path)
    _refuse_existing(path, final, overwrite)
    yield from _staged(path, final, overwrite)


def _standard_output() -> Output:
    if sys.stdout is None:
        raise ResourceError("standard output is closed", hint="name a file with -o")
    try:
        descriptor = sys.stdout.fileno()
        sys.stdout.flush()
    except (OSError, ValueError):  # replaced by a stream in memory
        return Output("standard output", None, sys.stdout)
    return Output("standard output", descriptor)


def _refuse_existing(path: str, final: Path, overwrite: bool) -> None:
    if final.exists() and not overwrite:
        raise InputError("the file exists", place=path, hint="use --overwrite to replace it")


def _direct(path: str) -> Iterator[Output]:
    descriptor = _open(path, Path(path), os.O_WRONLY)
    try:
        yield Output(path, descriptor)
    finally:
        os.close(descriptor)


def _staged(path: str, final: Path, overwrite: bool) -> Iterator[Output]:
    part = final.with_name(final.name + ".part")
    if part.is_symlink() or (part.exists() and not part.is_file()):
        raise InputError("is in the way of the output", place=f"{path}.part", hint="remove it")
    descriptor = _open(path, part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
    output = Output(path, descriptor)
    try:
        _lock(path, part, descriptor)
        with _told(path):
            os.ftruncate(descriptor, 0)
        try:
            yield output
            _refuse_existing(path, final, overwrite)
            with _told(path):
                os.fsync(descriptor)
                part.replace(final)
        except BaseException:
            if output.size:
                log.warning("%s: not finished; the rows so far are in %s.part", path, path)
            else:
                part.unlink(missing_ok=True)
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Say which file it is that the disk does not take."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise ResourceError(f"cannot be written ({reason})", place=path) from error


def _open(path: str, target: Path, flags: int) -> int:
    with _told(path):
        return os.open(target, flags | os.O_CLOEXEC, 0o666)


def _lock(path: str, part: Path, descriptor: int) -> None:
    """Take the file for this process alone."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, named = os.fstat(descriptor), part.stat()
        # Another run may have finished, and renamed the file we opened, before we took the lock.
        same = (held.st_ino, held.st_dev) == (named.st_ino, named.st_dev)
    except (BlockingIOError, FileNotFoundError):
        same = False
    if not same:
        raise InUseError("another process is writing this file", place=path)
