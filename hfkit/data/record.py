"""A record: one row of a file as it stands there, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hfkit.errors import InputError

Fields = dict[str, Any]


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
    def place(self) -> str:
        """Where the row stands, as compilers print it: ``train.csv:22``, ``x.parquet: row 22``."""
        return f"{self.path}:{self.line}" if self.line else f"{self.path}: row {self.row}"


def strict(records: Iterable[Record]) -> Iterator[Record]:
    """Pass records on; raise `InputError` with its place at the first that could not be parsed."""
    for record in records:
        if record.error:
            raise InputError(record.error, place=record.place)
        yield record
