"""Scores of pre-training, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hfkit.errors import InputError
from hfkit.metrics.language import MaskedWords, NextSentence
from hfkit.metrics.statistics import score

ANSWERS = [
    {"masked": 3, "found": 1, "loss": 6.0},
    {"masked": 0, "found": 0, "loss": 0.0},
    {"masked": 1, "found": 1, "loss": 2.0},
]
GOLD = [{"text": "a"}] * 3


def test_a_word_counts_as_much_as_any_other() -> None:
    metric = MaskedWords(ANSWERS, GOLD, [])
    assert metric.values() == pytest.approx(
        {"loss": 2.0, "perplexity": math.exp(2), "accuracy": 0.5}
    )
    assert metric.values(np.array([2, 2])) == pytest.approx(
        {"loss": 2.0, "perplexity": math.exp(2), "accuracy": 1.0}
    )
    assert metric.values(np.array([1])) == {}  # nothing was hidden
    assert metric.tables() == {"hidden_words": 4, "undefined": {}}
    assert set(score(metric).intervals) == {"loss", "perplexity", "accuracy"}
    assert metric.headline == "perplexity"


def test_pairs_alone_and_with_words() -> None:
    pairs = [{"pairs": 2, "right": 1, "next_loss": 1.0}, {"pairs": 2, "right": 2, "next_loss": 0.4}]
    alone = NextSentence(pairs, GOLD[:2], []).values()
    assert alone == pytest.approx({"accuracy": 0.75, "next_loss": 0.35, "loss": 0.35})
    both = [{**pair, **words} for pair, words in zip(pairs, ANSWERS[::2], strict=True)]
    found = NextSentence(both, GOLD[:2], []).values()
    assert found == pytest.approx(
        {
            "accuracy": 0.75, "next_loss": 0.35, "masked_loss": 2.0, "masked_accuracy": 0.5,
            "perplexity": math.exp(2), "loss": 2.35,
        }
    )  # fmt: skip


def test_a_loss_past_all_bounds_has_no_perplexity() -> None:
    metric = MaskedWords([{"masked": 1, "found": 0, "loss": 1e6}], GOLD[:1], [])
    assert set(metric.values()) == {"loss", "accuracy"}


def test_answers_of_another_task_are_refused() -> None:
    with pytest.raises(InputError, match="answer 1: no 'masked'"):
        MaskedWords([{"label": "a"}], GOLD[:1], [])
