"""ROC AUC and average precision against scikit-learn, ties and repeated examples included."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from hfkit.metrics.ranking import Ranking, average_precision, roc_auc

# Few distinct scores, so that most examples are tied with another.
examples = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda tenth: tenth / 10)),
    min_size=2,
    max_size=40,
)


@given(examples)
def test_both_kinds_present(rows):
    gold, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assume(gold.any() and not gold.all())
    assert roc_auc(gold, scores) == pytest.approx(oracle.roc_auc_score(gold, scores))
    assert average_precision(gold, scores) == pytest.approx(
        oracle.average_precision_score(gold, scores)
    )


@given(examples, st.randoms())
def test_counts_repeat_examples(rows, chance):
    gold, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    counts = np.array([chance.randint(0, 3) for _ in rows])
    drawn = np.repeat(gold, counts)
    assume(drawn.any() and not drawn.all())
    area, precision = Ranking(gold[:, None], scores[:, None]).measure(counts)
    assert area[0] == pytest.approx(oracle.roc_auc_score(drawn, np.repeat(scores, counts)))
    assert precision[0] == pytest.approx(
        oracle.average_precision_score(drawn, np.repeat(scores, counts))
    )


def test_several_labels_are_measured_each_by_itself():
    random = np.random.default_rng(1)
    gold = random.random((60, 4)) < [0.1, 0.3, 0.5, 0.9]
    scores = random.integers(0, 8, size=(60, 4)) / 8
    area, precision = Ranking(gold, scores).measure()
    np.testing.assert_allclose(area, oracle.roc_auc_score(gold, scores, average=None))
    np.testing.assert_allclose(
        precision, oracle.average_precision_score(gold, scores, average=None)
    )


def test_undefined_is_nan():
    scores = np.array([0.1, 0.9])
    assert math.isnan(roc_auc(np.array([True, True]), scores))
    assert math.isnan(average_precision(np.array([False, False]), scores))
    assert average_precision(np.array([True, True]), scores) == 1.0


def test_measuring_twice_gives_the_same():
    ranking = Ranking(np.array([[True], [False], [True]]), np.array([[0.3], [0.3], [0.1]]))
    first = ranking.measure()
    ranking.measure(np.array([3, 0, 1]))
    np.testing.assert_array_equal(first, ranking.measure())
