"""Requests that wait for a model are computed together.

Each model has one thread. It takes what waits, as much as fits, and computes it as one window of
rows; meanwhile new requests gather. So nobody waits for company, and a busy server computes large
batches. A request that asks in another manner than its neighbours (other candidate labels are none,
another template is) waits for the next turn. The queue is bounded: what finds it full is refused.

Who asked may leave: the client has gone, or its time is over. What nobody waits for any more is not
computed, and what is being computed ends at the next batch or token.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hfkit.errors import HfkitError

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

# Rows computed together at most: enough for full batches, few enough that none waits for long.
AT_ONCE = 256

Answers = Sequence["Answer | str"]  # a text says why a row has no answer
Ask = Callable[[Sequence["Row"]], Answers]
Listener = Callable[[list[int]], None]


class QueueFull(Exception):
    """More requests wait than may."""


class Closed(Exception):
    """The server is about to end."""


class Unwanted(HfkitError):
    """Nobody waits any more for what is being computed."""


@dataclass(eq=False)
class Job:
    """Rows that one request asks about; `ask` answers them. One with a listener is computed alone,
    as `listen` is told what is written."""

    rows: Sequence[Row]
    ask: Ask
    listen: Callable[[Listener | None], None] | None = None
    listener: Listener | None = None
    future: Future[Answers] = field(default_factory=Future)
    is_wanted: bool = True

    def leave(self) -> None:
        """Wait for the answers no longer."""
        self.is_wanted = False
        self.future.cancel()


class Worker:
    """The thread of one model, and the requests that wait for it."""

    def __init__(
        self,
        name: str,
        waiting: int,
        computed: Callable[[int, int], None] = lambda requests, rows: None,
    ) -> None:
        self._limit = waiting
        self._computed = computed
        self._jobs: deque[Job] = deque()
        self._running: Sequence[Job] = ()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"hfkit-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._jobs)

    def submit(self, job: Job) -> Future[Answers]:
        """Let a request wait. Raises `QueueFull`, and `Closed` where the server ends."""
        with self._changed:
            if self._closed:
                raise Closed
            if len(self._jobs) >= self._limit:
                raise QueueFull
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def check(self) -> None:
        """Raise `Unwanted` where nobody waits any more for what is being computed."""
        if self._running and not any(job.is_wanted for job in self._running):
            raise Unwanted("nobody waits for this")

    def close(self, patience: float | None = None) -> bool:
        """Answer what waits, and end; say whether that was done within so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next():
            running = [job for job in batch if job.future.set_running_or_notify_cancel()]
            if running:
                self._running = running
                self._answer(running)
                self._running = ()

    def _next(self) -> list[Job]:
        """Wait for requests, and take those that can be computed together; none at the end."""
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return []
                self._changed.wait()
            first = self._jobs.popleft()
            batch, rows, rest = [first], len(first.rows), deque[Job]()
            for job in self._jobs:
                alike = job.ask == first.ask and job.listener is None and first.listener is None
                if alike and rows + len(job.rows) <= AT_ONCE:
                    batch.append(job)
                    rows += len(job.rows)
                else:
                    rest.append(job)
            self._jobs = rest
        return batch

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Compute jobs together. What fails is told to those who asked; the thread goes on."""
        rows = [row for job in jobs for row in job.rows]
        first = jobs[0]
        try:
            if first.listen is not None:
                first.listen(first.listener)
            try:
                answers = first.ask(rows)
            finally:
                if first.listen is not None:
                    first.listen(None)
        except Exception as error:
            for job in jobs:
                job.future.set_exception(error)
            return
        self._computed(len(jobs), len(rows))
        start = 0
        for job in jobs:
            job.future.set_result(answers[start : start + len(job.rows)])
            start += len(job.rows)
