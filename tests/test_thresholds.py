"""The best cut of a score, against every possible cut tried one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hfkit.thresholds import Cuts, label_thresholds, precise_cut, rising_line

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


def test_the_precise_cut_is_the_lowest_that_is_precise_enough() -> None:
    chance = np.random.default_rng(1)
    for _ in range(300):
        count = int(chance.integers(1, 40))
        sure = chance.random(count).round(int(chance.integers(1, 4)))
        right = chance.random(count) < sure
        wanted = float(chance.choice([0.5, 0.8, 0.95, 1.0]))
        shares = {cut: right[sure >= cut].mean() for cut in set(sure.tolist())}
        enough = [cut for cut, share in shares.items() if share >= wanted]
        found = precise_cut(sure, right, wanted)
        if not enough:
            assert found is None
            continue
        assert found is not None
        kept = sure >= found.confidence
        assert right[kept].mean() == pytest.approx(found.precision) and found.precision >= wanted
        assert kept.mean() == pytest.approx(found.coverage) == (sure >= min(enough)).mean()


def test_a_label_with_few_rows_gets_the_threshold_of_all() -> None:
    chance = np.random.default_rng(2)
    scores = chance.random((200, 3))
    given = scores > np.array([0.3, 0.7, 0.5])
    given[:, 2] = False
    given[:5, 2] = True
    found, common, few = label_thresholds(scores, given)
    assert few == [2] and found[2] == common
    assert found[:2] == pytest.approx([0.3, 0.7], abs=0.05)
