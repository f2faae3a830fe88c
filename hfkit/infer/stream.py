"""Prediction over a stream of any length: one result for each record, in order, in flat memory.

Records are taken in *windows*: rows of one window are computed together, sorted by length. A
window starts small, so that the first answers come at once, and doubles up to `WINDOW` rows. The
next one is read and encoded while this one is computed. From a pipe a window also closes when the
input pauses, so that ``tail -f log | hfkit predict`` answers each line as it comes, and the next
one is read ahead only if it is there as a whole. The answers do not depend on how the windows fall.

A record that cannot be read, or that the model fails on, becomes a result with an `error`; the
others go on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from hfkit.data.record import Fields, Record
from hfkit.errors import HfkitError, InputError
from hfkit.infer.ahead import attempt

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

# Rows. On texts of 20 tokens 4096 were a tenth faster, and later with their answers by four times;
# 512 were up to 4 % slower, for the fewer rows, the more padding beside the longest. 1024 were as
# fast and took 12 MiB more: two windows and the answers of a third are in memory.
WINDOW = 768
FIRST = 32  # rows of the first window, so that the first answers come at once
PAUSE = 0.05  # seconds without input after which a window from a pipe is closed
LATEST = 4  # pauses after which it is closed in any case: a steady trickle never pauses

Event = tuple[str, Any]  # "item", "end", "error", "pause" or "full", and what belongs to it
ToRow = Callable[[Fields], "Row"]
T = TypeVar("T")


class Answering(Protocol):
    """What answers rows: a `Predictor`, a `Vectorizer`."""

    @property
    def batch_size(self) -> int | None:
        """How many rows it likes to be given at least, if it minds."""
        ...

    def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answer rows in their order; raise where one cannot be answered."""
        ...

    def predict_windows(
        self, windows: Iterable[Sequence[Row]]
    ) -> Generator[Sequence[Answer | str] | Exception]:
        """Answer windows of rows in their order.

        It may ask for a window before it has answered the last one, but not behind an empty one.
        An exception stands for a window that failed; a text in place of an answer says why a row
        has none.
        """
        ...


class Readable(NamedTuple):
    """A record with the row it makes, or the reason why it makes none."""

    record: Record
    row: Row | None
    error: str = ""


class Result(NamedTuple):
    """A record with its answer, or the reason why there is none."""

    record: Record
    answer: Answer | None
    error: str = ""


def read_rows(records: Iterable[Record], find: Callable[[Record], ToRow]) -> Iterator[Readable]:
    """Make a row of each record.

    `find` is called once, with the first record that could be parsed, and returns what turns
    fields into rows. What it raises stops the stream: a missing column is no matter of one row.
    """
    to_row: ToRow | None = None
    for record in records:
        if record.error:
            yield Readable(record, None, record.error)
            continue
        if to_row is None:
            to_row = find(record)
        try:
            yield Readable(record, to_row(record.fields))
        except InputError as error:
            yield Readable(record, None, reason(error))


def predict_stream(
    rows: Iterable[Readable],
    predictor: Answering,
    *,
    live: bool = False,
    window: int = WINDOW,
    before: int = 0,
) -> Iterator[list[Result]]:
    """Answer a stream, window by window; each input has one result, in the order of the input.

    `live`: the rows come from a pipe and are answered when it pauses. `before`: the stream goes on
    behind this number of windows, and is cut as it would have been.
    """
    first = predictor.batch_size or FIRST
    cut = live_windows(rows, window) if live else windows(rows, window, first, before)
    under_way: deque[list[Readable]] = deque()

    def good_rows() -> Iterator[list[Row]]:
        for items in cut:
            under_way.append(items)
            yield _good(items)

    with closing(cut), closing(predictor.predict_windows(good_rows())) as answered:
        for found in answered:
            items = under_way.popleft()
            answers = iter(_settled(predictor, _good(items), found))
            if items:
                yield [_result(item, answers) for item in items]


def windows(items: Iterable[T], size: int, first: int = 1, before: int = 0) -> Generator[list[T]]:
    """Cut a stream into lists of `first`, 2 `first`, 4 `first`, … items, at most `size`; `before`
    of them have been cut already.

    >>> [len(window) for window in windows(range(20), 8, 2)]
    [2, 4, 8, 6]
    """
    limit = min(first << min(before, size.bit_length()), size)
    window: list[T] = []
    for item in items:
        window.append(item)
        if len(window) == limit:
            yield window
            window = []
            limit = min(2 * limit, size)
    if window:
        yield window


def live_windows(items: Iterable[T], size: int, pause: float = PAUSE) -> Generator[list[T]]:
    """Cut a stream that may pause into lists of 1, 2, 4, … items, at most `size`.

    A list also ends when nothing comes for `pause` seconds, or `LATEST` pauses after its first
    item. An empty list comes before one that is not there as a whole, and is to be waited for. At
    most `size` items are read ahead. An exception of `items` is raised here, after the items before
    it.
    """
    queue: Queue[Event] = Queue(maxsize=size)
    stop = Flag()
    # A daemon: a read that waits for input cannot be interrupted, and must not keep us alive.
    Thread(target=_pump, args=(items, queue, stop), daemon=True, name="hfkit-reader").start()
    limit = 1
    try:
        while True:
            kind, value = queue.get()
            deadline = monotonic() + LATEST * pause
            window: list[T] = []
            while kind == "item":
                window.append(value)
                full = len(window) == limit or monotonic() > deadline
                kind, value = ("full", None) if full else _next(queue, pause)
            if window:
                yield window
            if kind == "error":
                raise value
            if kind == "end":
                return
            limit = min(2 * limit, size)
            if queue.qsize() < limit:
                yield []
    finally:
        stop.set()


def _next(queue: Queue[Event], pause: float) -> Event:
    try:
        return queue.get(timeout=pause)
    except Empty:
        return "pause", None


def _pump(items: Iterable[Any], queue: Queue[Event], stop: Flag) -> None:
    """Fill the queue from `items`; runs in its own thread until the end, an error or `stop`."""

    def put(kind: str, value: Any = None) -> None:
        while not stop.is_set():
            try:
                return queue.put((kind, value), timeout=1)
            except Full:
                continue

    try:
        for item in items:
            put("item", item)
            if stop.is_set():
                return
    except BaseException as error:
        put("error", error)
    else:
        put("end")


def _good(items: Sequence[Readable]) -> list[Row]:
    return [item.row for item in items if item.row is not None]


def _result(item: Readable, answers: Iterator[Answer | str]) -> Result:
    if item.row is None:
        return Result(item.record, None, item.error)
    answer = next(answers)
    if isinstance(answer, str):
        return Result(item.record, None, answer)
    return Result(item.record, answer)


def answer_rows(predictor: Answering, rows: Sequence[Row]) -> Sequence[Answer | str]:
    """Answer rows, as many as there are; a text in place of an answer says why a row has none.

    What is no matter of a row (memory, the network, a refusal) is raised.
    """
    (found,) = predictor.predict_windows([rows]) if rows else ([],)
    return _settled(predictor, rows, found)


def _settled(
    predictor: Answering, rows: Sequence[Row], found: Sequence[Answer | str] | Exception
) -> Sequence[Answer | str]:
    """The answers that were found; where rows have failed, halve them until the rows that fail
    stand alone.

    What is no matter of a row (memory, the network, a refusal) is raised.
    """
    if not isinstance(found, Exception):
        return found
    if isinstance(found, InputError):
        failure = reason(found)
    elif isinstance(found, HfkitError | MemoryError):
        raise found
    else:
        log.debug("a window of %d rows failed", len(rows), exc_info=found)
        lines = str(found).splitlines()
        failure = f"the model failed: {type(found).__name__}" + (f": {lines[0]}" if lines else "")
    if len(rows) == 1:
        return [failure]
    middle = len(rows) // 2
    return [
        answer
        for half in (rows[:middle], rows[middle:])
        for answer in _settled(predictor, half, attempt(predictor.predict, half))
    ]


def reason(error: InputError) -> str:
    """The line of an error without its place, for the record that has a place of its own."""
    return f"{error.message}; {error.hint}" if error.hint else error.message
