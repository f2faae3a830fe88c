"""Similarity scores, against sentence-transformers' evaluators on the same vectors."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
)
from sklearn.metrics import average_precision_score

from hfkit.errors import InputError
from hfkit.metrics.similarity import BinarySimilarity, Similarity
from hfkit.metrics.statistics import score
from hfkit.vectors import normalized

CASES = 1000


def answers(scores: np.ndarray) -> list[dict[str, Any]]:
    return [{"score": float(one)} for one in scores]


class Vectors:
    """What an evaluator asks of a model: the vectors of texts, known beforehand."""

    similarity_fn_name = "cosine"

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self.vectors = vectors
        self.model_card_data = self

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.stack([self.vectors[text] for text in texts]).astype(np.float32)

    def set_evaluation_metrics(self, *_: Any, **__: Any) -> None:
        """The evaluator leaves its scores here."""


def pairs(chance: np.random.Generator, count: int) -> tuple[list[str], list[str], Vectors, Any]:
    first, second = [f"a{n}" for n in range(count)], [f"b{n}" for n in range(count)]
    vectors = {text: chance.normal(size=4) for text in first + second}
    model = Vectors(vectors)
    sides = [normalized(model.encode(side)).astype(np.float32) for side in (first, second)]
    cosines = torch.sum(torch.tensor(sides[0]) * torch.tensor(sides[1]), dim=-1).numpy()
    return first, second, model, cosines


def test_correlations_are_those_of_sentence_transformers(caplog: Any) -> None:
    chance = np.random.default_rng(0)
    caplog.set_level(logging.ERROR)
    for _ in range(CASES):
        first, second, model, cosines = pairs(chance, int(chance.integers(3, 30)))
        labels = chance.integers(0, 6, size=len(first)) / 5
        if len(set(labels.tolist())) < 2:
            continue
        found = Similarity(answers(cosines), answers(labels), []).values()
        evaluator = EmbeddingSimilarityEvaluator(first, second, labels.tolist(), write_csv=False)
        expected = evaluator(model)
        assert found["spearman"] == pytest.approx(expected["spearman_cosine"], abs=1e-6)
        assert found["pearson"] == pytest.approx(expected["pearson_cosine"], abs=1e-5)


def test_binary_scores_are_those_of_sentence_transformers(caplog: Any) -> None:
    chance = np.random.default_rng(1)
    caplog.set_level(logging.ERROR)
    for _ in range(CASES):
        first, second, model, cosines = pairs(chance, int(chance.integers(2, 30)))
        labels = (chance.random(len(first)) < 0.5).astype(int)
        labels[:2] = 1, 0
        metric = BinarySimilarity(answers(cosines), answers(labels), [])
        found, thresholds = metric.values(), metric.tables()["thresholds"]
        evaluator = BinaryClassificationEvaluator(
            first, second, labels.tolist(), similarity_fn_names=["cosine"], write_csv=False
        )
        expected = evaluator.compute_metrics(model)["cosine"]
        assert found["average_precision"] == pytest.approx(expected["ap"], abs=1e-6)
        for name in ("f1", "accuracy"):
            assert found[name] == pytest.approx(expected[name], abs=1e-6)
        assert thresholds["accuracy"] == pytest.approx(expected["accuracy_threshold"], abs=1e-6)
        called = cosines >= thresholds["f1"]
        both = 2 * (called & (labels == 1)).sum() / (called.sum() + labels.sum())
        assert both == pytest.approx(expected["f1"])


def test_ties_are_scored_as_scikit_learn_does() -> None:
    chance = np.random.default_rng(2)
    for _ in range(CASES):
        scores = chance.integers(0, 4, size=15) / 4
        labels = chance.random(15) < 0.5
        labels[0] = True
        found = BinarySimilarity(answers(scores), answers(labels), []).values()
        expected = average_precision_score(labels, scores)
        assert found["average_precision"] == pytest.approx(expected)


def test_a_rising_line_changes_no_score() -> None:
    chance = np.random.default_rng(3)
    scores, labels = chance.normal(size=50), chance.integers(0, 6, size=50)
    plain = Similarity(answers(scores), answers(labels), []).values()
    scaled = Similarity(answers(2.5 * scores + 1), answers(labels), []).values()
    assert plain == pytest.approx(scaled)


def test_the_threshold_that_the_model_brought_is_scored_apart() -> None:
    given = [
        {"score": 0.9, "same": True},
        {"score": 0.8, "same": True},
        {"score": 0.1, "same": False},
    ]
    found = BinarySimilarity(given, answers(np.array([1, 0, 0])), []).values()
    assert found["f1"] == found["accuracy"] == 1.0
    assert found["f1_same"] == pytest.approx(2 / 3)
    assert found["accuracy_same"] == pytest.approx(2 / 3)


def test_intervals_and_what_is_undefined() -> None:
    chance = np.random.default_rng(4)
    labels = (chance.random(80) < 0.4).astype(int)
    scores = labels + chance.normal(size=80)
    found = score(BinarySimilarity(answers(scores), answers(labels), []), resamples=200)
    low, high = found.intervals["average_precision"]
    assert low < found.values["average_precision"] < high
    assert found.baseline["average_precision"] == pytest.approx(labels.mean())
    none = BinarySimilarity(answers(scores), answers(0 * labels), [])
    assert set(none.values()) == {"accuracy"}
    assert none.tables()["undefined"]["f1"] == "no pair is labelled 1"
    constant = Similarity(answers(scores), answers(np.ones(80)), [])
    assert constant.values() == {}
    assert set(constant.tables()["undefined"]) == {"spearman", "pearson"}


def test_labels_other_than_0_and_1_and_scores_that_are_none() -> None:
    with pytest.raises(InputError, match=r"gold answer 2: 0\.5 is neither 0 nor 1"):
        BinarySimilarity(answers(np.ones(2)), answers(np.array([1, 0.5])), [])
    with pytest.raises(InputError, match="answer 1: nan is not a finite number"):
        BinarySimilarity(answers(np.array([np.nan])), answers(np.ones(1)), [])
    with pytest.raises(InputError, match="answer 1: no 'score'"):
        Similarity([{}], answers(np.ones(1)), [])
