"""Windows of rows through an engine that does not wait between them.

    windows ─ encode ─▶ parts ─ batches ─▶ the engine ─ outputs ─▶ parts ─ decode ─▶ answers

An engine that has several batches under way (`run_all`) gets those of the next window while it
computes the last of this one. What happens on the thread that asks, which is reading, encoding,
decoding and writing, then takes no time from computing. There is no thread but the engine's own.

A part is what is encoded and decoded together: a window, or what of it memory has room for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hfkit.errors import InputError, RowError
from hfkit.infer.ahead import attempt
from hfkit.tasks.collate import collate, length_of

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays, Engine
    from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row
    from hfkit.text import Tokenizer

Batch = list[int]  # positions in a list of encoded rows

# Tokens of a part. They take 50 bytes each as Python's numbers, and a text with 150 candidate
# labels is encoded 150 times.
AT_ONCE = 2**18
FIRST = 64  # rows: how many tokens one makes shows after them
WINDOW = 4096  # rows, where none are given; an error is found at the end of a window


class Steps(Protocol):
    """What answers rows in three steps, the second of them an engine's."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Its `padding` fills up batches."""
        ...

    @property
    def engine(self) -> Engine:
        """What computes."""
        ...

    @property
    def token_outputs(self) -> Sequence[str]:
        """The outputs that have one entry for each token of a row."""
        ...

    @property
    def joined(self) -> bool:
        """Whether the rows of a window are encoded together, and make one part."""
        ...

    def encode(self, rows: Sequence[Row]) -> list[EncodedRow]:
        """Turn rows into encoded rows; one row may become several."""
        ...

    def batches(self, encoded: Sequence[EncodedRow]) -> list[Batch]:
        """The batches that these encoded rows are computed in."""
        ...

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """One answer per row, of one mapping of outputs per encoded row."""
        ...


class Answerer:
    """The part of what answers rows in `Steps` that is the same for all."""

    @property
    def joined(self) -> bool:
        """Whether rows are encoded together with their neighbours."""
        return False

    def predict(self: Steps, rows: Sequence[Row]) -> list[Answer]:
        """Answer rows, in their order. Raises `RowError` for one that is refused."""
        return answers_of(self, rows)

    def predict_windows(
        self: Steps, windows: Iterable[Sequence[Row]]
    ) -> Generator[list[Answer] | Exception]:
        """Answer windows of rows; see `answer_windows`."""
        return answer_windows(self, windows)


def answer_windows(
    steps: Steps, windows: Iterable[Sequence[Row]]
) -> Generator[list[Answer] | Exception]:
    """Answer windows, in their order; what makes a window fail comes in the place of its answers.

    Windows are asked for ahead of the answers, as many as the engine has batches under way; but
    before the window after an empty one, all answers so far are given. What `windows` raises comes
    after them.
    """
    answers: list[Answer] = []
    failure: Exception | None = None
    with closing(_Flow(steps, windows).parts()) as parts:
        for part in parts:
            found = part.answers(steps)
            if not isinstance(found, Exception):
                answers += found
            elif failure is None:
                failure = found
                if isinstance(found, RowError):
                    found.row += part.start
            if part.is_last:
                yield failure or answers
                answers, failure = [], None


def answers_of(steps: Steps, rows: Sequence[Row]) -> list[Answer]:
    """Answer rows, in their order; raise what makes them fail, with the number of the row."""
    answers: list[Answer] = []
    windows = (rows[start : start + WINDOW] for start in range(0, len(rows), WINDOW))
    with closing(answer_windows(steps, windows)) as found:
        for window in found:
            if isinstance(window, RowError):
                window.row += len(answers)
            if isinstance(window, Exception):
                raise window
            answers += window
    return answers


def run_batches(engine: Engine, batches: Iterable[Arrays]) -> Generator[Arrays | Exception]:
    """Compute batches in their order; an engine that can has several under way (`run_all`).

    An exception comes in the place of the outputs of a batch that fails.
    """
    several = getattr(engine, "run_all", None)
    if several:
        yield from several(batches)
    else:
        for batch in batches:
            yield attempt(engine.run, batch)


def by_row(
    outputs: Outputs, batch: Batch, encoded: Sequence[EncodedRow], token_outputs: Sequence[str]
) -> Iterator[tuple[int, Outputs]]:
    """The outputs of each row of a batch, without padding, by its position in `encoded`.

    Raises `InputError` where an output is not finite.
    """
    import numpy as np

    for name, array in outputs.items():
        if not np.isfinite(array).all():
            raise InputError(f"the model's {name} are not finite numbers")
    for place, index in enumerate(batch):
        length = length_of(encoded[index])
        yield (
            index,
            {
                name: array[place, :length] if name in token_outputs else array[place]
                for name, array in outputs.items()
            },
        )


@dataclass
class _Part:
    """Rows of a window, from the row `start` on, and how far they have come. They are encoded and
    decoded in `chunks`: rows, and how many encoded rows they have become."""

    start: int
    chunks: list[tuple[Sequence[Row], int]] = field(default_factory=list)
    is_last: bool = False
    encoded: list[EncodedRow] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    outputs: dict[int, Outputs] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to compute."""
        return self.error is not None or len(self.outputs) == len(self.encoded)

    @property
    def size(self) -> int:
        """How many rows it has."""
        return sum(len(rows) for rows, _ in self.chunks)

    def encode(self, steps: Steps, rows: Sequence[Row]) -> None:
        """Encode one more chunk of rows; what refuses one of them is told its place in the part."""
        try:
            found = steps.encode(rows) if rows else []
        except RowError as error:
            error.row += self.size
            raise
        self.chunks.append((rows, len(found)))
        self.encoded += found

    def room(self) -> int:
        """How many rows like these there is room for in one part."""
        tokens = sum(map(length_of, self.encoded))
        return max(1, AT_ONCE * self.size // max(tokens, 1))

    def answers(self, steps: Steps) -> list[Answer] | Exception:
        """Decode what was computed."""
        if self.error is not None:
            return self.error
        answers: list[Answer] = []
        begin = 0
        try:
            for rows, count in self.chunks:
                end = begin + count
                outputs = [self.outputs[number] for number in range(begin, end)]
                answers += steps.decode(outputs, self.encoded[begin:end], rows) if rows else []
                begin = end
        except RowError as error:
            error.row += len(answers)
            return error
        except Exception as error:
            return error
        return answers


def _encoded_parts(steps: Steps, windows: Iterable[Sequence[Row]]) -> Iterator[_Part]:
    """Cut windows into parts and encode them, each window by its own rows alone: whoever goes on
    with the next one computes the same batches. A window that cannot be encoded ends there."""
    for rows in windows:
        start, size, is_last = 0, len(rows) if steps.joined else FIRST, False
        while not is_last:
            part = _Part(start)
            try:
                part.encode(steps, rows[start : start + size])
                if not start and part.size < len(rows):
                    size = part.room()
                    part.encode(steps, rows[part.size : size])
                start, size = start + part.size, part.room()
                part.is_last = start >= len(rows)
                part.batches = steps.batches(part.encoded)
            except Exception as error:
                part.error, part.is_last = error, True
            is_last = part.is_last
            yield part


class _Flow:
    """Parts on their way through the engine."""

    def __init__(self, steps: Steps, windows: Iterable[Sequence[Row]]) -> None:
        self._steps = steps
        self._encoded = _encoded_parts(steps, windows)
        self._waiting: deque[_Part] = deque()  # not given yet
        self._sent: deque[tuple[_Part, Batch]] = deque()  # under way
        self._ended = False
        self._broken: Exception | None = None

    def parts(self) -> Generator[_Part]:
        """The parts in their order, as they are done."""
        while not self._ended:
            with closing(run_batches(self._steps.engine, self._batches())) as computed:
                for outputs in computed:
                    self._take(outputs)
                    while self._waiting and self._waiting[0].is_done:
                        yield self._waiting.popleft()
            yield from self._waiting
            self._waiting.clear()
        if self._broken is not None:
            raise self._broken

    def _batches(self) -> Iterator[Arrays]:
        """The batches of the next parts, up to one that has none."""
        while part := self._next():
            self._waiting.append(part)
            is_sent = False
            for batch in part.batches:
                if part.error is not None:  # one of its batches has failed meanwhile
                    break
                try:
                    rows = [part.encoded[index] for index in batch]
                    arrays = collate(rows, self._steps.tokenizer.padding)
                except Exception as error:
                    part.error = error
                    break
                self._sent.append((part, batch))
                is_sent = True
                yield arrays
            if not is_sent:
                return
        self._ended = True

    def _next(self) -> _Part | None:
        """The next part; what the windows raise is kept until the parts before are given."""
        try:
            return next(self._encoded, None)
        except Exception as error:
            self._broken = error
            return None

    def _take(self, outputs: Arrays | Exception) -> None:
        """Take what came of the batch that was sent first."""
        part, batch = self._sent.popleft()
        if part.error is not None:
            return
        if isinstance(outputs, Exception):
            part.error = outputs
            return
        try:
            part.outputs.update(by_row(outputs, batch, part.encoded, self._steps.token_outputs))
        except Exception as error:
            part.error = error
