"""Counting rows as they are answered, and saying which of them went wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfkit.infer.stream import Result

log = logging.getLogger(__name__)

MOST_SHOWN = 20  # bad rows named on stderr; the output names them all


@dataclass
class Tally:
    """Rows written, how many of them have no answer, and how many texts were cut."""

    rows: int = 0
    errors: int = 0
    truncated: int = 0

    def add(self, result: Result) -> None:
        """Count a result, and name the first bad rows on stderr."""
        self.rows += 1
        if result.answer is None:
            self.errors += 1
            if self.errors <= MOST_SHOWN:
                log.warning("%s: %s", result.record.place, result.error)
        elif result.answer.get("truncated"):
            self.truncated += 1

    def report(self, what: str) -> None:
        """Say how many rows have no `what`, and how many texts were cut."""
        if self.errors > MOST_SHOWN:
            log.warning("… and %d more rows", self.errors - MOST_SHOWN)
        if self.errors:
            log.warning("%d of %d rows have no %s", self.errors, self.rows, what)
        if self.truncated:
            log.warning(
                "%d of %d texts are longer than the model reads and were cut",
                self.truncated,
                self.rows,
            )
