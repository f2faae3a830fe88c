"""Precision and recall at every threshold, as numbers for plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_POINTS = 200


class Ranked(NamedTuple):
    """What a model offered, each with a score, whether it is right, and how many right ones there
    were to offer."""

    scores: Sequence[float]
    right: Sequence[bool]
    wanted: int


class Curve(NamedTuple):
    """Precision, recall and the share of what is offered that is kept, with every threshold, the
    highest first."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    kept: Floats


def curve(ranked: Ranked) -> Curve | None:
    """Precision and recall when only what scores at least a threshold is kept; None where nothing
    was offered or nothing is right.

    >>> found = curve(Ranked([0.9, 0.8, 0.8], [True, False, True], 2))
    >>> found.thresholds.tolist(), found.precision.round(2).tolist(), found.recall.tolist()
    ([0.9, 0.8], [1.0, 0.67], [0.5, 1.0])
    """
    if not ranked.scores or not ranked.wanted:
        return None
    scores = np.asarray(ranked.scores, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.asarray(ranked.right, dtype=np.float64)[order]
    last = np.append(np.nonzero(np.diff(scores))[0], len(scores) - 1)  # of equal scores
    found, offered = right.cumsum()[last], last + 1.0
    whole = Curve(scores[last], found / offered, found / ranked.wanted, offered / len(scores))
    if len(last) <= MOST_POINTS:
        return whole
    some = np.unique(np.linspace(0, len(last) - 1, MOST_POINTS).round().astype(np.intp))
    return Curve(*(values[some] for values in whole))


def average_precision(ranked: Ranked) -> float:
    """The mean precision over the steps of recall, as in scikit-learn; NaN where undefined.

    >>> round(average_precision(Ranked([0.9, 0.8, 0.7], [True, False, True], 2)), 4)
    0.8333
    """
    if not ranked.scores or not ranked.wanted:
        return float("nan")
    scores = np.asarray(ranked.scores, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    right = np.asarray(ranked.right, dtype=np.float64)[order]
    last = np.append(np.nonzero(np.diff(scores[order]))[0], len(scores) - 1)
    found = right.cumsum()[last]
    steps = np.diff(np.concatenate([[0.0], found])) / ranked.wanted
    return float(steps @ (found / (last + 1.0)))
