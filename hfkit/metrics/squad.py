"""Scores of answers cut from a text: exact match and F1, with and without unanswerable questions.

The one fact to know: answers are compared after normalising, which depends on the language
(`hfkit.answers`). English is scored by the official rules of SQuAD 2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.answers import Compared, Floats, rules_of, run_f1, sweep_of, texts_of
from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, defined, field

NO_SCORES = "the answers hold no no_answer_score"
ALL_ANSWERED = "every question has an answer"
NONE_ANSWERED = "no question has an answer"


class Answers(Metric):
    """Exact match and F1 of answers, over all questions and over each kind of question.

    `has_answer_…` and `no_answer_accuracy` are left out where every question has an answer.
    Reads ``answer`` ("" is no answer) and, of the gold, ``answers`` (empty: there is none) and
    ``language`` where it is known. ``no_answer_score`` (higher: rather no answer), in every answer,
    gives the scores at the best threshold; ``best_answer`` is then the answer that would be given
    below it.
    """

    headline: ClassVar[str] = "f1"
    right_share: ClassVar[str] = "exact_match"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        predicted = [_text(one, number) for number, one in enumerate(answers, start=1)]
        field(gold, "answers", who="gold answer")
        golds = texts_of(gold)
        self.rules = rules_of(gold, golds)
        self.golds = golds
        self.answerable = np.array([bool(texts) for texts in golds])
        self.left = np.array([not text for text in predicted])
        compared = Compared(predicted, golds, self.rules)
        self.parts = {"exact_match": compared.exact, "f1": compared.f1}
        self.runs = self._runs(predicted) if self.rules.characters else None
        scored = all("no_answer_score" in one for one in answers)
        self.sweep = None
        if scored and not self.answerable.all():
            self.sweep = sweep_of(answers, golds, self.rules)

    def _runs(self, predicted: Sequence[str]) -> Floats:
        """F1 of CMRC 2018 (Cui et al. 2019); its exact match is the one we have."""
        tokens = self.rules.tokens
        scores = []
        for text, golds in zip(predicted, self.golds, strict=True):
            given, right = tokens(text), [found for one in golds if (found := tokens(one))]
            best = max((run_f1(one, given) for one in right), default=float(not given))
            scores.append(best)
        return np.array(scores)

    def weighted(self, counts: Counts) -> dict[str, float]:
        scores = {name: _mean(values, counts) for name, values in self.parts.items()}
        answerable, other = counts * self.answerable, counts * ~self.answerable
        both = not self.answerable.all()
        for name, values in self.parts.items():
            scores[f"has_answer_{name}"] = _mean(values, answerable) if both else np.nan
        # Nothing lies between right and wrong here: one score, not two.
        scores["no_answer_accuracy"] = _mean(self.parts["exact_match"], other)
        if self.runs is not None:
            scores["cmrc_f1"] = _mean(self.runs, counts)
        for name in self.parts:
            best = np.nan if self.sweep is None else self.sweep.best(name, counts)[0]
            scores[f"best_{name}"] = best
        return scores

    def tables(self) -> dict[str, Any]:
        answerable = self.answerable
        found: dict[str, Any] = {
            "rules": self.rules.name,
            "questions": {
                "answerable": int(answerable.sum()),
                "answerable_left_unanswered": int((answerable & self.left).sum()),
                "unanswerable": int((~answerable).sum()),
                "unanswerable_but_answered": int((~answerable & ~self.left).sum()),
            },
            "undefined": self._undefined(),
        }
        if self.sweep is not None:
            ones = np.ones(self.count, dtype=np.int64)
            found["thresholds"] = {
                f"best_{name}": self.sweep.best(name, ones)[1] for name in self.parts
            }
        return found

    def _undefined(self) -> dict[str, str]:
        reasons: dict[str, str] = {}
        if self.answerable.all():
            names = ("no_answer_accuracy", *(f"has_answer_{name}" for name in self.parts))
            reasons |= dict.fromkeys(names, ALL_ANSWERED)
        if not self.answerable.any():
            reasons |= {f"has_answer_{name}": NONE_ANSWERED for name in self.parts}
        if self.sweep is None:
            why = ALL_ANSWERED if self.answerable.all() else NO_SCORES
            reasons |= {f"best_{name}": why for name in self.parts}
        return reasons

    def baseline(self) -> dict[str, float]:
        """Never an answer: right where there is none."""
        nothing = Compared([""] * self.count, self.golds, self.rules).exact
        answerable = self.answerable.astype(np.int64)
        always, has_answer = _mean(nothing, answerable * 0 + 1), _mean(nothing, answerable)
        scores = {"exact_match": always, "f1": always}
        if not self.answerable.all():
            scores |= {f"has_answer_{name}": has_answer for name in self.parts}
        scores["no_answer_accuracy"] = _mean(nothing, 1 - answerable)
        if self.runs is not None:
            scores["cmrc_f1"] = always
        if self.sweep is not None:
            scores |= {f"best_{name}": always for name in self.parts}
        return defined(scores)

    def is_right(self) -> NDArray[np.bool_]:
        """Whether an answer is exactly right."""
        return np.asarray(self.parts["exact_match"] == 1)


def _text(answer: Answer, number: int) -> str:
    text = answer.get("answer")
    if not isinstance(text, str):
        raise InputError("no 'answer'", place=f"answer {number}")
    return text


def _mean(values: Floats, counts: Counts) -> float:
    total = counts.sum()
    return float(values @ counts / total) if total else float("nan")
