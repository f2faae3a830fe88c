"""Scores of similarity: graded (`Similarity`), and the same or not (`BinarySimilarity`).

The fact to know: correlations and average precision look at the order of the scores, so a cosine
needs no scale to be judged, and any rising line through it changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, field
from hfkit.metrics.correlation import Regression
from hfkit.metrics.ranking import Ranking
from hfkit.thresholds import Cuts

KINDS = ("spearman", "pearson")
NO_POSITIVE = "no pair is labelled 1"


class Similarity(Metric):
    """Spearman's and Pearson's correlation of the scores with the labels.

    Reads ``score``. Both are those of sentence-transformers' EmbeddingSimilarityEvaluator; see
    `correlation` for the formulas.
    """

    headline: ClassVar[str] = "spearman"
    linear: ClassVar[frozenset[str]] = frozenset({"pearson"})

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self._numbers = Regression(
            [{"value": score} for score in field(answers, "score", who="answer")],
            [{"value": score} for score in field(gold, "score", who="gold answer")],
            [],
        )

    def weighted(self, counts: Counts) -> dict[str, float]:
        scores = self._numbers.weighted(counts)
        return {name: scores[name] for name in KINDS}

    def tables(self) -> dict[str, Any]:
        tables = self._numbers.tables()
        undefined = {name: why for name, why in tables["undefined"].items() if name in KINDS}
        return {**tables, "undefined": undefined}

    def baseline(self) -> dict[str, float]:
        """Nothing: the same score for every pair has no correlation."""
        return {}


class BinarySimilarity(Metric):
    """Average precision, and F1 and accuracy at the threshold that is best for each.

    Reads ``score`` of the answers and of the gold answers, which must be 0 or 1. All are those of
    sentence-transformers' BinaryClassificationEvaluator. The best threshold is chosen on the very
    pairs that are scored, which flatters; where the answers say ``same``, by the threshold that the
    model brought along, `f1_same` and `accuracy_same` do not.
    """

    headline: ClassVar[str] = "average_precision"
    right_share: ClassVar[str] = "accuracy_same"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        scores = _finite(field(answers, "score", who="answer"))
        self.positive = _zero_one(field(gold, "score", who="gold answer"))
        self._ranking = Ranking(self.positive[:, None], scores[:, None])
        self._cuts = Cuts(scores, self.positive)
        same = [answer.get("same") for answer in answers]
        self._same = None if None in same else np.array(same, dtype=bool)

    def weighted(self, counts: Counts) -> dict[str, float]:
        best = self._cuts.best(counts)
        scores = {
            "average_precision": float(self._ranking.measure(counts)[1][0]),
            "f1": best.f1,
            "precision": best.precision,
            "recall": best.recall,
            "accuracy": best.accuracy,
        }
        if self._same is not None:
            found = float(counts @ (self._same & self.positive))
            called = float(counts @ self._same) + float(counts @ self.positive)
            scores["f1_same"] = 2 * found / called if called else math.nan
            scores["accuracy_same"] = float(counts @ (self._same == self.positive) / counts.sum())
        return scores

    def tables(self) -> dict[str, Any]:
        best = self._cuts.best()
        positives = int(self.positive.sum())
        names = ("average_precision", "f1", "precision", "recall")
        return {
            "pairs": {"0": self.count - positives, "1": positives},
            "thresholds": {"f1": best.f1_threshold, "accuracy": best.accuracy_threshold},
            "undefined": {} if positives else dict.fromkeys(names, NO_POSITIVE),
        }

    def baseline(self) -> dict[str, float]:
        """The same score for every pair."""
        gold = [{"score": float(one)} for one in self.positive]
        return BinarySimilarity([{"score": 0.0}] * self.count, gold, []).values()

    def is_right(self) -> NDArray[np.bool_] | None:
        """Whether a pair is told right by the threshold that the model brought along."""
        return None if self._same is None else self._same == self.positive


def _finite(values: Sequence[Any]) -> NDArray[np.float64]:
    for number, value in enumerate(values, start=1):
        if isinstance(value, (str, bool)) or not math.isfinite(value):
            raise InputError(f"{value!r} is not a finite number", place=f"answer {number}")
    return np.array(values, dtype=np.float64)


def _zero_one(values: Sequence[Any]) -> NDArray[np.bool_]:
    for number, value in enumerate(values, start=1):
        if value not in (0, 1):
            raise InputError(f"{value!r} is neither 0 nor 1", place=f"gold answer {number}")
    return np.array([value == 1 for value in values])
