"""Answers as spans of a context: the best of a window, and the best of all windows.

Windows overlap, so the same characters may be found twice; they count once, with their best score.
Scores are sums of two logits, comparable between the windows of one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Span(NamedTuple):
    """A part of a context (of a document, where there are several), in characters, end exclusive.

    `score` is the sum of the logits of its first and its last token.
    """

    text: str
    start: int
    end: int
    score: float
    document: Any = None


def inside(starts: Sequence[int], ends: Sequence[int]) -> NDArray[np.bool_]:
    """The tokens that stand for characters of the context: those whose place is one."""
    places = np.asarray(starts)
    found: NDArray[np.bool_] = (places >= 0) & (np.asarray(ends) > places)
    return found


def tokens_of(
    starts: Sequence[int], ends: Sequence[int], start: int, end: int
) -> tuple[int, int] | None:
    """First and last token that hold the characters from `start` to `end`; None without one.

    >>> tokens_of([-1, 0, 4, 8], [-1, 3, 7, 12], 4, 9)
    (2, 3)
    """
    there = inside(starts, ends)
    first = np.flatnonzero(there & (np.asarray(ends) > start))
    last = np.flatnonzero(there & (np.asarray(starts) < end))
    if not len(first) or not len(last) or first[0] > last[-1]:
        return None
    return int(first[0]), int(last[-1])


def best_spans(
    start_logits: NDArray[Any],
    end_logits: NDArray[Any],
    allowed: NDArray[np.bool_],
    n_best: int,
    longest: int,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pair the `n_best` best starts with the `n_best` best ends of one window, all ``[tokens]``.

    Both are `allowed` (tokens of the context), the end not before the start, and the span has at
    most `longest` tokens. Returns first tokens, last tokens and scores, the best first.

    >>> context = np.array([False, True, True, True])
    >>> found = best_spans(np.array([9, 1, 3, 0]), np.array([9, 4, 0, 2]), context, 2, 30)
    >>> [column.tolist() for column in found]
    [[2, 1], [3, 1], [5.0, 5.0]]
    """
    places = np.flatnonzero(allowed)
    starts = _best(start_logits, places, n_best)
    ends = _best(end_logits, places, n_best)
    first, last = (grid.ravel() for grid in np.meshgrid(starts, ends, indexing="ij"))
    fits = (first <= last) & (last - first < longest)
    first, last = first[fits], last[fits]
    scores = start_logits[first].astype(np.float64) + end_logits[last]
    order = np.argsort(-scores, kind="stable")[:n_best]
    return first[order], last[order], scores[order]


def _best(logits: NDArray[Any], places: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """The places of the highest logits, the highest first; of equal ones the earlier."""
    order = np.argsort(-logits[places], kind="stable")[:count]
    return places[order]


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out white space at both ends: some tokenizers count it to the word.

    >>> trimmed("in Paris ", 2, 9)
    (3, 8)
    """
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return start + left, start + max(left, len(part.rstrip()))


def pooled(spans: Iterable[Span], count: int) -> list[Span]:
    """The best spans of several windows or passages, the best first; the same characters once.

    >>> pooled([Span("a", 0, 1, 2.0), Span("b", 4, 5, 3.0), Span("a", 0, 1, 5.0)], 9)
    [Span(text='a', start=0, end=1, score=5.0, document=None), \
Span(text='b', start=4, end=5, score=3.0, document=None)]
    """
    best: dict[tuple[Any, int, int], Span] = {}
    for span in spans:
        key = (span.document, span.start, span.end)
        if key not in best or span.score > best[key].score:
            best[key] = span
    return sorted(best.values(), key=lambda span: (-span.score, span.start, span.end))[:count]


def confidences(
    spans: Sequence[Span], null: float, temperature: float = 1.0
) -> tuple[list[float], float]:
    """The softmax over the scores of the spans and of no answer; returns it for each.

    >>> confidences([Span("a", 0, 1, 0.0)], 0.0)
    ([0.5], 0.5)
    """
    logits = np.array([null, *(span.score for span in spans)])
    exponentials = np.exp((logits - logits.max()) / temperature)
    shares = (exponentials / exponentials.sum()).tolist()
    return shares[1:], shares[0]
