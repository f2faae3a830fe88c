"""Rows that cannot be used: each is named with its place, then refused or left out.

``--on-bad-row error`` ends the command with the first bad row as its error, after naming the next
ones; ``skip`` leaves bad rows out, counts them and keeps a line of JSON for each. A row is bad
where it cannot be read: its line, its text, its label. A row with a label that the model does not
know is a good row of other data and ends the command in any case: to leave it out would better the
score.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field

from hfkit.data.record import Record
from hfkit.errors import InputError

log = logging.getLogger(__name__)

MOST_SHOWN = 20  # bad rows named on stderr
REJECTED = "rejected.jsonl"

Order = tuple[int, int, int]  # of the file, of the row in it, of the mistakes in a row


@dataclass
class BadRows:
    """The bad rows of one source, in the order of the file. `may_skip` says whether the command
    has a flag to leave them out."""

    source: str = ""
    skip: bool = False
    may_skip: bool = True
    count: int = 0
    # Labels are read after all texts, so that rows do not come in their order.
    _named: list[tuple[Order, InputError]] = field(default_factory=list)
    _listed: list[tuple[Order, bytes]] = field(default_factory=list)
    _files: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> bytes:
        """What rejected.jsonl says of them, a line for each."""
        return b"".join(line for _, line in sorted(self._listed))

    def check(self, record: Record) -> bool:
        """Whether a record could not be parsed; it is then taken note of."""
        if record.error:
            self.add(record, InputError(record.error))
        return bool(record.error)

    def add(self, record: Record, error: InputError) -> None:
        """Take note of a bad row; `error` has no place yet."""
        file = self._files.setdefault(record.path, len(self._files))
        order = file, record.line or record.row, self.count
        self.count += 1
        if self.count <= MOST_SHOWN:
            placed = InputError(error.message, place=record.place, hint=error.hint)
            self._named.append((order, placed))
        if self.skip:
            self._listed.append((order, _line(record, error)))

    def refuse(self) -> None:
        """Raise `InputError` for the first bad row where there is one, unless they are skipped."""
        if self.skip or not self.count:
            return
        first, *others = (error for _, error in sorted(self._named))
        self._name(others)
        hints = [first.hint] if first.hint else []
        if others:
            rows = "row is" if self.count == 2 else "rows are"
            hints.append(f"{self.count - 1} more {rows} bad")
        if self.may_skip:
            hints.append(f"--on-bad-row skip leaves {'them' if others else 'it'} out")
        raise InputError(first.message, place=first.place, hint="; ".join(hints))

    def tell(self, kept: int) -> None:
        """Name the first rows that are left out, and say how many they are.

        Raises `InputError` where no row is left.
        """
        if not self.count:
            return
        self._name([error for _, error in sorted(self._named)])
        total = kept + self.count
        if not kept:
            raise InputError(f"none of {total} rows can be used", place=self.source)
        log.warning("%s: %d of %d rows are bad and left out", self.source, self.count, total)

    def _name(self, errors: list[InputError]) -> None:
        for error in errors:
            log.warning("%s", error)
        if self.count > MOST_SHOWN:
            log.warning("… and %d more bad rows", self.count - MOST_SHOWN)


def _line(record: Record, error: InputError) -> bytes:
    """What rejected.jsonl says of a row: where it stands, and why it is not used."""
    place = {"line": record.line} if record.line else {"row": record.row}
    column = {"column": record.column} if record.column else {}
    found = {"file": record.path, **place, **column, "reason": error.message}
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
