"""A record: one row of a file as it stands there, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hfkit.errors import InputError

Fields = dict[str, Any]


class Fault(str):
    """What is wrong with a row, and in which column of its line that shows, counted from 1."""

    __slots__ = ("column",)

    column: int

    def __new__(cls, message: str, column: int) -> Fault:
        """Return the message as a text that knows its column."""
        fault = super().__new__(cls, message)
        fault.column = column
        return fault


@dataclass(slots=True)
class Record:
    """One row as read. `error` is not empty where the row could not be parsed; `fields` then holds
    what could be. `line` is the 1-based physical line on which the row starts (0: the source has
    no lines, as Parquet or a Hub data set), `row` the 1-based number of the row in the source."""

    fields: Fields
    row: int
    path: str = ""
    line: int = 0
    error: str = ""

    @property
    def column(self) -> int:
        """The column of the line in which the error shows; 0 where it has none of its own."""
        return self.error.column if isinstance(self.error, Fault) else 0

    @property
    def place(self) -> str:
        """Where the row stands, as compilers print it: ``train.csv:22``, where the error has a
        column ``train.csv:22:7``, and ``x.parquet: row 22``."""
        if not self.line:
            return f"{self.path}: row {self.row}"
        return f"{self.path}:{self.line}" + (f":{self.column}" if self.column else "")


def strict(records: Iterable[Record]) -> Iterator[Record]:
    """Pass records on; raise `InputError` with its place at the first that could not be parsed."""
    for record in records:
        if record.error:
            raise InputError(record.error, place=record.place)
        yield record
