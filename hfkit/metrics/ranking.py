"""Scores that follow from the order of the scores alone: ROC AUC and average precision.

`Ranking` sorts once. Each later call takes only counts per example, so that a bootstrap over ten
thousand examples and a hundred labels costs about a millisecond per resample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking:
    """Examples in the order of their scores, separately for each label.

    `positive` (examples, labels) says which examples have the label, `scores` (examples, labels)
    how much the model believes it; equal scores are ties.
    """

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self.examples, self.label_count = positive.shape
        self._order = np.argsort(-scores.T, axis=1, kind="stable")  # best first
        first, last = _tie_groups(np.take_along_axis(scores.T, self._order, axis=1))
        label, place = np.nonzero(np.take_along_axis(positive.T, self._order, axis=1))
        # One entry per (label, positive example), by label, best first. `cumulative` below has
        # one leading zero per label, hence rows of examples + 1.
        row = label * (self.examples + 1)
        self._label = label
        self._example = self._order[label, place]
        self._before = row + first[label, place]
        self._through = row + last[label, place] + 1
        self._tie_end = np.searchsorted(self._through, self._through, side="right")
        self._label_start = np.searchsorted(label, label, side="left")
        self._drawn = np.empty(self._order.shape, dtype=np.int32)
        self._cumulative = np.zeros((self.label_count, self.examples + 1), dtype=np.int32)

    def measure(self, counts: NDArray[np.integer] | None = None) -> tuple[Floats, Floats]:
        """ROC AUC and average precision of each label when example i is taken ``counts[i]`` times.

        Shapes (labels,). AUC is NaN for a label without a positive or a negative example, average
        precision for one without a positive example.

        AUC is the chance that a random positive example scores above a random negative one, a tie
        counting half: the Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982). Average
        precision is the sum over distinct scores of (gain in recall) x (precision there), without
        interpolation (Manning, Raghavan & Schütze, Introduction to Information Retrieval, 2008,
        section 8.4; scikit-learn's definition).
        """
        drawn = np.ones(self.examples, np.int32) if counts is None else counts.astype(np.int32)
        np.take(drawn, self._order, out=self._drawn, mode="clip")
        np.cumsum(self._drawn, axis=1, out=self._cumulative[:, 1:])
        cumulative = self._cumulative.ravel()
        before, through = cumulative[self._before], cumulative[self._through]

        taken = drawn[self._example].astype(np.float64)
        total = int(drawn.sum())
        positives = np.bincount(self._label, taken, minlength=self.label_count)
        # Pairs (positive, any example) that are in order, ties half. Pairs of two positives are
        # among them and make up exactly positives² / 2, by symmetry.
        ordered = taken * (total - 0.5 * (before.astype(np.float64) + through))
        wins = np.bincount(self._label, ordered, minlength=self.label_count) - 0.5 * positives**2
        running = np.concatenate(([0.0], np.cumsum(taken)))
        found = running[self._tie_end] - running[self._label_start]
        precision = np.bincount(
            self._label, taken * found / np.maximum(through, 1), minlength=self.label_count
        )
        return _quotient(wins, positives * (total - positives)), _quotient(precision, positives)


def roc_auc(references: NDArray[np.bool_], scores: Floats) -> float:
    """Area under the ROC curve of one label; NaN where positives or negatives are missing.

    >>> roc_auc(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    return float(Ranking(references[:, None], scores[:, None]).measure()[0][0])


def average_precision(references: NDArray[np.bool_], scores: Floats) -> float:
    """Average precision of one label; NaN where positives are missing.

    >>> round(average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.1])), 4)
    0.8333
    """
    return float(Ranking(references[:, None], scores[:, None]).measure()[1][0])


def _tie_groups(ordered: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last place of the run of equal scores that each place of a row belongs to."""
    places = np.broadcast_to(np.arange(ordered.shape[1]), ordered.shape)
    change = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((ordered.shape[0], 1), dtype=bool)
    starts, ends = np.hstack((edge, change)), np.hstack((change, edge))
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    behind = np.where(ends, places, ordered.shape[1])[:, ::-1]
    return first, np.minimum.accumulate(behind, axis=1)[:, ::-1]


def _quotient(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Divide, with NaN where there is nothing to divide by."""
    empty = np.full(above.shape, np.nan)
    result: Floats = np.divide(above, below, out=empty, where=below > 0)
    return result
