"""Rows that stand twice: in one file, with different labels, or in training and test data.

Texts count as the same where they are equal character for character, and as alike where they are
equal once case, white space and Unicode form are evened out. Of a row 32 bytes are kept: hashes of
its texts, of its evened texts and of its label, and its line.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.data.checks.findings import Findings
from hfkit.data.checks.places import Places
from hfkit.data.checks.texts import Texts
from hfkit.data.checks.walk import Seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST = 40  # characters of a text alone that says something; headings repeat


class Overlap(NamedTuple):
    """Rows with the same texts, further rows with texts that are alike, and the first of both."""

    same: int = 0
    alike: int = 0
    first: int = -1


class KnownTexts:
    """The texts of rows, as hashes."""

    def __init__(self) -> None:
        self.exact, self.evened, self.labels = array("Q"), array("Q"), array("Q")

    @classmethod
    def of(cls, rows: Iterable[Texts], labels: Iterable[Any] = ()) -> KnownTexts:
        """The texts of many rows, with their labels where there are any."""
        known = cls()
        for texts, label in zip_longest(rows, labels):
            known.append(texts, label)
        return known

    def append(self, texts: Texts, label: Any = None) -> None:
        """Keep the next row."""
        self.exact.append(_key(texts))
        self.evened.append(_key(map(evened, texts)))
        self.labels.append(0 if label is None else _key((repr(label),)))

    def found_in(self, other: KnownTexts) -> tuple[NDArray[Any], NDArray[Any]]:
        """Which of these rows have the same texts as one of `other`, and which have only alike
        ones; ``[rows]`` each, True or False."""
        import numpy as np

        same = np.isin(_numbers(self.exact), _numbers(other.exact))
        return same, np.isin(_numbers(self.evened), _numbers(other.evened)) & ~same

    def conflicts(self) -> list[int]:
        """The numbers of rows whose texts are alike another row's, and whose label is not."""
        groups = [[int(number) for number in group] for group in self.repeated()]
        several = (g for g in groups if len({self.labels[number] for number in g} - {0}) > 1)
        return sorted(number for group in several for number in group)

    def repeated(self) -> list[NDArray[Any]]:
        """The numbers of rows whose texts are the same or alike, a group each, in their order."""
        import numpy as np

        keys = _numbers(self.evened)
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        starts, ends = np.r_[0, edges], np.r_[edges, len(keys)]
        many = ends - starts > 1
        return [order[a:b] for a, b in zip(starts[many], ends[many], strict=True)]


class Duplicates:
    """Finds rows that stand twice in a part, and those that stand in the parts `before` it too."""

    def __init__(
        self, part: str, findings: Findings, before: list[Duplicates], *, apart: bool, alone: bool
    ) -> None:
        """`apart`: rows with one text and several labels are no mistake; `alone`: texts without
        labels, of which short ones repeat."""
        self.part, self._findings, self._before = part, findings, before
        self._apart, self._alone = apart, alone
        self.known, self.places = KnownTexts(), Places()

    def see(self, seen: Seen) -> None:
        """Keep what is needed of a row."""
        texts = seen.texts
        if self._alone and sum(map(len, texts)) < SHORTEST:
            return
        row = seen.row
        label = row.get("completion") if "completion" in row else row.get("label")
        self.known.append(texts, label)
        self.places.append(seen.record)

    def close(self) -> None:
        """Report what stands twice."""
        for number in () if self._apart else self.known.conflicts():
            self._add("label-conflict", number)
        self._report_repeats()
        for other in self._before:
            self._report_leaks(other)

    def _report_repeats(self) -> None:
        exact, labels = self.known.exact, self.known.labels
        repeats: list[tuple[int, str]] = []
        for group in self.known.repeated():
            met: set[tuple[int, int]] = set()
            met_labels: set[int] = set()
            for number in map(int, group):
                label = labels[number]
                if (exact[number], label) in met:
                    repeats.append((number, "text-duplicate"))
                elif label in met_labels:
                    repeats.append((number, "text-alike"))
                met.add((exact[number], label))
                met_labels.add(label)
        for number, code in sorted(repeats):
            self._add(code, number)

    def _report_leaks(self, other: Duplicates) -> None:
        same, alike = self.known.found_in(other.known)
        for code, hits in (("leak-same", same), ("leak-alike", alike)):
            for number in hits.nonzero()[0]:
                self._add(code, int(number), f"in the {other.part} data")

    def _add(self, code: str, number: int, reason: str = "") -> None:
        place = self.places[number] if self._findings.wants_place(code, self.part) else None
        self._findings.add(code, self.part, place, reason=reason)


def find_overlap(seen: KnownTexts, others: KnownTexts) -> Overlap:
    """Count the rows of `others` whose texts are in `seen`.

    >>> seen = KnownTexts.of([("A  cat",), ("a dog",)])
    >>> find_overlap(seen, KnownTexts.of([("a dog",), ("a cat",), ("a bird",)]))
    Overlap(same=1, alike=1, first=0)
    """
    same, alike = others.found_in(seen)
    either = (same | alike).nonzero()[0]
    return Overlap(int(same.sum()), int(alike.sum()), int(either[0])) if len(either) else Overlap()


def evened(text: str) -> str:
    """Return a text without what a second copy of it may differ in.

    >>> evened(" Ｔhe\\tCAFE\\u0301 ") == evened("the caf\\u00e9")
    True
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(plain.casefold().split())


def _key(texts: Iterable[str]) -> int:
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "little") or 1


def _numbers(keys: array[int]) -> NDArray[Any]:
    import numpy as np

    return np.frombuffer(keys, dtype=np.uint64) if keys else np.zeros(0, dtype=np.uint64)
