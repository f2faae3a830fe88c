"""Answers beside what is right, as arrays: what `hfkit calibrate` fits its decisions on.

    fit   decisions from some of the events       {"temperature": 1.7}
    at    the events as they are with decisions   confidences, and which are right
    measure   how far confidences are from the truth

An event is what a confidence is about: the answer to a row, a label of a row, an entity that was
found. `rows` says which row each belongs to, as rows are held out together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfkit.answers import Compared, best_threshold, rules_of, texts_of
from hfkit.metrics.calibration import brier, brier_of_yes, calibration_error, nll, nll_of_yes
from hfkit.tasks.base import Answer
from hfkit.temperature import fitted, fitted_line, on_line, softmax, tempered, tempered_each
from hfkit.thresholds import Cuts, label_thresholds, rising_line

Array = NDArray[Any]
Decided = dict[str, Any]


class Events(NamedTuple):
    """Events with some decisions, all ``[events, ...]``: the probabilities, what is right of them,
    the confidence in what was chosen, whether that is right, and whether it is given at all."""

    chances: Array
    wanted: Array
    confidences: Array
    correct: Array
    given: Array

    def only(self, kept: Array) -> Events:
        """Some of the events."""
        return Events(*(column[kept] for column in self))


class Judged(ABC):
    """Answers of one kind. `calibrated` says whether confidences are probabilities of being right;
    where they are not, only thresholds and scales are fitted."""

    calibrated = True
    rows: Array

    @abstractmethod
    def fit(self, kept: Array) -> Decided:
        """Decide on the events where `kept` ``[events]`` is true."""

    @abstractmethod
    def at(self, decided: Decided) -> Events:
        """All events, with these decisions; with none as they were before."""

    def measure(self, events: Events) -> dict[str, float]:
        """How far confidences are from the truth; lower is better, but for F1 and accuracy."""
        sure, right = events.confidences, events.correct
        return {
            "ece": calibration_error(sure, right),
            "ece_equal_mass": calibration_error(sure, right, sizes="mass"),
            **self.distances(events),
        }

    def distances(self, events: Events) -> dict[str, float]:
        """Brier score and negative log-likelihood, of what was chosen."""
        return {
            "brier": brier_of_yes(events.confidences, events.correct),
            "nll": nll_of_yes(events.confidences, events.correct),
        }


class OneLabel(Judged):
    """One label out of several for each row; rows may have labels of their own to choose from."""

    def __init__(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> None:
        scores = [answer["scores"] for answer in answers]
        most = max(map(len, scores))
        self.rows = np.arange(len(answers))
        self.chances = np.array([[*one.values(), *[0.0] * (most - len(one))] for one in scores])
        pairs = zip(scores, gold, strict=True)
        self.wanted = np.array([list(one).index(right["label"]) for one, right in pairs])

    def fit(self, kept: Array) -> Decided:
        chances, wanted = self.chances[kept], self.wanted[kept]
        return _temperature(fitted(lambda found: nll(tempered(chances, found), wanted)))

    def at(self, decided: Decided) -> Events:
        chances = tempered(self.chances, decided.get("temperature", 1.0))
        chosen = self.chances.argmax(axis=1)
        sure = chances[self.rows, chosen]
        return Events(chances, self.wanted, sure, chosen == self.wanted, np.ones_like(sure, bool))

    def distances(self, events: Events) -> dict[str, float]:
        found = {
            "brier": brier(events.chances, events.wanted),
            "nll": nll(events.chances, events.wanted),
        }
        return {**found, "accuracy": float(events.correct.mean())}


class ManyLabels(Judged):
    """Any number of labels for each row; each label of each row is an event."""

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], threshold: float = 0.5
    ) -> None:
        scores = [answer["scores"] for answer in answers]
        self.labels = list(scores[0])
        self.alike = all(list(one) == self.labels for one in scores)
        self.usual = threshold
        counts = [len(one) for one in scores]
        self.rows = np.repeat(np.arange(len(scores)), counts)
        self.chances = np.array([chance for one in scores for chance in one.values()])
        names = {name: number for number, name in enumerate(dict.fromkeys(
            name for one in scores for name in one))}  # fmt: skip
        self.numbers = np.array([names[name] for one in scores for name in one])
        pairs = zip(scores, gold, strict=True)
        self.wanted = np.array([name in right["labels"] for one, right in pairs for name in one])
        self.few: list[str] = []

    def fit(self, kept: Array) -> Decided:
        chances, wanted = self.chances[kept], self.wanted[kept]
        decided = _temperature(
            fitted(lambda found: nll_of_yes(tempered_each(chances, found), wanted))
        )
        if self.alike and wanted.any():
            changed = tempered_each(chances, decided.get("temperature", 1.0))
            shape = -1, len(self.labels)
            found, _, few = label_thresholds(changed.reshape(shape), wanted.reshape(shape))
            decided["thresholds"] = dict(zip(self.labels, found, strict=True))
            self.few = [self.labels[number] for number in few]
        return decided

    def at(self, decided: Decided) -> Events:
        chances = tempered_each(self.chances, decided.get("temperature", 1.0))
        own = decided.get("thresholds", {})
        least = np.full(len(chances), self.usual)
        if self.alike:
            least = np.array([own.get(label, self.usual) for label in self.labels])[self.numbers]
        return Events(chances, self.wanted, chances, self.wanted, chances >= least)

    def distances(self, events: Events) -> dict[str, float]:
        given, wanted, labels = events.given, events.wanted, self.numbers
        both = np.bincount(labels, given & wanted)
        sums = np.bincount(labels, given.astype(float) + wanted)
        each = 2 * both[sums > 0] / sums[sums > 0]
        found = {"f1_micro": float(2 * both.sum() / max(sums.sum(), 1))}
        return {**super().distances(events), **found, "f1_macro": float(each.mean())}


class EntitiesFound(Judged):
    """Entities that were found; right with both borders and the label."""

    def __init__(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> None:
        found = [(row, one) for row, answer in enumerate(answers) for one in answer["entities"]]
        right = [{_key(one) for one in answer["entities"]} for answer in gold]
        self.rows = np.array([row for row, _ in found], dtype=np.int64)
        self.chances = np.array([one["score"] for _, one in found], dtype=np.float64)
        self.wanted = np.array([_key(one) in right[row] for row, one in found], dtype=bool)

    def fit(self, kept: Array) -> Decided:
        line = fitted_line(self.chances[kept], self.wanted[kept])
        return {} if line is None else dict(zip(("score_slope", "score_offset"), line, strict=True))

    def at(self, decided: Decided) -> Events:
        sure = self.chances
        if decided:
            sure = on_line(sure, decided["score_slope"], decided["score_offset"])
        return Events(sure, self.wanted, sure, self.wanted, np.ones_like(self.wanted))


class AnswersFound(Judged):
    """Answers to questions; right by exact match. The null threshold comes first, then the
    temperature of the spans and of no answer.

    `candidates` holds for each question the scores of its spans, the best first, and that of no
    answer; `threshold` is the margin so far, None where every question is answered.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        gold: Sequence[Answer],
        candidates: Sequence[tuple[Sequence[Any], float]],
        threshold: float | None,
        *,
        fixed: bool = False,
    ) -> None:
        self.rows = np.arange(len(answers))
        self.answers, self.gold, self.threshold = answers, gold, threshold
        most = max(1, *(len(spans) for spans, _ in candidates))
        self.spans = np.full((len(answers), most), -math.inf)
        for row, (spans, _) in enumerate(candidates):
            self.spans[row, : len(spans)] = [span.score for span in spans]
        nulls = np.array([null for _, null in candidates], dtype=np.float64)
        self.nulls = np.where(np.isfinite(nulls), nulls, 0.0)
        golds = texts_of(gold)
        self.answerable = np.array([bool(right) for right in golds])
        self.searched = not fixed and not self.answerable.all()
        best = [answer.get("best_answer") or answer["answer"] for answer in answers]
        compared = Compared(best, golds, rules_of(gold, golds))
        self.exact, self.f1 = compared.exact, compared.f1

    def fit(self, kept: Array) -> Decided:
        decided: Decided = {}
        numbers = np.flatnonzero(kept).tolist()
        if self.searched and not self.answerable[kept].all():
            some = [self.answers[row] for row in numbers], [self.gold[row] for row in numbers]
            decided["null_threshold"] = best_threshold(*some)[1]

        def loss(temperature: float) -> float:
            events = self.at({**decided, "temperature": temperature}).only(kept)
            return nll_of_yes(events.confidences, events.correct)

        return decided | _temperature(fitted(loss))

    def at(self, decided: Decided) -> Events:
        threshold = decided.get("null_threshold", self.threshold)
        logits = np.column_stack([self.spans, self.nulls - (threshold or 0.0)])
        shares = softmax(logits / decided.get("temperature", 1.0))
        told = np.isfinite(self.spans[:, 0])
        if threshold is not None:  # as without a temperature: rounding may make ties
            told = told & (logits[:, 0] >= logits[:, -1])
        sure = np.where(told, shares[:, 0], shares[:, -1])
        correct = np.where(told, self.exact > 0, ~self.answerable)
        reached = np.where(told, self.f1, ~self.answerable)  # F1 of each, for `distances`
        return Events(shares, reached, sure, correct, np.ones_like(told))

    def distances(self, events: Events) -> dict[str, float]:
        found = {"exact_match": float(events.correct.mean()), "f1": float(events.wanted.mean())}
        return {**super().distances(events), **found}


class Alike(Judged):
    """How alike pairs are: the line onto the scale of the labels, or, with labels 0 and 1, the
    threshold with the best F1. `raw` holds cosines, or what a cross-encoder gives."""

    calibrated = False

    def __init__(self, raw: Array, labels: Array, before: Mapping[str, Any], *, same: bool) -> None:
        self.rows = np.arange(len(raw))
        self.raw, self.labels, self.same = raw, labels, same
        self.before = dict(before)

    def fit(self, kept: Array) -> Decided:
        raw, labels = self.raw[kept], self.labels[kept]
        if self.same:
            best = Cuts(raw, labels == 1).best()
            return {"threshold": best.f1_threshold} if labels.any() else {}
        line = rising_line(raw, labels)
        if line is None:
            return {}
        scale = self.before.get("scale") or [float(self.labels.min()), float(self.labels.max())]
        return {"scale": scale, "slope": line[0], "offset": line[1]}

    def at(self, decided: Decided) -> Events:
        found = {**self.before, **decided}
        score = self.raw * found.get("slope", 1.0) + found.get("offset", 0.0)
        given = score >= found.get("threshold", 0.5)
        return Events(score, self.labels, score, given == (self.labels == 1), given)

    def measure(self, events: Events) -> dict[str, float]:
        if not self.same:
            return {"mse": float(np.square(events.chances - events.wanted).mean())}
        both = float((events.given & (events.wanted == 1)).sum())
        sums = float(events.given.sum() + (events.wanted == 1).sum())
        return {"f1": 2 * both / sums if sums else 0.0, "accuracy": float(events.correct.mean())}


def _temperature(found: float | None) -> Decided:
    return {} if found is None else {"temperature": found}


def _key(entity: Mapping[str, Any]) -> tuple[int, int, str]:
    return entity["start"], entity["end"], entity["label"]
