"""Confident learning: which labels are probably wrong, from probabilities a model gave unseen.

After Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
Journal of Artificial Intelligence Research 70, 2021. `probabilities` is ``[rows, classes]``, each
row by a model that was not trained on it; `given` is the class each row was given, ``[rows]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


class Issues(NamedTuple):
    """Rows whose label is probably wrong, the likeliest first: which row, which class it seems to
    be, and its margin: probability of the given class minus that of the likeliest other one."""

    rows: Integers
    suggested: Integers
    margin: Floats
    joint: Floats  # rows by given (first axis) and probable class, adding up to all rows


def thresholds(probabilities: Floats, given: Integers) -> Floats:
    """For each class the mean probability of it among the rows that were given it (eq. 2); 1 for a
    class without rows, which no row then reaches.

    >>> thresholds(np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]), np.array([0, 0, 1])).tolist()
    [0.7, 0.9]
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(given)), given]
    counts = np.bincount(given, minlength=classes)
    sums = np.bincount(given, own, minlength=classes)
    return np.divide(sums, counts, out=np.ones(classes), where=counts > 0)


def confident_joint(probabilities: Floats, given: Integers) -> Floats:
    """How many rows of each given class are probably of each class, ``[given, probable]``.

    A row counts for the likeliest of the classes whose threshold it reaches (eq. 1), or for none.
    Each line is then scaled to the number of rows that were given the class (eq. 3), the lines
    together making up all rows.
    """
    classes = probabilities.shape[1]
    reached = probabilities >= thresholds(probabilities, given) - 1e-12
    counted = reached.any(axis=1)
    probable = np.where(reached, probabilities, -1.0).argmax(axis=1)
    codes = given[counted] * classes + probable[counted]
    joint = np.bincount(codes, minlength=classes * classes).reshape(classes, classes).astype(float)
    counts = np.bincount(given, minlength=classes).astype(float)
    sums = joint.sum(axis=1)
    # A class of which no row reached any threshold says nothing against its labels.
    alone = np.flatnonzero(sums == 0)
    joint[alone, alone] = counts[alone]
    scale: Floats = counts / np.where(sums == 0, np.maximum(counts, 1.0), sums)
    scaled: Floats = joint * scale[:, None]
    return scaled


def find_issues(probabilities: Floats, given: Integers) -> Issues:
    """Rows to look at: of each pair of classes as many as the joint says were given the first and
    are of the second, those with the largest margin ("prune by noise rate", section 3.2).

    A row that several pairs name is named once, with the class of the largest probability. No row
    is named whose own class is the likeliest: there the model agrees with the label.
    """
    joint = confident_joint(probabilities, given)
    own = probabilities[np.arange(len(given)), given]
    best: dict[int, int] = {}
    for first, second in np.argwhere(joint > 0).tolist():
        if first == second:
            continue
        rows = np.flatnonzero(given == first)
        ahead = probabilities[rows, second] - own[rows]
        order = np.argsort(-ahead, kind="stable")[: round(joint[first, second])]
        for row in rows[order[ahead[order] > 0]].tolist():
            rival = best.get(row)
            if rival is None or probabilities[row, second] > probabilities[row, rival]:
                best[row] = second
    rows = np.array(sorted(best), dtype=np.intp)
    suggested = np.array([best[row] for row in rows.tolist()], dtype=np.intp)
    margin = own[rows] - probabilities[rows, suggested]
    order = np.argsort(margin, kind="stable")
    return Issues(rows[order], suggested[order], margin[order], joint)
