"""Plain text: one text a line, in the column ``text``.

A blank line is a row with an empty text: a row of output stands for every line of input.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfkit.data.lines import unreadable, without_end
from hfkit.data.record import Record
from hfkit.errors import EmptyError


def read(lines: Iterator[str], path: str) -> Iterator[Record]:
    """Yield one record per line. Raises `InputError` for a file without lines."""
    number = 0
    for number, line in enumerate(lines, 1):
        yield Record({"text": without_end(line)}, number, path, number, unreadable(line))
    if not number:
        raise EmptyError("is empty", place=path)
