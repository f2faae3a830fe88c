"""How long texts are: in tokens of the model, or in words where no model is at hand."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from hfkit.data.checks.findings import Findings
from hfkit.data.checks.places import Places
from hfkit.data.checks.texts import written_texts
from hfkit.data.checks.walk import Seen

Measure = Callable[[Sequence[tuple[str, ...]]], list[int]]  # texts of rows -> lengths
AT_ONCE = 256
PERCENTILES = (50, 95, 99)


class Lengths:
    """The lengths of the rows of one part, 4 bytes each."""

    def __init__(
        self, part: str, findings: Findings, measure: Measure, limit: int | None, code: str
    ) -> None:
        """`limit` is the longest that is read at once, None where that is not known; `code` says
        what happens to longer rows."""
        self._part, self._findings, self._measure = part, findings, measure
        self._limit, self._code = limit, code
        self._lengths = array("L")
        self._places = Places()
        self._waiting: list[tuple[str, ...]] = []

    def see(self, seen: Seen) -> None:
        """Measure a row, with others."""
        texts = written_texts(seen.row, label_is_text=False)
        self._waiting.append(tuple(text for _, text in texts))
        self._places.append(seen.record)
        if len(self._waiting) >= AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        start = len(self._lengths)
        self._lengths.extend(self._measure(self._waiting))
        self._waiting.clear()
        for number in range(start, len(self._lengths)):
            if self._limit is not None and self._lengths[number] > self._limit:
                wanted = self._findings.wants_place(self._code, self._part)
                place = self._places[number] if wanted else None
                self._findings.add(self._code, self._part, place)

    def close(self) -> None:
        """Measure the last rows."""
        self._settle()

    def summary(self) -> dict[str, Any]:
        """Percentiles, the longest, and the share that is longer than the limit."""
        ordered = sorted(self._lengths)
        if not ordered:
            return {}
        ranks = {f"p{share}": ordered[(len(ordered) - 1) * share // 100] for share in PERCENTILES}
        longer = sum(length > self._limit for length in ordered) if self._limit else 0
        return {**ranks, "longest": ordered[-1], "limit": self._limit,
                "share_longer": round(longer / len(ordered), 4)}  # fmt: skip


def words_of(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """The length of each row in words; characters of scripts without spaces count as words.

    >>> words_of([("a cat sat",), ("你好",)])
    [3, 2]
    """
    return [sum(map(_words, texts)) for texts in rows]


def _words(text: str) -> int:
    if text.isascii():
        return len(text.split())
    unspaced = sum("\u2e80" <= character <= "\ud7ff" for character in text)
    return unspaced + len(text.split()) - (1 if unspaced == len(text) > 0 else 0)
