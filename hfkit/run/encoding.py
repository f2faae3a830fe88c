"""Encoded rows packed into flat arrays: lists of Python numbers take ten times more.

Rows become arrays chunk by chunk. Arrays that grow large lie in files without a name in the run's
folder, mapped into memory: the system keeps of them what there is room for, and drops them when the
process ends, however it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from hfkit.data.dataset import Dataset
from hfkit.errors import InputError, RowError
from hfkit.sealing import storing
from hfkit.tasks.base import EncodedRow, Row, Task

if TYPE_CHECKING:
    from typing import IO

    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

CHUNK = 4096  # rows encoded at once
LARGE = 64 * 2**20  # bytes of one array; a larger one lies in a file


class Column:
    """Numbers that come in chunks: int32, or float32 as soon as one of them is not whole.

    Above `large` bytes they go to a file in `folder` (None: they never do).
    """

    def __init__(self, folder: Path | None, large: int) -> None:
        self._folder, self._large = folder, large
        self._type: type[np.int32 | np.float32] = np.int32
        self._parts: list[NDArray[Any]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, numbers: list[Any]) -> None:
        """Append a chunk. Raises `ResourceError` where the disk is full."""
        if self._type is np.int32 and not all(isinstance(number, int) for number in numbers):
            self._become_float()
        self._parts.append(np.array(numbers, dtype=self._type))
        self._bytes += self._parts[-1].nbytes
        if self._folder is not None and self._bytes > self._large:
            self._write(self._folder)

    def array(self) -> NDArray[Any]:
        """All numbers, in memory or mapped."""
        if self._file is not None:
            return np.asarray(self._mapped("r", self._type))
        return np.concatenate(self._parts)

    def close(self) -> None:
        """Close the file; what is mapped stays."""
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take has been said
                self._file.close()

    def _write(self, folder: Path) -> None:
        with storing(folder, self._bytes):
            self._file = self._file or TemporaryFile(dir=folder)  # noqa: SIM115 - see close
            for part in self._parts:
                self._file.write(part.data)
            self._file.flush()
        self._parts.clear()

    def _mapped(self, mode: Literal["r", "r+"], kind: type[Any]) -> NDArray[Any]:
        file: Any = self._file
        return np.memmap(file, kind, mode)

    def _become_float(self) -> None:
        self._type = np.float32
        self._parts = [part.astype(np.float32) for part in self._parts]
        if self._file is not None:  # the numbers have the same size: each is replaced where it is
            whole = self._mapped("r+", np.int32)
            for start in range(0, len(whole), 2**20):
                part = whole[start : start + 2**20]
                part.view(np.float32)[:] = part.astype(np.float32)


class Packed(Sequence[EncodedRow]):
    """Encoded rows that all have the same keys; an item is made anew each time it is asked for.

    A list becomes a slice of one flat array per key, a number an entry of one array per key.
    """

    def __init__(
        self,
        chunks: Iterable[Sequence[EncodedRow]],
        folder: Path | None = None,
        large: int | None = None,
    ) -> None:
        self.size = 0
        lengths: dict[str, list[NDArray[np.int64]]] = {}
        columns: dict[str, Column] = {}
        bound = LARGE if large is None else large
        try:
            for chunk in chunks:
                self.size += len(chunk)
                for key, value in chunk[0].items() if chunk else ():
                    found = [row[key] for row in chunk]
                    if isinstance(value, list):
                        sizes = np.array([len(items) for items in found], dtype=np.int64)
                        lengths.setdefault(key, [np.zeros(1, np.int64)]).append(sizes)
                        found = [item for items in found for item in items]
                    columns.setdefault(key, Column(folder, bound)).add(found)
            self.values = {key: column.array() for key, column in columns.items()}
        finally:
            for column in columns.values():
                column.close()
        self.ends = {key: np.cumsum(np.concatenate(sizes)) for key, sizes in lengths.items()}

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
    data: Dataset,
    task: Task[Any],
    tokenizer: Tokenizer,
    name: str,
    *,
    targets: bool,
    folder: Path | None = None,
) -> Packed:
    """Encode all rows of a data set; say how many texts are windowed or cut.

    Large arrays go to files in `folder`. Raises `InputError` with its place for a text that is too
    long under ``--on-long error``, and `ResourceError` where the disk is full.
    """
    counts = {"cut": 0, "windowed": 0, "targets": 0}
    packed = Packed(_chunks(data, task, tokenizer, counts, targets=targets), folder)
    if not len(packed):
        raise InputError("no text that is long enough to learn from", place=data.source)
    if counts["windowed"] and not task.joined:
        log.info("%s: long texts are read in windows of %d tokens, %d more than there are rows",
                 name, tokenizer.max_length, counts["windowed"])  # fmt: skip
    if counts["cut"]:
        log.warning("%s: %d of %d texts are longer than %d tokens and were cut",
                    name, counts["cut"], len(data.rows), tokenizer.max_length)  # fmt: skip
    if counts["targets"]:
        log.warning("%s: %d of %d right texts are longer than --max-target-length and were cut",
                    name, counts["targets"], len(data.rows))  # fmt: skip
    return packed


def _chunks(
    data: Dataset,
    task: Task[Any],
    tokenizer: Tokenizer,
    counts: dict[str, int],
    *,
    targets: bool,
) -> Iterator[list[EncodedRow]]:
    """The encoded rows, some thousand at a time; adds up how many texts were cut or windowed."""
    for start in range(0, len(data.rows), CHUNK):
        rows = data.rows[start : start + CHUNK]
        encoded = _features(data, start, rows, task, tokenizer)
        if targets:
            try:
                task.targets(rows, encoded)
            except RowError as error:
                raise data.located(RowError(error.message, row=start + error.row)) from error
        texts = {(part["_row"], part.get("side")) for part in encoded}
        counts["cut"] += len(
            {(part["_row"], part.get("side")) for part in encoded if part.get("_truncated")}
        )
        counts["windowed"] += len(encoded) - len(texts)
        counts["targets"] += sum(part.get("_target_cut", 0) for part in encoded)
        for part in encoded:
            part["_row"] += start
            part["_truncated"] = int(bool(part.get("_truncated")))
        yield encoded


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
        if whole.place:  # it knows better than by the row
            raise
        for number, row in enumerate(rows):  # one of them is at fault: find which
            try:
                task.features([row], tokenizer)
            except InputError as error:
                place = data.place(start + number)
                raise InputError(error.message, place=place, hint=error.hint) from whole
        raise
