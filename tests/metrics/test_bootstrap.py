"""Intervals: they cover the truth, repeat with the seed, and respect clusters."""

import json
import time

import numpy as np
import pytest

from hfkit.errors import InputError
from hfkit.metrics.classification import SingleLabel
from hfkit.metrics.correlation import Regression
from hfkit.metrics.statistics import Scores, score

LABELS = ["no", "yes"]


def answered(right):
    """A metric whose answers are right where `right` is true."""
    gold = [{"label": LABELS[i % 2]} for i in range(len(right))]
    answers = [{"label": LABELS[(i + (not ok)) % 2]} for i, ok in enumerate(right)]
    return SingleLabel(answers, gold, LABELS)


def test_the_interval_covers_the_true_accuracy_as_often_as_it_says():
    random = np.random.default_rng(7)
    truth, trials = 0.8, 200
    covered = 0
    for trial in range(trials):
        metric = answered(random.random(150) < truth)
        low, high = score(metric, resamples=150, seed=trial).intervals["accuracy"]
        covered += low <= truth <= high
    assert 0.90 <= covered / trials <= 0.985


def test_the_interval_has_the_width_of_the_binomial():
    metric = answered(np.arange(400) % 5 != 0)
    low, high = score(metric, resamples=2000).intervals["accuracy"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 400), rel=0.1)


def test_the_seed_decides():
    metric = answered(np.arange(60) % 3 != 0)
    assert score(metric, resamples=50) == score(metric, resamples=50)
    assert score(metric, resamples=50).intervals != score(metric, resamples=50, seed=1).intervals


def test_clusters_are_drawn_whole():
    right = np.repeat(np.arange(20) % 4 != 0, 10)  # ten examples of one document are all alike
    metric, clusters = answered(right), np.repeat(np.arange(20), 10).tolist()
    alone = score(metric).intervals["accuracy"]
    together = score(metric, clusters=clusters).intervals["accuracy"]
    assert np.ptp(together) > 2.5 * np.ptp(alone)  # sqrt(10) times as wide
    with pytest.raises(InputError, match="cluster"):
        score(metric, clusters=clusters[1:])


def test_no_interval_from_one_example_or_one_cluster():
    assert score(answered([True])).intervals == {}
    assert score(answered([True, False]), clusters=["a", "a"]).intervals == {}
    assert score(answered([True, False]), resamples=0).intervals == {}


def test_a_score_that_is_mostly_undefined_has_no_interval():
    answers = [{"label": "no", "scores": {"no": 0.9 - i / 100, "yes": 0.1}} for i in range(40)]
    gold = [{"label": "yes"}] + [{"label": "no"}] * 39
    found = score(SingleLabel(answers, gold, LABELS), resamples=200)
    assert "roc_auc" in found.intervals  # the one positive is drawn in 63 % of the resamples
    assert set(found.intervals) == set(found.values)

    values = [{"value": 0.0}] * 99 + [{"value": 1.0}]
    found = score(Regression(values[::-1], values, []), resamples=200)
    assert "mse" in found.intervals
    assert "pearson" in found.values
    assert "pearson" not in found.intervals  # both odd ones are drawn in 40 % of the resamples


def test_the_headline_is_a_score_that_is_there():
    constant = Regression([{"value": 1}] * 3, [{"value": v} for v in (1, 2, 3)], [])
    assert score(constant, resamples=10).headline == "mse"
    assert score(answered([True, False]), resamples=10).headline == "accuracy"


def test_scores_survive_json():
    found = score(answered(np.arange(30) % 3 != 0), resamples=20)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Scores.from_json(json.loads(text)) == found
    assert found.count == 30
    assert found.baseline["accuracy"] == 0.5
    assert found.tables["per_class"]


def test_a_thousand_resamples_of_many_examples_take_seconds():
    random = np.random.default_rng(0)
    labels = [f"label {i}" for i in range(77)]
    scores = random.dirichlet(np.ones(77), size=10_000)
    answers = [
        {"label": labels[row.argmax()], "scores": dict(zip(labels, row.tolist(), strict=True))}
        for row in scores
    ]
    gold = [{"label": labels[i]} for i in random.integers(77, size=10_000)]
    metric = SingleLabel(answers, gold, labels)
    started = time.process_time()
    found = score(metric, resamples=100)
    assert "roc_auc" in found.intervals
    assert time.process_time() - started < 1.5  # a thousand: ten times that, limit 15, usual 1
