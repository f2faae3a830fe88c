"""What a library in Rust prints as it gives up, kept off the command line's stderr.

Rust writes lines of its own to descriptor 2 ("thread '<unnamed>' panicked at …") before Python
hears of it, and offers no switch to turn them off. While somebody else's file is loaded, what goes
to the descriptor is therefore kept in memory: it is written out afterwards, whoever wrote it,
unless Rust has panicked. The descriptor belongs to the whole process, so this is done where the
process is the command line, by its main thread, and on systems with files in memory (Linux).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread

STDERR = 2
BLOCK = 1 << 16  # bytes

_ours = False  # whether this process is the command line


def own_stderr() -> None:
    """From now on descriptor 2 may be turned aside for a moment; not for a notebook's process."""
    global _ours
    _ours = True


def is_panic(error: BaseException) -> bool:
    """Whether Rust has given up; its class is made anew in each library, and is no `Exception`."""
    return type(error).__name__ == "PanicException"


@contextmanager
def swallowed() -> Iterator[None]:
    """Let what Rust prints about a panic inside go nowhere; all else comes out at the end."""
    main = current_thread() is main_thread()
    if not (_ours and main and sys.stderr is not None and hasattr(os, "memfd_create")):
        yield
        return
    sys.stderr.flush()
    kept, stderr = os.memfd_create("hfkit-stderr"), os.dup(STDERR)
    os.dup2(kept, STDERR)
    panicked = False
    try:
        yield
    except BaseException as error:
        panicked = is_panic(error)
        raise
    finally:
        os.dup2(stderr, STDERR)
        os.close(stderr)
        if not panicked:
            _write_out(kept)
        os.close(kept)


def _write_out(kept: int) -> None:
    os.lseek(kept, 0, os.SEEK_SET)
    with suppress(OSError):  # nobody reads it any more
        while block := os.read(kept, BLOCK):
            os.write(STDERR, block)
