"""A command line's stderr that words which cannot be written do not bring down.

A full disk behind ``2> errors.log`` must not turn a prediction that is done into a failure.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any

from hfkit.panics import STDERR

_before: list[Any] = []  # stderr as it was: it may close the descriptor when nobody has it


class Unfailing(io.FileIO):
    """A file whose words may go nowhere, to a full disk. A pipe that nobody reads is told."""

    def write(self, words: Any) -> int:
        """Write what can be written, and say that it was all."""
        try:
            return super().write(words)
        except BrokenPipeError:
            raise
        except OSError:
            return len(memoryview(words))


def unfailing_stderr() -> None:
    """Let no message that cannot be written change how the command ends."""
    _before.append(sys.stderr)
    with suppress(OSError, ValueError, AttributeError):  # there is none, or one of somebody else's
        if sys.stderr.fileno() == STDERR:
            file = io.BufferedWriter(Unfailing(STDERR, "w", closefd=False))
            encoding, errors = sys.stderr.encoding, sys.stderr.errors
            sys.stderr = io.TextIOWrapper(file, encoding, errors, line_buffering=True)
