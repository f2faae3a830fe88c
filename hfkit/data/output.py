"""Where results go: standard output, or a file that appears under its name only when it is whole.

A file is written as ``NAME.part`` beside its place, whole lines at a time, and renamed at the end:
a reader never takes part of a file for all of it, and what was there before stays until then. After
a failure ``NAME.part`` keeps the lines so far; where ``NAME.part.json`` says how far they have come
(`run/journal.py`), a later command can go on with them, and none begins anew unasked; elsewhere it
moves them aside. One process at a time can write a name. Pipes and devices (``/dev/null``) are
written directly.

Standard output is written through its descriptor: a buffer of Python's that cannot be emptied
because the reader is gone would make noise on stderr at exit.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hfkit.errors import InputError, InUseError, ResourceError

log = logging.getLogger(__name__)

BLOCK = 1 << 20  # bytes read at once
ANEW = "--overwrite without --resume begins anew"


class Output:
    """An open place to write to: a descriptor, or a text stream that has none (in tests).

    `journal` is the file that may say how far it has come; None where nobody could go on with it.
    """

    def __init__(
        self,
        name: str,
        descriptor: int | None,
        stream: TextIO | None = None,
        journal: Path | None = None,
    ) -> None:
        self.name = name
        self.journal = journal
        self._descriptor = descriptor
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0  # bytes written
        self.begun = True  # what is there is ours; else an earlier command's, until `go_on`

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes written to a file that has a journal."""
        return self._hash.hexdigest()

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
        if self.journal is not None:
            self._hash.update(data)

    def sync(self) -> None:
        """Wait until what was written is on the disk. Raises `ResourceError` where that fails."""
        with _told(self.name):
            os.fsync(self._file())

    def go_on(self, size: int, digest: str) -> None:
        """Go on behind the first `size` bytes of what an earlier command has left.

        Raises `InputError` where they are not the bytes of this `digest`.
        """
        with _told(self.name):
            while self.size < size:
                block = os.read(self._file(), min(size - self.size, BLOCK))
                if not block:
                    break
                self._hash.update(block)
                self.size += len(block)
            if self.size != size or self.digest != digest:
                raise InputError(
                    "what an earlier command has left is damaged",
                    place=f"{self.name}.part",
                    hint=ANEW,
                )
            os.ftruncate(self._file(), size)
            self.begun = True

    def rewrite(self, data: bytes) -> None:
        """Replace the first bytes of a file. Raises `InputError` where it cannot be gone back."""
        try:
            os.pwrite(self._file(), data, 0)
        except OSError as error:
            raise InputError("only a file can take this format", place=self.name) from error

    def _file(self) -> int:
        return -1 if self._descriptor is None else self._descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another program made the pipe non-blocking
            select.select([], [descriptor], [])


@contextmanager
def open_output(
    path: str | None, overwrite: bool = False, resume: bool = False
) -> Iterator[Output]:
    """Open a file, or standard output for None and ``-``.

    With `resume` what an earlier command has left stands, to be gone on with by `Output.go_on`.
    Raises `InputError` where the file exists, or an earlier command could be gone on with, and
    `overwrite` is not asked for; `InUseError` where another process is writing it, `ResourceError`
    where it cannot be written.
    """
    if path is None or path == "-":
        yield _standard_output()
        return
    final = _resolved(path)
    if is_no_file(path):
        if final.is_dir():
            raise InputError("is a folder; name a file", place=path or "--output")
        yield from _direct(path)
        return
    if not final.parent.is_dir():
        raise InputError(f"the folder {final.parent} does not exist", place=path)
    _refuse_existing(path, final, overwrite)
    yield from _staged(path, final, overwrite, resume)


def is_no_file(path: str) -> bool:
    """Whether something else than a file is there: a pipe, a device, a folder. ``/dev/stdout`` and
    ``>(…)`` may lead to what has no name, so the path is asked as it was given."""
    return not _resolved(path).is_file() and Path(path).expanduser().exists()


def check_apart(path: str | None, inputs: Iterable[str]) -> None:
    """Raise `InputError` where one of the `inputs` is the file that the output is made in."""
    if path is None or path == "-":
        return
    part = _part_of(_resolved(path))
    for given in inputs:
        with suppress(OSError, ValueError):  # a text, or no file yet
            if part.samefile(given):
                raise InputError(
                    f"is where {path} is made, which would write over it",
                    place=given,
                    hint="give it another name",
                )


def _resolved(path: str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise InputError(f"cannot be a file name ({error})", place="--output") from error


def _part_of(final: Path) -> Path:
    return final.with_name(f"{final.name}.part")


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
        hint = "use --overwrite to replace it"
        if _journal_of(_part_of(final)).exists():
            hint = (
                f"{path}.part was to replace it: --resume --overwrite goes on with that, "
                "--overwrite begins anew"
            )
        raise InputError("the file exists", place=path, hint=hint)


def _journal_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _direct(path: str) -> Iterator[Output]:
    descriptor = _open(path, Path(path).expanduser(), os.O_WRONLY)
    try:
        yield Output(path, descriptor)
    finally:
        os.close(descriptor)


def _staged(path: str, final: Path, overwrite: bool, resume: bool) -> Iterator[Output]:
    part = _part_of(final)
    journal = _journal_of(part)
    for way in (part, journal):
        if way.is_symlink() or (way.exists() and not way.is_file()):
            raise InputError(
                f"{way.name} is in the way of the output", place=path, hint="remove it"
            )
    descriptor = _taken(path, part)
    try:
        if not (resume and journal.exists()) and os.fstat(descriptor).st_size and not overwrite:
            _keep_aside(path, part, journal)
            os.close(descriptor)
            descriptor = _taken(path, part)
        output = Output(path, descriptor, journal=journal)
        with _told(path):
            if resume and journal.exists():
                output.begun = False
            else:
                journal.unlink(missing_ok=True)
                os.ftruncate(descriptor, 0)
        try:
            yield output
            _refuse_existing(path, final, overwrite)
            with _told(path):
                os.fsync(descriptor)
                part.replace(final)
                journal.unlink(missing_ok=True)
        except BaseException:
            _leave(path, output, part)
            raise
    finally:
        os.close(descriptor)


def _taken(path: str, part: Path) -> int:
    """Open the file that the output is made in, for this process alone."""
    descriptor = _open(path, part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    try:
        _lock(path, part, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _keep_aside(path: str, part: Path, journal: Path) -> None:
    """Move what an earlier command has left out of the way; where it can be gone on with, somebody
    has to say that it is not wanted."""
    if journal.exists():
        raise InputError(
            "an earlier command was not finished",
            place=str(part) if Path(path).is_symlink() else f"{path}.part",
            hint="--resume goes on with it, --overwrite begins anew",
        )
    number = 1
    while (aside := part.with_name(f"{part.name}.old-{number}")).exists():
        number += 1
    with _told(path):
        part.rename(aside)
    log.warning("%s.part: of an earlier command; it is %s now", path, aside.name)


def _leave(path: str, output: Output, part: Path) -> None:
    """Keep, after a failure, the rows there are, and say where."""
    if output.begun and output.size:
        resumable = output.journal is not None and output.journal.exists()
        further = "; --resume goes on with them" if resumable else ""
        log.warning("%s: not finished; the rows so far are in %s.part%s", path, path, further)
    elif not part.stat().st_size:
        part.unlink(missing_ok=True)


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
