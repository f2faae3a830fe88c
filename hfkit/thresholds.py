"""From a score to a decision: where to cut it (`Cuts`, `precise_cut`), which scale to lay it on
(`rising_line`).

Every distinct score is tried as a threshold at once, from the sorted scores. `Cuts` sorts once, so
that a bootstrap, which counts each example anew, costs a few passes over the array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BestCuts:
    """The best F1, with its precision and recall, and the best accuracy, each with the threshold
    from which on an example is called positive. F1 is NaN where there is no positive example."""

    f1: float
    precision: float
    recall: float
    f1_threshold: float
    accuracy: float
    accuracy_threshold: float


class Cuts:
    """Examples in the order of their scores, best first, with the places where one may cut.

    `scores` and `positive` are ``[examples]``. Equal scores cannot be told apart, so a cut falls
    between two different ones, half-way; of equally good cuts the highest is taken, as
    sentence-transformers' BinaryClassificationEvaluator does.

    >>> import numpy as np
    >>> best = Cuts(np.array([0.9, 0.8, 0.4]), np.array([True, True, False])).best()
    >>> best.f1, best.accuracy, round(best.f1_threshold, 3)
    (1.0, 1.0, 0.6)
    """

    def __init__(self, scores: NDArray[Any], positive: NDArray[Any]) -> None:
        import numpy as np

        self._order = np.argsort(-scores, kind="stable")
        ordered = scores[self._order].astype(np.float64)
        self._ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
        self._positive = positive[self._order].astype(bool)
        behind = np.append(ordered[self._ends[:-1] + 1], -math.inf)
        middle = (ordered[self._ends] + behind) / 2
        # A middle that rounds to the score behind would take that one in.
        self._thresholds = np.where(middle > behind, middle, ordered[self._ends])
        self._thresholds[-1] = ordered[-1]
        self._above = float(np.nextafter(ordered[0], math.inf))

    def best(self, counts: NDArray[Any] | None = None) -> BestCuts:
        """The best cuts when example i is taken ``counts[i]`` times; once, where it is None."""
        import numpy as np

        times = np.ones(len(self._order)) if counts is None else counts[self._order]
        taken = np.cumsum(times)[self._ends]
        right = np.cumsum(times * self._positive)[self._ends]
        total, positives = taken[-1], right[-1]
        f1 = 2 * right / np.maximum(taken + positives, 1)
        place = int(f1.argmax())
        correct = right + (total - positives) - (taken - right)
        exact = int(correct.argmax())
        none = bool(total - positives >= correct[exact])  # calling nothing positive is as good
        return BestCuts(
            f1=float(f1[place]) if positives else math.nan,
            precision=float(right[place] / max(taken[place], 1)) if positives else math.nan,
            recall=float(right[place] / positives) if positives else math.nan,
            f1_threshold=float(self._thresholds[place]),
            accuracy=float(max(correct[exact], total - positives) / total),
            accuracy_threshold=self._above if none else float(self._thresholds[exact]),
        )


def rising_line(scores: NDArray[Any], wanted: NDArray[Any]) -> tuple[float, float] | None:
    """Slope and offset of the line from scores to wanted numbers with the least squared error; None
    where it does not rise, and so would turn the order of the scores around.

    >>> import numpy as np
    >>> rising_line(np.array([0.0, 0.5, 1.0]), np.array([1.0, 2.0, 3.0]))
    (2.0, 1.0)
    """
    spread = scores - scores.mean()
    if not spread.any():
        return None
    slope = float(spread @ wanted) / float(spread @ spread)
    return (slope, float(wanted.mean() - slope * scores.mean())) if slope > 0 else None


@dataclass(frozen=True)
class PreciseCut:
    """From which confidence on answers are right often enough, how often they are, and the share of
    all answers that is left."""

    confidence: float
    precision: float
    coverage: float


def precise_cut(confidences: NDArray[Any], right: NDArray[Any], wanted: float) -> PreciseCut | None:
    """The lowest confidence from which on the share of right answers is at least `wanted`; None
    where there is none. `confidences` and `right` are ``[answers]``; a cut falls half-way.

    >>> import numpy as np
    >>> precise_cut(np.array([0.9, 0.8, 0.5]), np.array([True, True, False]), 0.95)
    PreciseCut(confidence=0.65, precision=1.0, coverage=0.6666666666666666)
    """
    import numpy as np

    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order].astype(np.float64)
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    precision = np.cumsum(right[order])[ends] / (ends + 1)
    enough = np.flatnonzero(precision >= wanted)
    if not len(enough):
        return None
    end = int(ends[enough[-1]])
    behind = ordered[end + 1] if end + 1 < len(ordered) else 0.0
    middle = (ordered[end] + behind) / 2
    cut = 0.0 if end + 1 == len(ordered) else middle if middle > behind else ordered[end]
    share = float(precision[enough[-1]])
    return PreciseCut(float(cut), share, (end + 1) / len(ordered))


def label_thresholds(
    scores: NDArray[Any], given: NDArray[Any], fewest: int = 10
) -> tuple[list[float], float, list[int]]:
    """For each label the threshold with the best F1, both ``[rows, labels]``.

    A label with fewer than `fewest` rows that have it, or that do not, gets the one that is best
    for all labels together. Returns the thresholds, that common one, and which labels got it.
    """
    common = Cuts(scores.ravel(), given.ravel()).best().f1_threshold if given.any() else 0.5
    thresholds, few = [], []
    for number in range(scores.shape[1]):
        positives = int(given[:, number].sum())
        if min(positives, len(given) - positives) < fewest:
            thresholds.append(common)
            few.append(number)
        else:
            best = Cuts(scores[:, number], given[:, number]).best()
            thresholds.append(best.f1_threshold)
    return thresholds, common, few
