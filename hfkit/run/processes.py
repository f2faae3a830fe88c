"""Several processes behind one engine: each holds the model and computes whole batches.

The main process reads, tokenises, decodes and writes, as with one; what goes through a pipe to a
worker is the arrays of a batch, and back come its outputs. So order, errors and notes are those of
one process. What a worker notes comes with its answers and is said once. A worker ends with its
pipe, and a worker that dies ends the command.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hfkit.errors import ResourceError
from hfkit.infer.ahead import in_order
from hfkit.infer.predictor import is_unpadded, tokens_of
from hfkit.processor import cores
from hfkit.run.engines import open_engine

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hfkit.config import Computing
    from hfkit.infer.engine import Arrays
    from hfkit.run.engines import Wanted

AHEAD = 2  # batches a worker has been given or is about to get


class Workers:
    """An engine made of `count` processes; each opens `wanted`.

    Raises what `open_engine` does.
    """

    def __init__(self, count: int, wanted: Wanted, computing: Computing) -> None:
        context = get_context("spawn")
        threads = computing.threads or max(cores() // count, 1)
        computing = computing.model_copy(update={"threads": threads})
        self._idle: SimpleQueue[tuple[Any, Connection]] = SimpleQueue()
        self._count = count
        self._said: set[str] = set()
        started = []
        for rank in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, wanted._replace(rank=rank), computing), daemon=True
            )
            process.start()
            theirs.close()
            started.append((process, ours))
        for worker in started:
            # It has loaded its model, or says why not.
            self.batch_tokens, self.unpadded = self._answer(*worker)
            self._idle.put(worker)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="hfkit-worker")

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch; see `Engine.run`. Raises `ResourceError` where a worker has died."""
        process, connection = self._idle.get()
        try:
            with suppress(OSError):  # it is gone; the answer tells how
                connection.send(batch)
            found: Arrays = self._answer(process, connection)
            return found
        finally:
            self._idle.put((process, connection))

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order, a few ahead of the one that is asked for."""
        return in_order(self._pool, self.run, batches, AHEAD * self._count)

    def _answer(self, process: Any, connection: Connection) -> Any:
        try:
            notes, found = connection.recv()
        except (EOFError, OSError):
            process.join(5)
            raise ResourceError(
                f"a worker process ended with code {process.exitcode}",
                hint="where memory ran out, lower --num-processes or --batch-tokens",
            ) from None
        for name, level, message in notes:
            if message not in self._said:
                self._said.add(message)
                logging.getLogger(name).log(level, "%s", message)
        if isinstance(found, BaseException):
            raise found
        return found


class _Notes(logging.Handler):
    """Keeps what was logged until it is taken along with an answer."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append((record.name, record.levelno, record.getMessage()))

    def take(self) -> list[tuple[str, int, str]]:
        """What was logged since the last time."""
        kept, self._kept = self._kept, []
        return kept


def _work(connection: Connection, wanted: Wanted, computing: Computing) -> None:
    """A worker: answers batches until the pipe is closed, which the end of the other side does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the main process decides
    notes = _Notes()
    logger = logging.getLogger("hfkit")
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        engine = open_engine(wanted, computing)
        connection.send((notes.take(), (tokens_of(engine), is_unpadded(engine))))
    except BaseException as error:
        connection.send((notes.take(), error))
        return
    while True:
        try:
            batch = connection.recv()
        except (EOFError, OSError):
            return
        found: Any
        try:
            found = engine.run(batch)
        except Exception as error:
            found = error
        try:
            connection.send((notes.take(), found))
        except BrokenPipeError:
            return
