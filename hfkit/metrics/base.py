"""The contract of a metric: answers and gold answers in, scores out.

A metric turns its answers into arrays once. Every score is then computed from *counts*: how often
each example is taken. All ones give the score of the data; the counts of a draw with replacement
give one resample of a bootstrap, without touching the answers again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError

Answer = Mapping[str, Any]
Counts = NDArray[np.int64]


class Metric(ABC):
    """The scores of one set of answers.

    A subclass reads `answers` and `gold` in its constructor and implements `weighted`, `tables`
    and `baseline`. Raises `InputError` where there is nothing to score, where the two differ in
    length, and where an answer lacks what the metric reads.
    """

    headline: ClassVar[str]  # the score shown first
    lower_is_better: ClassVar[frozenset[str]] = frozenset()  # the scores that are errors
    packages: ClassVar[tuple[str, ...]] = ()  # of the extra `text`, without which there is no score
    clusters: Sequence[Hashable] | None = None  # per example: what it is drawn with, its document
    right_share: ClassVar[str] = ""  # the score that is the share of what `is_right`
    linear: ClassVar[frozenset[str]] = frozenset()  # what only a line through `score` leaves alone

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        if len(answers) != len(gold):
            raise InputError(f"{len(answers)} answers for {len(gold)} gold answers")
        if not answers:
            raise InputError("there are no answers to score")
        self.count = len(answers)
        self.labels = list(labels)

    @abstractmethod
    def weighted(self, counts: Counts) -> dict[str, float]:
        """Every score when example `i` is taken ``counts[i]`` times; NaN where it is undefined."""

    @abstractmethod
    def tables(self) -> dict[str, Any]:
        """Details for the report, ready for JSON. ``undefined`` maps each score that is left out
        to the reason."""

    @abstractmethod
    def baseline(self) -> dict[str, float]:
        """The scores of answering the same for every example, without reading it; of texts, of
        copying what was read."""

    def is_right(self) -> NDArray[np.bool_] | None:
        """Whether each example is answered rightly; None where answers are not right or wrong."""
        return None

    def beside(self, other: Metric) -> Metric | None:
        """The metric of the examples of both, these first; None where it can be made anew from
        the answers of both, as each example is judged on its own."""
        return None

    def values(self, index: NDArray[np.intp] | None = None) -> dict[str, float]:
        """The scores on the examples of `index` (repeats count; None: on all examples once).

        A score that is undefined there is left out.
        """
        if index is None:
            return defined(self.weighted(np.ones(self.count, dtype=np.int64)))
        return defined(self.weighted(np.bincount(index, minlength=self.count)))


def check_packages(metric: type[Any]) -> None:
    """Raise `InputError` where a package that a metric needs is not installed."""
    for name in getattr(metric, "packages", ()):
        if find_spec(name) is None:
            raise InputError(
                f"the scores of written texts need {name.replace('_', '-')}",
                hint="pip install 'hfkit[text]'",
            )


def defined(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores as Python floats, without those that are not a finite number.

    >>> defined({"accuracy": np.float64(0.5), "roc_auc": float("nan")})
    {'accuracy': 0.5}
    """
    return {name: float(score) for name, score in scores.items() if math.isfinite(score)}


def field(answers: Sequence[Answer], key: str, *, who: str) -> list[Any]:
    """Return `key` of every answer; raise `InputError` naming the first answer without it."""
    values = [answer.get(key) for answer in answers]
    for number, value in enumerate(values, start=1):
        if value is None:
            raise InputError(f"no '{key}'", place=f"{who} {number}")
    return values
