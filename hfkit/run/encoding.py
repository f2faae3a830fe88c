"""Encoded rows in memory, packed into flat arrays: lists of Python numbers take ten times more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from hfkit.data.dataset import Dataset
from hfkit.errors import InputError, RowError
from hfkit.tasks.base import EncodedRow, Row, Task

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

CHUNK = 4096  # rows encoded at once


class Packed(Sequence[EncodedRow]):
    """Encoded rows that all have the same keys; an item is made anew each time it is asked for.

    A list becomes a slice of one flat array per key, a number an entry of one array per key.
    """

    def __init__(self, chunks: Sequence[Sequence[EncodedRow]]) -> None:
        self.size = sum(len(chunk) for chunk in chunks)
        first = next((row for chunk in chunks for row in chunk), {})
        self.ends: dict[str, NDArray[np.int64]] = {}
        self.values: dict[str, NDArray[Any]] = {}
        for key, value in first.items():
            column = [row[key] for chunk in chunks for row in chunk]
            if isinstance(value, list):
                self.ends[key] = np.cumsum([0, *(len(items) for items in column)])
                column = [item for items in column for item in items]
            small = all(isinstance(item, int) for item in column)
            self.values[key] = np.array(column, dtype=np.int32 if small else np.float32)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each encoded row."""
        return np.diff(self.ends["input_ids"])

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> EncodedRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[EncodedRow]: ...
    def __getitem__(self, index: int | slice) -> EncodedRow | list[EncodedRow]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.size))]
        if not 0 <= index < self.size:
            raise IndexError(index)
        row: EncodedRow = {}
        for key, values in self.values.items():
            ends = self.ends.get(key)
            found = values[index] if ends is None else values[ends[index] : ends[index + 1]]
            row[key] = found.tolist()
        return row


def encode(
    data: Dataset, task: Task[Any], tokenizer: Tokenizer, name: str, *, targets: bool
) -> Packed:
    """Encode all rows of a data set; say how many texts are windowed or cut.

    Raises `InputError` with its place for a text that is too long under ``--on-long error``.
    """
    chunks: list[list[EncodedRow]] = []
    cut = windowed = 0
    for start in range(0, len(data.rows), CHUNK):
        rows = data.rows[start : start + CHUNK]
        encoded = _features(data, start, rows, task, tokenizer)
        if targets:
            try:
                task.targets(rows, encoded)
            except RowError as error:
                raise data.located(RowError(error.message, row=start + error.row)) from error
        texts = {(part["_row"], part.get("side")) for part in encoded}
        cut += len({(part["_row"], part.get("side")) for part in encoded if part.get("_truncated")})
        windowed += len(encoded) - len(texts)
        for part in encoded:
            part["_row"] += start
            part["_truncated"] = int(bool(part.get("_truncated")))
        chunks.append(encoded)
    if windowed:
        log.info("%s: long texts are read in windows of %d tokens, %d more than there are rows",
                 name, tokenizer.max_length, windowed)  # fmt: skip
    if cut:
        log.warning("%s: %d of %d texts are longer than %d tokens and were cut",
                    name, cut, len(data.rows), tokenizer.max_length)  # fmt: skip
    return Packed(chunks)


def _features(
    data: Dataset, start: int, rows: Sequence[Row], task: Task[Any], tokenizer: Tokenizer
) -> list[EncodedRow]:
    try:
        return task.features(rows, tokenizer)
    except RowError as error:
        raise data.located(
            RowError(error.message, row=start + error.row, hint=error.hint)
        ) from error
    except InputError as whole:
        for number, row in enumerate(rows):  # one of them is at fault: find which
            try:
                task.features([row], tokenizer)
            except InputError as error:
                place = data.place(start + number)
                raise InputError(error.message, place=place, hint=error.hint) from whole
        raise
