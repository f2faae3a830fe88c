"""The shells `squad` and `squad_v2`: the keys and the scale, 0 to 100, of the official scorers.

Beside each other they show where the two official scorers differ: `squad` compares with every gold
answer, and two texts of which nothing is left after normalising have an F1 of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np

from hfkit.answers import OFFICIAL, Compared, token_f1
from hfkit.errors import InputError
from hfkit.metrics.shells import Shell

SOURCE = "https://rajpurkar.github.io/SQuAD-explorer/"


class Squad(Shell):
    score = "SQuAD 1.1: share of exact matches, and mean F1 of the words, 0 to 100."
    source = SOURCE

    def _inputs(self) -> Mapping[str, Any]:
        return _features()

    def _compute(
        self, predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        texts = {one["id"]: one["prediction_text"] for one in predictions}
        exact, f1 = [], []
        for one in references:
            text, gold = texts.get(one["id"]), one["answers"]["text"]
            if not len(gold):
                raise InputError(
                    f"question {one['id']} has no gold answer", hint="squad_v2 scores such data"
                )
            if text is None:  # a question without a prediction counts as wrong
                exact.append(0.0)
                f1.append(0.0)
                continue
            normal, tokens = OFFICIAL.normalize(text), OFFICIAL.tokens(text)
            exact.append(float(normal in [OFFICIAL.normalize(right) for right in gold]))
            f1.append(max(_f1_of_version_1(OFFICIAL.tokens(right), tokens) for right in gold))
        return {"exact_match": 100.0 * float(np.mean(exact)), "f1": 100.0 * float(np.mean(f1))}


class SquadV2(Shell):
    score = "SQuAD 2.0: exact match and F1 with unanswerable questions, 0 to 100."
    source = SOURCE

    def _inputs(self) -> Mapping[str, Any]:
        features = _features()
        features["predictions"]["no_answer_probability"] = datasets.Value("float32")
        return features

    def _compute(
        self,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        no_answer_threshold: float = 1.0,
    ) -> dict[str, Any]:
        given = {one["id"]: one for one in predictions}
        kept = [one for one in references if one["id"] in given]  # the others are left out
        if not kept:
            raise InputError("no question has a prediction")
        texts = [given[one["id"]]["prediction_text"] for one in kept]
        chances = np.array([given[one["id"]]["no_answer_probability"] for one in kept])
        gold = [list(one["answers"]["text"]) for one in kept]
        answerable = np.array([bool(right) for right in gold])
        compared = Compared(texts, gold, OFFICIAL)
        raw = {"exact": compared.exact, "f1": compared.f1}
        found: dict[str, Any] = {}
        for prefix, chosen in (("", answerable | True), ("HasAns_", answerable),
                               ("NoAns_", ~answerable)):  # fmt: skip
            if not chosen.any():
                continue
            for name, scores in raw.items():
                final = np.where(chances > no_answer_threshold, ~answerable, scores)
                found[prefix + name] = 100.0 * float(final[chosen].mean())
            found[f"{prefix}total"] = int(chosen.sum())
        answered = np.array([bool(text) for text in texts])
        for name, scores in raw.items():
            gains = np.where(answerable, scores, -answered.astype(float))
            best, threshold = _best(gains, chances, int((~answerable).sum()))
            found |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
        return found


def _best(gains: Any, chances: Any, start: int) -> tuple[float, float]:
    """The official search: it may stop between equal chances, where no threshold can."""
    order = np.argsort(chances, kind="stable")
    reached = start + np.cumsum(gains[order])
    place = int(reached.argmax())
    if reached[place] <= start:
        return 100.0 * start / len(gains), 0.0
    return 100.0 * float(reached[place]) / len(gains), float(chances[order[place]])


def _f1_of_version_1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    return token_f1(gold, predicted) if gold and predicted else 0.0


def _features() -> dict[str, Any]:
    text = datasets.Value("string")
    answers = datasets.Sequence({"text": text, "answer_start": datasets.Value("int32")})
    return {
        "predictions": {"id": text, "prediction_text": text},
        "references": {"id": text, "answers": answers},
    }
