"""Errors and correlations against scikit-learn and SciPy, ties and constants included."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from hfkit.errors import InputError
from hfkit.metrics import correlation
from hfkit.metrics.correlation import Regression

numbers = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=40
).map(lambda rows: np.array(rows, dtype=float).T / 4)


def as_answers(values):
    return [{"value": float(value)} for value in values]


@given(numbers)
def test_scores_equal_scipy_and_scikit_learn(pair):
    gold, predicted = pair
    assume(np.ptp(gold) > 0 and np.ptp(predicted) > 0)
    values = Regression(as_answers(predicted), as_answers(gold), []).values()
    assert values["pearson"] == pytest.approx(stats.pearsonr(gold, predicted)[0], abs=1e-9)
    assert values["spearman"] == pytest.approx(stats.spearmanr(gold, predicted)[0], abs=1e-9)
    assert values["spearman"] == correlation.spearman(gold, predicted)
    assert values["mse"] == pytest.approx(oracle.mean_squared_error(gold, predicted))
    assert values["rmse"] == pytest.approx(oracle.root_mean_squared_error(gold, predicted))
    assert values["mae"] == pytest.approx(oracle.mean_absolute_error(gold, predicted))
    assert values["r2"] == pytest.approx(oracle.r2_score(gold, predicted), abs=1e-9)


@given(numbers, st.randoms())
def test_an_index_repeats_examples(pair, chance):
    gold, predicted = pair
    index = np.array([chance.randrange(gold.size) for _ in range(gold.size)])
    whole = Regression(as_answers(predicted), as_answers(gold), []).values(index)
    part = Regression(as_answers(predicted[index]), as_answers(gold[index]), []).values()
    assert whole.keys() == part.keys()
    assert whole == pytest.approx(part, abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_ranks_share_ties(values):
    groups = np.unique(values, return_inverse=True)[1]
    np.testing.assert_array_equal(correlation.average_ranks(groups), stats.rankdata(values))


def test_a_constant_side_has_no_correlation():
    metric = Regression(as_answers([0.1, 0.1, 0.1]), as_answers([1, 2, 4]), [])
    assert set(metric.values()) == {"mse", "rmse", "mae", "r2"}
    assert set(metric.tables()["undefined"]) == {"pearson", "spearman"}
    metric = Regression(as_answers([1, 2, 4]), as_answers([0.1, 0.1, 0.1]), [])
    assert set(metric.tables()["undefined"]) == {"pearson", "spearman", "r2"}
    assert "r2" not in metric.values()
    json.dumps(metric.tables(), allow_nan=False)


def test_baseline_is_the_mean():
    baseline = Regression(as_answers([9, 9, 9.5]), as_answers([1, 2, 6]), []).baseline()
    assert baseline["mse"] == pytest.approx(14 / 3)
    assert baseline["rmse"] == pytest.approx(math.sqrt(14 / 3))
    assert baseline["r2"] == pytest.approx(0)
    assert "pearson" not in baseline


@pytest.mark.parametrize("value", ["3.4", True, float("nan"), float("inf")])
def test_only_finite_numbers(value):
    with pytest.raises(InputError, match="answer 2"):
        Regression([{"value": 1}, {"value": value}], as_answers([1, 2]), [])
