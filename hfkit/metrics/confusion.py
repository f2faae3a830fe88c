"""Scores that follow from counting right and wrong classes, as pure functions.

`ClassCounts` holds all that accuracy, precision, recall, F1 and Matthews correlation need: three
numbers per class, not the whole confusion matrix, so that a resample of a bootstrap costs a few
microseconds whatever the number of classes.

Zero divided by zero counts as 0 (scikit-learn's ``zero_division=0``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
Array = NDArray[Any]


@dataclass(frozen=True)
class ClassCounts:
    """Three counts per class, each an array of shape (classes,)."""

    true_positives: Array  # examples of the class that were given the class
    predicted: Array  # examples that were given the class
    support: Array  # examples of the class


def class_counts(
    references: Integers, predictions: Integers, classes: int, weights: Integers | None = None
) -> ClassCounts:
    """Count right, predicted and gold examples per class from class ids, one per example.

    >>> class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)  # doctest: +NORMALIZE_WHITESPACE
    ClassCounts(true_positives=array([1., 1.]), predicted=array([2., 1.]),
                support=array([1., 2.]))
    """
    if weights is None:
        weights = np.ones(len(references), dtype=np.int64)
    right = references == predictions
    return ClassCounts(
        true_positives=np.bincount(references[right], weights[right], minlength=classes),
        predicted=np.bincount(predictions, weights, minlength=classes),
        support=np.bincount(references, weights, minlength=classes),
    )


def confusion_matrix(references: Integers, predictions: Integers, classes: int) -> NDArray[np.intp]:
    """Count examples by gold class (row) and predicted class (column).

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    codes = references.astype(np.intp) * classes + predictions
    return np.bincount(codes, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: ClassCounts) -> float:
    """The share of examples whose class is right.

    >>> accuracy(class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2))
    0.6666666666666666
    """
    return float(counts.true_positives.sum() / counts.support.sum())


def precision_recall_f1(counts: ClassCounts) -> tuple[Array, Array, Array]:
    """Precision TP / predicted, recall TP / support and F1 = 2 TP / (predicted + support).

    F1 is the harmonic mean of the two (van Rijsbergen, Information Retrieval, 1979, chapter 7).
    Takes counts of any shape, returns arrays of that shape.

    >>> precision, recall, f1 = precision_recall_f1(
    ...     class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2))
    >>> precision.tolist(), recall.tolist()
    ([0.5, 1.0], [1.0, 0.5])
    """
    right = counts.true_positives
    return (
        _ratio(right, counts.predicted),
        _ratio(right, counts.support),
        _ratio(2 * right, counts.predicted + counts.support),
    )


def averages(counts: ClassCounts) -> dict[str, float]:
    """Precision, recall and F1 averaged over classes in three ways.

    *macro*: the plain mean over the classes that occur in gold or predictions; *weighted*: the
    mean weighted by support; *micro*: from the counts summed over classes. These are
    scikit-learn's averages with ``labels=None, zero_division=0``.

    >>> scores = averages(class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 3))
    >>> round(scores["f1_macro"], 4), round(scores["f1_micro"], 4)
    (0.6667, 0.6667)
    """
    present = (counts.support + counts.predicted) > 0
    total = counts.support.sum()
    summed = ClassCounts(counts.true_positives.sum(), counts.predicted.sum(), counts.support.sum())
    scores: dict[str, float] = {}
    per_class, micro = precision_recall_f1(counts), precision_recall_f1(summed)
    for position, name in enumerate(("precision", "recall", "f1")):
        score = per_class[position]
        scores[f"{name}_macro"] = float(score[present].mean()) if present.any() else 0.0
        scores[f"{name}_micro"] = float(micro[position])
        scores[f"{name}_weighted"] = float(score @ counts.support / total) if total else 0.0
    return scores


def matthews_correlation(counts: ClassCounts) -> float:
    """Matthews correlation for any number of classes, 0 where either side has one class only.

    With c right of s examples, t gold and p predicted per class:
    (c s - sum p t) / sqrt((s² - sum p²) (s² - sum t²)) (Gorodkin, Computational Biology and
    Chemistry 28, 2004, eq. 8; for two classes Matthews, BBA 405, 1975).

    >>> counts = class_counts(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), 2)
    >>> round(matthews_correlation(counts), 4)
    0.5774
    """
    size, predicted, support = counts.support.sum(), counts.predicted, counts.support
    covariance = counts.true_positives.sum() * size - predicted @ support
    spread = (size**2 - predicted @ predicted) * (size**2 - support @ support)
    return float(covariance / math.sqrt(spread)) if spread > 0 else 0.0


def _ratio(above: Array, below: Array) -> Array:
    """Divide, with 0 for 0 / 0."""
    zeros = np.zeros(np.shape(above))  # floats, where the counts of nothing at all are integers
    return np.divide(above, below, out=zeros, where=np.asarray(below) > 0)
