"""Labels: how many rows each has, and which cannot be learnt, or not be scored."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hfkit.data.checks.findings import Findings
from hfkit.data.checks.personal import masked
from hfkit.data.checks.walk import Seen
from hfkit.data.display import shown
from hfkit.data.labels import near_duplicates
from hfkit.data.split import types_of

IMBALANCED = 20  # times as many rows of one label as of another
RARE = 5  # rows
MOST_NAMES = 1000  # more are numbers, not names
UNSEEN = {"labels": "label-unseen", "entities": "type-unseen"}


class Labels:
    """The labels of one part: names, types of entities, or numbers."""

    def __init__(
        self, kind: str, part: str, findings: Findings, training: Labels | None, trainable: bool
    ) -> None:
        self._kind, self._part, self._findings = kind, part, findings
        self._training, self._trainable = training, trainable
        self.counts: Counter[str] = Counter()
        self._values = array("d")  # scores
        self._several = False

    def see(self, seen: Seen) -> None:
        """Count the labels of a row."""
        label = seen.label
        if self._kind == "scores":
            if label is not None:
                self._values.append(label)
            return
        self._several = self._several or isinstance(label, list)
        names = list(self._names(label))
        self.counts.update(names)
        if self._training and self._trainable and not self._training.are_numbers():
            for name in names:
                if name not in self._training.counts:
                    self._findings.add(
                        UNSEEN[self._kind], self._part, seen.record, reason=named(name)
                    )

    def _names(self, label: Any) -> Iterator[str]:
        if self._kind == "entities":
            yield from (str(name) for name in types_of(label or ()))
        elif isinstance(label, list):
            yield from map(str, label)
        elif label is not None:
            yield str(label)

    def close(self) -> None:
        """Report what is wrong with the labels as a whole; of training data only."""
        if self._training or self._kind not in UNSEEN or self.are_numbers() or not self.counts:
            return
        add = self._findings.add
        if self._kind == "labels" and self._trainable:
            if len(self.counts) == 1 and not self._several:
                add("label-single", self._part, reason=named(next(iter(self.counts))))
            (most, largest), (least, smallest) = self._extremes()
            if largest >= IMBALANCED * smallest:
                reason = f"{named(most)} {largest}, {named(least)} {smallest}"
                add("label-imbalance", self._part, reason=reason)
        for name, count in self.counts.items():
            if count < RARE and self._trainable:
                add("label-rare", self._part, reason=f"{named(name)} {count}")
        if len(self.counts) < MOST_NAMES:
            for group in near_duplicates(sorted(self.counts)):
                add("label-spelling", self._part, reason=", ".join(map(named, group)))

    def _extremes(self) -> tuple[tuple[str, int], tuple[str, int]]:
        ordered = self.counts.most_common()
        return ordered[0], ordered[-1]

    def are_numbers(self) -> bool:
        """Whether the labels are numbers to predict rather than classes: nearly all are numbers,
        and one has a fraction, as training decides it."""
        if self._kind != "labels" or self._several:
            return False
        numbers = [(number, count) for name, count in self.counts.items()
                   if math.isfinite(number := _as_number(name))]  # fmt: skip
        fractions = any(not number.is_integer() for number, _ in numbers)
        enough = sum(count for _, count in numbers) * 5 > self.counts.total() * 4
        return fractions and enough

    def summary(self) -> dict[str, Any]:
        """The histogram, the most frequent first; of numbers, what they range over."""
        numbers: list[float] = list(self._values)
        if self.are_numbers():
            numbers = [_as_number(name) for name in self.counts.elements()]
            numbers = [number for number in numbers if math.isfinite(number)]
        if numbers:
            return {"count": len(numbers), "lowest": min(numbers), "highest": max(numbers),
                    "mean": round(math.fsum(numbers) / len(numbers), 4)}  # fmt: skip
        return {masked(name): count for name, count in self.counts.most_common()}


def named(name: str) -> str:
    """A label as it may stand in a report."""
    return shown(masked(name))


def _as_number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan
