"""The best cut of a score, against every possible cut tried one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hfkit.thresholds import Cuts, rising_line

CASES = 1000


def every_cut(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """The best F1 and accuracy, by trying each score as the threshold, and none."""
    f1, accuracy = 0.0, float(np.mean(~positive))
    for threshold in set(scores.tolist()):
        called = scores >= threshold
        both = (called & positive).sum()
        f1 = max(f1, 2 * both / max(called.sum() + positive.sum(), 1))
        accuracy = max(accuracy, float(np.mean(called == positive)))
    return f1, accuracy


def test_the_best_cut_is_the_best_of_all() -> None:
    chance = np.random.default_rng(0)
    for _ in range(CASES):
        count = int(chance.integers(1, 40))
        scores = chance.normal(size=count).round(int(chance.integers(0, 3)))
        positive = chance.random(count) < chance.random()
        best = Cuts(scores, positive).best()
        f1, accuracy = every_cut(scores, positive)
        assert best.accuracy == pytest.approx(accuracy)
        assert np.mean((scores >= best.accuracy_threshold) == positive) == pytest.approx(accuracy)
        if not positive.any():
            assert np.isnan(best.f1)
            continue
        called = scores >= best.f1_threshold
        assert best.f1 == pytest.approx(f1)
        assert best.precision == pytest.approx((called & positive).sum() / called.sum())
        assert best.recall == pytest.approx((called & positive).sum() / positive.sum())


def test_counts_are_examples_that_are_there_so_often() -> None:
    chance = np.random.default_rng(1)
    for _ in range(200):
        scores, positive = chance.normal(size=20).round(1), chance.random(20) < 0.4
        counts = chance.integers(0, 4, size=20)
        if not (counts * positive).sum():
            continue
        found = Cuts(scores, positive).best(counts)
        expected = Cuts(np.repeat(scores, counts), np.repeat(positive, counts)).best()
        assert (found.f1, found.accuracy) == pytest.approx((expected.f1, expected.accuracy))


def test_a_line_that_falls_is_none() -> None:
    scores = np.array([0.1, 0.4, 0.9])
    assert rising_line(scores, 3 - scores) is None
    assert rising_line(np.ones(3), scores) is None
    assert rising_line(scores, 1 + 4 * scores) == pytest.approx((4.0, 1.0))
