"""Scores of language models: how well hidden words and next tokens are found, and pairs of texts
told apart.

A row has as many hidden words as it has, and none where they stand in the row before: answers hold
sums, and a score divides the sum over all rows by their number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric


class MaskedWords(Metric):
    """Hidden words: the mean negative log-probability of the right one (``loss``), e to that
    (``perplexity``), and how many were found (``accuracy``).

    Reads ``masked``, ``found`` and ``loss``; the gold answers and `labels` play no part.
    """

    headline: ClassVar[str] = "perplexity"
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"loss", "perplexity"})
    counted: ClassVar[str] = "masked"  # what an answer calls their number
    table: ClassVar[str] = "hidden_words"
    fewest: ClassVar[str] = "no word was hidden in these rows"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self.number, self.found, self.loss = (
            sums(answers, name) for name in (self.counted, "found", "loss")
        )

    def weighted(self, counts: Counts) -> dict[str, float]:
        loss = ratio(self.loss, self.number, counts)
        return {
            "loss": loss,
            "perplexity": perplexity(loss),
            "accuracy": ratio(self.found, self.number, counts),
        }

    def tables(self) -> dict[str, Any]:
        undefined = {} if self.number.any() else dict.fromkeys(("loss", "accuracy"), self.fewest)
        return {self.table: int(self.number.sum()), "undefined": undefined}

    def baseline(self) -> dict[str, float]:
        """None: which words are frequent is not known here."""
        return {}


class NextTokens(MaskedWords):
    """Tokens given those before them: ``loss``, ``perplexity`` and ``accuracy`` as of hidden words.

    Reads ``tokens``, ``found`` and ``loss``.
    """

    counted: ClassVar[str] = "tokens"
    table: ClassVar[str] = "tokens"
    fewest: ClassVar[str] = "no token of these rows has one before it"


class NextSentence(Metric):
    """Pairs of texts: the mean negative log-probability of the right answer (``next_loss``) and how
    many were told right (``accuracy``). With hidden words also their ``perplexity`` and
    ``masked_accuracy``; ``loss`` is the sum of both losses.

    Reads ``pairs``, ``right`` and ``next_loss``, and what `MaskedWords` reads.
    """

    headline: ClassVar[str] = "accuracy"
    lower_is_better: ClassVar[frozenset[str]] = frozenset(
        {"loss", "next_loss", "masked_loss", "perplexity"}
    )

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self.pairs, self.right, self.loss = (
            sums(answers, name) for name in ("pairs", "right", "next_loss")
        )
        hides = any("masked" in answer for answer in answers)
        self.words = MaskedWords(answers, gold, labels) if hides else None

    def weighted(self, counts: Counts) -> dict[str, float]:
        loss = ratio(self.loss, self.pairs, counts)
        scores = {"accuracy": ratio(self.right, self.pairs, counts), "next_loss": loss}
        if self.words is None:
            return {**scores, "loss": loss}
        of_words = self.words.weighted(counts)
        return {
            **scores,
            "masked_loss": of_words["loss"],
            "perplexity": of_words["perplexity"],
            "masked_accuracy": of_words["accuracy"],
            "loss": loss + of_words["loss"],
        }

    def tables(self) -> dict[str, Any]:
        return {"pairs": int(self.pairs.sum()), **(self.words.tables() if self.words else {})}

    def baseline(self) -> dict[str, float]:
        """Always the same answer: half of the pairs are next."""
        return {"accuracy": 0.5}


def sums(answers: Sequence[Answer], name: str) -> NDArray[np.float64]:
    """What each answer has under a name; raise `InputError` for one that has no number there."""
    for number, answer in enumerate(answers, start=1):
        if not isinstance(answer.get(name), int | float):
            raise InputError(f"no '{name}'", place=f"answer {number}")
    return np.array([answer[name] for answer in answers], dtype=np.float64)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64], counts: Counts) -> float:
    """The sum of one over the sum of the other; NaN where that is 0.

    >>> ratio(np.array([1.0, 2.0]), np.array([4.0, 4.0]), np.array([1, 0]))
    0.25
    """
    total = float(whole @ counts)
    return float(part @ counts) / total if total else math.nan


def perplexity(loss: float) -> float:
    """e to a mean negative log-probability; infinite where that is past all bounds.

    >>> round(perplexity(math.log(8)), 6)
    8.0
    """
    return math.exp(loss) if loss < 700 else math.inf
