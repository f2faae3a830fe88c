"""Stopping early without losing work: Ctrl-C, SIGTERM, a time limit, a launcher that is gone.

A signal only raises a flag; the loop looks at it after every optimizer step, saves and ends. All
processes must end at the same step, so each one gives its *votes* and all act on the sum.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Literal, NamedTuple, Self

from hfkit import signals
from hfkit.signals import SIGNALS

Reason = Literal["finished", "patience", "max_steps", "max_time", "signal"]


class Ending(NamedTuple):
    """Why training ends, and for a signal which one."""

    reason: Reason
    signum: int | None = None


class Stop:
    """The wish to stop. As a context manager it catches SIGINT and SIGTERM while it is open; the
    second signal ends the command line at once, and does elsewhere what it would have done without
    us. Python delivers signals to the main thread only; elsewhere there is nothing to catch."""

    def __init__(self, max_seconds: float | None = None) -> None:
        self.signum: int | None = None
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._parent = os.getppid()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS if current_thread() is main_thread() else ():
            self._before[number] = signal.signal(number, self._raise_flag)
        return self

    def __exit__(self, *exception: object) -> None:
        self._give_back()

    def votes(self) -> list[float]:
        """Return 1.0 or 0.0 for each reason to stop: SIGINT, SIGTERM, the time limit."""
        if "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != self._parent:
            self.signum = self.signum or signal.SIGTERM  # nobody is left to stop us later
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return [*(float(self.signum == number) for number in SIGNALS), float(late)]

    def _raise_flag(self, number: int, frame: FrameType | None) -> None:
        self.signum = number
        self._give_back()
        signals.let_die()

    def _give_back(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)


def decided(votes: Sequence[float]) -> Ending | None:
    """Read the sum of all processes' votes.

    >>> decided([0, 2, 1])
    Ending(reason='signal', signum=15)
    >>> decided([0, 0, 1]), decided([0, 0, 0])
    (Ending(reason='max_time', signum=None), None)
    """
    for number, count in zip(SIGNALS, votes, strict=False):
        if count:
            return Ending("signal", int(number))
    return Ending("max_time") if votes[len(SIGNALS)] else None
