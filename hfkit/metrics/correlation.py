"""Scores of predicted numbers: errors, explained variance and correlations.

Each formula is a pure function of two arrays of shape (examples,) and takes an optional number of
times that each example counts. Correlations are NaN where one side is constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, field

Floats = NDArray[np.float64]


class Regression(Metric):
    """One number per example: Pearson and Spearman correlation, mean squared error and its root,
    mean absolute error, and R².

    Reads ``value``; `labels` plays no part.
    """

    headline: ClassVar[str] = "pearson"
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"mse", "rmse", "mae"})

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self.predictions = _numbers(answers, who="answer")
        self.references = _numbers(gold, who="gold answer")
        self._predicted_groups = _groups(self.predictions)
        self._gold_groups = _groups(self.references)

    def weighted(self, counts: Counts) -> dict[str, float]:
        gold, predicted = self.references, self.predictions
        squared = mean_squared_error(gold, predicted, counts)
        ranks = average_ranks(self._gold_groups, counts)
        return {
            "pearson": pearson(gold, predicted, counts),
            "spearman": pearson(ranks, average_ranks(self._predicted_groups, counts), counts),
            "mse": squared,
            "rmse": math.sqrt(squared),
            "mae": mean_absolute_error(gold, predicted, counts),
            "r2": r_squared(gold, predicted, counts),
        }

    def tables(self) -> dict[str, Any]:
        undefined: dict[str, str] = {}
        for who, numbers in (("answers", self.predictions), ("gold answers", self.references)):
            if _constant(numbers):
                reason = f"all {who} are the same number"
                undefined |= {"pearson": reason, "spearman": reason}
                if who == "gold answers":
                    undefined["r2"] = reason
        return {
            "gold": _summary(self.references),
            "predicted": _summary(self.predictions),
            "undefined": undefined,
        }

    def baseline(self) -> dict[str, float]:
        """Always the mean of the gold numbers; correlations are undefined."""
        mean = {"value": float(self.references.mean())}
        gold = [{"value": number} for number in self.references]
        return Regression([mean] * self.count, gold, self.labels).values()


def mean_squared_error(gold: Floats, predicted: Floats, counts: Counts | None = None) -> float:
    """The mean of (gold - predicted)².

    >>> mean_squared_error(np.array([3.0, -0.5, 2.0, 7.0]), np.array([2.5, 0.0, 2.0, 8.0]))
    0.375
    """
    return float(np.average((gold - predicted) ** 2, weights=counts))


def mean_absolute_error(gold: Floats, predicted: Floats, counts: Counts | None = None) -> float:
    """The mean of |gold - predicted|.

    >>> mean_absolute_error(np.array([3.0, -0.5, 2.0, 7.0]), np.array([2.5, 0.0, 2.0, 8.0]))
    0.5
    """
    return float(np.average(np.abs(gold - predicted), weights=counts))


def r_squared(gold: Floats, predicted: Floats, counts: Counts | None = None) -> float:
    """The share of the variance of gold that the predictions explain: 1 - MSE / variance.

    0 for always answering the mean of gold, negative for worse; NaN where gold is constant.

    >>> round(r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0])), 4)
    0.5
    """
    if _constant(gold, counts):
        return math.nan
    variance = np.average((gold - np.average(gold, weights=counts)) ** 2, weights=counts)
    return float(1 - mean_squared_error(gold, predicted, counts) / variance)


def pearson(gold: Floats, predicted: Floats, counts: Counts | None = None) -> float:
    """Pearson's product-moment correlation (Pearson, Proc. Royal Society 58, 1895).

    NaN where one side is constant.

    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0])), 4)
    0.0
    """
    if _constant(gold, counts) or _constant(predicted, counts):
        return math.nan
    x = gold - np.average(gold, weights=counts)
    y = predicted - np.average(predicted, weights=counts)
    covariance = np.average(x * y, weights=counts)
    spread = math.sqrt(np.average(x * x, weights=counts) * np.average(y * y, weights=counts))
    return float(np.clip(covariance / spread, -1.0, 1.0)) if spread else math.nan


def spearman(gold: Floats, predicted: Floats) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their average rank
    (Kendall, Biometrika 33, 1945).

    >>> spearman(np.array([1.0, 2.0, 3.0, 3.0]), np.array([10.0, 30.0, 40.0, 40.0]))
    1.0
    """
    return pearson(average_ranks(_groups(gold)), average_ranks(_groups(predicted)))


def average_ranks(groups: NDArray[np.intp], counts: Counts | None = None) -> Floats:
    """1-based ranks where equal numbers share the average of the ranks they take up.

    `groups` numbers the distinct values in rising order, one entry per example.

    >>> average_ranks(np.array([0, 2, 1, 1])).tolist()
    [1.0, 4.0, 2.5, 2.5]
    """
    sizes = np.bincount(groups, counts)
    return np.asarray((np.cumsum(sizes) - (sizes - 1) / 2)[groups])


def _groups(numbers: Floats) -> NDArray[np.intp]:
    return np.unique(numbers, return_inverse=True)[1]


def _constant(numbers: Floats, counts: Counts | None = None) -> bool:
    taken = numbers if counts is None else numbers[counts > 0]
    return bool(taken.min() == taken.max())


def _numbers(answers: Sequence[Answer], *, who: str) -> Floats:
    """The values as floats; raise `InputError` for one that is not a finite number."""
    values = field(answers, "value", who=who)
    for number, value in enumerate(values, start=1):
        if isinstance(value, (str, bool)) or not math.isfinite(value):
            raise InputError(f"{value!r} is not a finite number", place=f"{who} {number}")
    return np.array(values, dtype=np.float64)


def _summary(numbers: Floats) -> dict[str, float]:
    return {
        "mean": float(numbers.mean()),
        "standard_deviation": float(numbers.std()),
        "minimum": float(numbers.min()),
        "maximum": float(numbers.max()),
    }
