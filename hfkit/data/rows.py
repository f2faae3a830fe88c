"""The rows of a large file, kept in a file instead of in memory.

The file has no name, so that the system drops it when the process ends, however it ends. It holds
a piece of JSON for each row, and a row is made anew each time it is asked for.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from tempfile import TemporaryFile, gettempdir
from typing import Any, overload
from weakref import finalize

from hfkit.errors import ResourceError

Row = dict[str, Any]

LARGE = 256 * 2**20  # bytes; rows that take more go to a file
ROW = 300  # bytes of a row beside its characters
DISK = "/var/tmp"  # where large files belong; /tmp is memory on many systems


class StoredRows(Sequence[Row]):
    """Rows in a file. A row is a copy: to change it, change it and put it back.

    Raises `ResourceError` where the disk is full.
    """

    def __init__(self) -> None:
        self._file = TemporaryFile(dir=_folder())  # noqa: SIM115  it lives as long as the rows
        finalize(self, self._file.close)
        self._starts, self._sizes = array("q"), array("q")
        self._odd: dict[int, Row] = {}  # what JSON has no words for, which stays in memory
        self._end = self._flushed = 0

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index in self._odd:
            return dict(self._odd[index])
        start, size = self._starts[index], self._sizes[index]
        if start + size > self._flushed:
            self._flush()
        row: Row = json.loads(os.pread(self._file.fileno(), size, start))
        return row

    def append(self, row: Row) -> None:
        """Add a row at the end."""
        self._starts.append(0)
        self._sizes.append(0)
        self[len(self) - 1] = row

    def __setitem__(self, index: int, row: Row) -> None:
        try:
            piece = json.dumps(row).encode()
        except (TypeError, ValueError):
            self._odd[index] = row
            return
        self._odd.pop(index, None)
        try:
            self._file.write(piece)  # behind all others; what stood for it before is left there
        except OSError as error:
            raise _full(error) from error
        self._starts[index], self._sizes[index] = self._end, len(piece)
        self._end += len(piece)

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise _full(error) from error
        self._flushed = self._end


def gathered(rows: Iterator[Row], large: int | None = None) -> list[Row] | StoredRows:
    """Rows as a list, or above about `large` bytes in a file. Raises `ResourceError`."""
    bound = LARGE if large is None else large
    kept: list[Row] = []
    size = 0
    for row in rows:
        kept.append(row)
        size += ROW + sum(len(value) for value in row.values() if isinstance(value, str | list))
        if size > bound:
            break
    else:
        return kept
    stored = StoredRows()
    for row in kept:
        stored.append(row)
    kept.clear()
    for row in rows:
        stored.append(row)
    return stored


def in_chunks(rows: Sequence[Row], size: int = 4096) -> Iterator[Sequence[Row]]:
    """Rows, `size` at a time.

    >>> list(map(len, in_chunks([{}] * 5, 2)))
    [2, 2, 1]
    """
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def keys_of(values: Iterable[Any]) -> Iterator[bytes]:
    """16 bytes for each value, the same for equal ones only: texts are longer.

    >>> one, other, same = keys_of([["a", "b"], ["a, b"], ["a", "b"]])
    >>> one == same, one == other
    (True, False)
    """
    for value in values:
        text = repr(value).encode("utf-8", "surrogatepass")
        yield blake2b(text, digest_size=16).digest()


def _folder() -> str:
    """The folder for large files: ``TMPDIR``, else one that is not in memory."""
    usable = "TMPDIR" not in os.environ and os.access(DISK, os.W_OK)
    return DISK if usable else gettempdir()


def _full(error: OSError) -> ResourceError:
    return ResourceError(
        f"cannot keep the rows there ({(error.strerror or str(error)).lower()})",
        place=_folder(),
        hint="TMPDIR names another folder",
    )
