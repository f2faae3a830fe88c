"""Ctrl-C and SIGTERM on the command line: the first ends it in good order, the second at once.

The first becomes the exception `Interrupted` wherever the main thread is, be it half-way through an
import, so that files in the making are put away and the last line is said. Where training goes on
it raises a flag instead (`train/stopping.py`). After it both signals are the system's again: what
hfkit writes survives a kill, so the second one may be as hard as that.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

ENDED = {int(signal.SIGTERM): "terminated"}
received: int | None = None  # the signal that became an exception


class Interrupted(KeyboardInterrupt):
    """A signal has come; a KeyboardInterrupt, since that is what libraries let pass."""


def install() -> None:
    """Take both signals for the life of this process; what a shell has told it to ignore stays so.

    Only for a process that is the command line: in a notebook the signals are the notebook's.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def word() -> str:
    """What has become of a command that a signal of ours has ended."""
    return ENDED.get(received or 0, "interrupted")


def let_die() -> None:
    """From now on a signal that is ours ends the process at once and without a word."""
    for number in SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global received
    received = number
    let_die()
    raise Interrupted


def _unraisable(lost: Any) -> None:
    """An exception in a finalizer goes nowhere; this one was meant for the whole process."""
    if isinstance(lost.exc_value, Interrupted):
        os.kill(os.getpid(), received or signal.SIGTERM)
    else:
        sys.__unraisablehook__(lost)
