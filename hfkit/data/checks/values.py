"""Personal data in a record: every text of it is looked at, whatever column it stands in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfkit.data.checks.findings import Findings
from hfkit.data.checks.personal import find
from hfkit.data.record import Record


class Values:
    """Counts the personal data of one part."""

    def __init__(self, part: str, findings: Findings) -> None:
        self._part, self._findings = part, findings

    def scan(self, record: Record) -> None:
        """Count the values of a record by their kinds; a text that is there twice (the surface of
        an entity, an answer) counts once."""
        for text in dict.fromkeys(texts_in(record.fields)):
            for one in find(text):
                self._findings.add(f"personal-{one.kind}", self._part, record)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value of JSON; words in a list also as the text they make.

    >>> list(texts_in({"tokens": ["+41", "44"], "n": 1}))
    ['+41 44']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(inner, str) for inner in value):
            yield " ".join(value)
        else:
            for inner in value:
                yield from texts_in(inner)
