"""Scores of a classifier: one label per text (`SingleLabel`) or any number (`MultiLabel`).

The one fact to know: macro averages run over the labels that occur in the gold or the predicted
labels of what is scored, as in scikit-learn. A label that occurs in neither is not counted as 0.

A label that `labels` does not name is added behind them with a warning: as a prediction it is
wrong, and it counts as a class of its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, defined, field
from hfkit.metrics.confusion import (
    ClassCounts,
    accuracy,
    averages,
    class_counts,
    confusion_matrix,
    matthews_correlation,
    precision_recall_f1,
)
from hfkit.metrics.ranking import Ranking

log = logging.getLogger(__name__)

MATRIX_LIMIT = 200  # more classes than this make a matrix nobody reads and a large file
CONFUSED_PAIRS = 20
NO_SCORES = "the answers do not hold a score for every label"
ONE_KIND = "no label has examples both with and without it"
NO_POSITIVE = "no example has the label"


class SingleLabel(Metric):
    """One label per example: accuracy, precision, recall, F1, Matthews correlation, ROC AUC and
    average precision.

    Reads ``label`` and, for the last two, ``scores`` (label -> score, every label). With two
    labels the second is the positive one, as class id 1 is in scikit-learn: `precision`, `recall`,
    `f1`, `roc_auc` and `average_precision` are about it. With more, `roc_auc` and
    `average_precision` are the mean over labels of each against the rest.
    """

    headline: ClassVar[str] = "accuracy"
    right_share: ClassVar[str] = "accuracy"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        predicted = field(answers, "label", who="answer")
        expected = field(gold, "label", who="gold answer")
        index = _label_index(self.labels, expected, predicted)
        self.predictions = np.array([index[label] for label in predicted])
        self.references = np.array([index[label] for label in expected])
        self.ranked = list(self.labels)
        if len(self.labels) == 2:
            self.ranked = self.labels[1:]
        scores = _score_matrix(answers, self.ranked)
        self.ranking = None
        if scores is not None:
            columns = np.array([index[label] for label in self.ranked])
            self.ranking = Ranking(self.references[:, None] == columns, scores)

    def weighted(self, counts: Counts) -> dict[str, float]:
        classes = class_counts(self.references, self.predictions, len(self.labels), counts)
        scores = {"accuracy": accuracy(classes), **averages(classes)}
        if len(self.labels) == 2:
            precision, recall, f1 = precision_recall_f1(classes)
            scores |= {"precision": precision[1], "recall": recall[1], "f1": f1[1]}
        scores["matthews_correlation"] = matthews_correlation(classes)
        return scores | _ranking_scores(self.ranking, counts)

    def tables(self) -> dict[str, Any]:
        classes = class_counts(self.references, self.predictions, len(self.labels))
        matrix = confusion_matrix(self.references, self.predictions, len(self.labels))
        found: dict[str, Any] = {
            "per_class": _per_class(self.labels, classes, self.ranked, self.ranking),
            "confused": _most_confused(self.labels, matrix),
            "undefined": _undefined(self.ranking),
        }
        if len(self.labels) <= MATRIX_LIMIT:
            found["confusion_matrix"] = {"labels": self.labels, "matrix": matrix.tolist()}
        if len(self.labels) == 2:
            found["positive"] = self.labels[1]
        return found

    def baseline(self) -> dict[str, float]:
        """Always the most frequent label; every score equal, so ROC AUC is 0.5."""
        majority = int(np.bincount(self.references).argmax())
        constant = {"label": self.labels[majority], **_same_scores(self.ranking, self.ranked)}
        gold = [{"label": self.labels[number]} for number in self.references]
        return SingleLabel([constant] * self.count, gold, self.labels).values()

    def is_right(self) -> NDArray[np.bool_]:
        return np.asarray(self.predictions == self.references)


class MultiLabel(Metric):
    """Any number of labels per example: F1, precision and recall, subset accuracy, Hamming loss,
    ROC AUC and average precision.

    Reads ``labels`` and, for the last two, ``scores`` (label -> score, every label). F1 of an
    example without gold and predicted labels is 0 in `f1_samples`, as in scikit-learn; subset
    accuracy counts the same example as right.
    """

    headline: ClassVar[str] = "f1_micro"
    right_share: ClassVar[str] = "subset_accuracy"
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"hamming_loss"})

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        predicted = field(answers, "labels", who="answer")
        expected = field(gold, "labels", who="gold answer")
        index = _label_index(self.labels, _flat(expected), _flat(predicted))
        self.predictions = _membership(predicted, index)
        self.references = _membership(expected, index)
        self.ranked = list(self.labels)
        scores = _score_matrix(answers, self.ranked)
        self.ranking = None if scores is None else Ranking(self.references, scores)
        # Kept as (example, label) pairs, which are few, and as one number per example.
        both = self.references & self.predictions
        self._pairs = [np.nonzero(one) for one in (both, self.predictions, self.references)]
        right, predicted, expected = (
            one.sum(axis=1).astype(np.float64) for one in (both, self.predictions, self.references)
        )
        self._f1 = precision_recall_f1(ClassCounts(right, predicted, expected))[2]
        self._wrong = predicted + expected - 2 * right

    def _class_counts(self, counts: Counts) -> ClassCounts:
        right, predicted, support = (
            np.bincount(label, counts[example], minlength=len(self.labels))
            for example, label in self._pairs
        )
        return ClassCounts(right, predicted, support)

    def weighted(self, counts: Counts) -> dict[str, float]:
        total = counts.sum()
        scores = averages(self._class_counts(counts))
        scores["f1_samples"] = self._f1 @ counts / total
        scores["subset_accuracy"] = (self._wrong == 0) @ counts / total
        scores["hamming_loss"] = self._wrong @ counts / (total * max(len(self.labels), 1))
        return scores | _ranking_scores(self.ranking, counts)

    def tables(self) -> dict[str, Any]:
        classes = self._class_counts(np.ones(self.count, dtype=np.int64))
        return {
            "per_class": _per_class(self.labels, classes, self.ranked, self.ranking),
            "labels_per_example": {
                "gold": float(classes.support.sum() / self.count),
                "predicted": float(classes.predicted.sum() / self.count),
            },
            "undefined": _undefined(self.ranking),
        }

    def baseline(self) -> dict[str, float]:
        """Always the most frequent set of gold labels, which may be the empty set."""
        sets, seen = np.unique(self.references, axis=0, return_counts=True)
        often = [self.labels[number] for number in np.flatnonzero(sets[seen.argmax()])]
        constant = {"labels": often, **_same_scores(self.ranking, self.ranked)}
        gold = [
            {"labels": [self.labels[number] for number in np.flatnonzero(row)]}
            for row in self.references
        ]
        return MultiLabel([constant] * self.count, gold, self.labels).values()

    def is_right(self) -> NDArray[np.bool_]:
        """Whether the set of labels is exactly right."""
        return np.asarray(self._wrong == 0)


def _same_scores(ranking: Ranking | None, labels: Sequence[str]) -> dict[str, Any]:
    """The scores of a constant answer, where the answers it is compared with have scores."""
    return {} if ranking is None else {"scores": dict.fromkeys(labels, 0.0)}


def _flat(sets: Iterable[Iterable[str]]) -> list[str]:
    return [label for labels in sets for label in labels]


def _label_index(
    labels: list[str], expected: Sequence[str], predicted: Sequence[str]
) -> dict[str, int]:
    """Number the labels; labels that nobody declared are appended to `labels` with a warning."""
    index = {label: number for number, label in enumerate(labels)}
    if len(index) < len(labels):
        raise InputError("the labels are not all different")
    for who, used in (("gold answers", expected), ("answers", predicted)):
        unknown = [label for label in dict.fromkeys(used) if label not in index]
        if unknown:
            shown = ", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else "")
            log.warning("%d label(s) of the %s are not known: %s", len(unknown), who, shown)
        for label in unknown:
            index[label] = len(labels)
            labels.append(label)
    return index


def _membership(sets: Sequence[Iterable[str]], index: Mapping[str, int]) -> NDArray[np.bool_]:
    """True where an example (row) has a label (column)."""
    table = np.zeros((len(sets), len(index)), dtype=bool)
    for row, labels in enumerate(sets):
        table[row, [index[label] for label in labels]] = True
    return table


def _score_matrix(answers: Sequence[Answer], labels: Sequence[str]) -> NDArray[np.float64] | None:
    """The score of each label (column) for each example (row), or None where one is missing."""
    rows = []
    for answer in answers:
        scores = answer.get("scores")
        if isinstance(scores, Sequence) and len(scores) == len(answer.get("labels", ())):
            scores = dict(zip(answer["labels"], scores, strict=True))
        if not isinstance(scores, Mapping):
            return None
        row = [scores.get(label) for label in labels]
        if any(score is None for score in row):
            return None
        rows.append(row)
    matrix = np.array(rows, dtype=np.float64).reshape(len(answers), len(labels))
    return matrix if np.isfinite(matrix).all() else None


def _ranking_scores(ranking: Ranking | None, counts: Counts) -> dict[str, float]:
    """Means over the labels for which each score is defined; NaN where there is none."""
    if ranking is None:
        return {"roc_auc": np.nan, "average_precision": np.nan}
    area, precision = ranking.measure(counts)
    return {"roc_auc": _mean(area), "average_precision": _mean(precision)}


def _mean(scores: NDArray[np.float64]) -> float:
    known = scores[np.isfinite(scores)]
    return float(known.mean()) if known.size else np.nan


def _undefined(ranking: Ranking | None) -> dict[str, str]:
    """Why a score is left out."""
    if ranking is None:
        return {"roc_auc": NO_SCORES, "average_precision": NO_SCORES}
    area, precision = ranking.measure()
    reasons = {}
    if not np.isfinite(area).any():
        reasons["roc_auc"] = ONE_KIND
    if not np.isfinite(precision).any():
        reasons["average_precision"] = NO_POSITIVE
    return reasons


def _per_class(
    labels: Sequence[str], counts: ClassCounts, ranked: Sequence[str], ranking: Ranking | None
) -> list[dict[str, Any]]:
    """One row per label, also for labels that do not occur."""
    precision, recall, f1 = precision_recall_f1(counts)
    rows: list[dict[str, Any]] = [
        {
            "label": label,
            "support": int(counts.support[number]),
            "predicted": int(counts.predicted[number]),
            "precision": float(precision[number]),
            "recall": float(recall[number]),
            "f1": float(f1[number]),
        }
        for number, label in enumerate(labels)
    ]
    if ranking is not None:
        by_label = {row["label"]: row for row in rows}
        for label, area, mean in zip(ranked, *ranking.measure(), strict=True):
            by_label[label] |= defined({"roc_auc": area, "average_precision": mean})
    return rows


def _most_confused(labels: Sequence[str], matrix: NDArray[np.intp]) -> list[dict[str, Any]]:
    """The most frequent mistakes, most frequent first."""
    mistakes = {
        (gold, predicted): int(matrix[gold, predicted])
        for gold, predicted in np.argwhere(matrix).tolist()
        if gold != predicted
    }
    return [
        {"gold": labels[gold], "predicted": labels[predicted], "count": count}
        for (gold, predicted), count in Counter(mistakes).most_common(CONFUSED_PAIRS)
    ]
