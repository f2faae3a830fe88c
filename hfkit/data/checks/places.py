"""Where rows stand: a line for each, 8 bytes, and the file from which row on."""

from __future__ import annotations

from array import array
from bisect import bisect_right

from hfkit.data.record import Record


class Places:
    """The places of the rows of one part, by their numbers from 0."""

    def __init__(self) -> None:
        self._lines = array("q")  # of a file without lines the number of the row, below 0
        self._starts: list[int] = []
        self._paths: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, record: Record) -> None:
        """Keep the place of the next row."""
        if not self._paths or self._paths[-1] != record.path:
            self._starts.append(len(self._lines))
            self._paths.append(record.path)
        self._lines.append(record.line or -record.row)

    def __getitem__(self, number: int) -> str:
        path = self._paths[bisect_right(self._starts, number) - 1]
        line = self._lines[number]
        return Record({}, max(-line, 0), path, max(line, 0)).place
