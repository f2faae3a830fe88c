"""How predicted entities overlap with the right ones: four ways to count, from MUC and SemEval.

Every predicted entity is laid beside a right one it overlaps with, each right one used once:

    correct     a match, in the sense of the way of counting
    incorrect   an overlap that is no match
    partial     an overlap that counts half
    missed      a right entity that nothing was laid beside
    spurious    a predicted entity beside nothing

    strict      a match has the same borders and the same label
    boundary    the same borders ("exact" in SemEval)
    partial     the same borders; any overlap is partial
    type        any overlap with the same label

Precision is (correct + partial / 2) / all predicted, recall the same over all right ones (Chinchor
and Sundheim, MUC-5, 1993; Segura-Bedmar et al., SemEval-2013 task 9). The order of laying side by
side is that of nervaluate: predicted entities from left to right, each beside the first right one
that matches (`type`: whose borders are nearest), else beside the first that overlaps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfkit.spans import Span

WAYS = ("strict", "boundary", "partial", "type")
OUTCOMES = ("correct", "incorrect", "partial", "missed", "spurious")
CORRECT, INCORRECT, PARTIAL, MISSED, SPURIOUS = range(len(OUTCOMES))


def overlap_counts(gold: Sequence[Span], predicted: Sequence[Span]) -> NDArray[np.int64]:
    """Count the outcomes of one example, shape ``[WAYS, OUTCOMES]``.

    >>> counts = overlap_counts([Span(0, 2, "PER")], [Span(0, 3, "PER"), Span(5, 6, "LOC")])
    >>> dict(zip(WAYS, counts.tolist()))["type"]
    [1, 0, 0, 0, 1]
    """
    gold, predicted = sorted(gold), sorted(predicted)
    counts = np.zeros((len(WAYS), len(OUTCOMES)), dtype=np.int64)
    starts = [span.start for span in gold]
    furthest = list(accumulate((span.end for span in gold), max))
    for way, row in zip(WAYS, counts, strict=True):
        used = [False] * len(gold)
        for span in predicted:
            near = range(bisect_right(furthest, span.start), bisect_left(starts, span.end))
            free = [one for one in near if not used[one] and gold[one].end > span.start]
            beside, outcome = _laid(span, [(one, gold[one]) for one in free], way)
            row[outcome] += 1
            if beside >= 0:
                used[beside] = True
        row[MISSED] = used.count(False)
    return counts


def _laid(span: Span, near: list[tuple[int, Span]], way: str) -> tuple[int, int]:
    """The right entity that a predicted one is laid beside (-1: none), and what comes of it."""
    if not near:
        return -1, SPURIOUS
    if way == "type":
        matches = [(_distance(span, other), one) for one, other in near if other[2] == span[2]]
        if matches:
            return min(matches)[1], CORRECT
    parts = 3 if way == "strict" else 2  # start, end, label
    for one, other in near:
        if way != "type" and other[:parts] == span[:parts]:
            return one, CORRECT
    return near[0][0], PARTIAL if way == "partial" else INCORRECT


def _distance(one: Span, other: Span) -> int:
    return abs(one.start - other.start) + abs(one.end - other.end)


def overlap_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of each way from counts ``[WAYS, OUTCOMES]``; 0 where there is nothing to find.

    >>> overlap_f1(np.array([[0, 0, 1, 0, 1]])).tolist()
    [0.3333333333333333]
    """
    right = counts[:, CORRECT] + counts[:, PARTIAL] / 2
    both = counts[:, CORRECT] + counts[:, INCORRECT] + counts[:, PARTIAL]
    below = 2 * both + counts[:, MISSED] + counts[:, SPURIOUS]  # predicted + right ones
    shares: NDArray[np.float64] = np.zeros(len(counts))
    np.divide(2 * right, below, out=shares, where=below > 0)
    return shares
