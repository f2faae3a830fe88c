"""Probabilities at another temperature: the order stays, and the one that fits is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize, minimize_scalar
from sklearn.linear_model import LogisticRegression

from hfkit.metrics.calibration import nll, nll_of_yes
from hfkit.temperature import (
    fitted,
    fitted_line,
    log_odds,
    on_line,
    sigmoid,
    softmax,
    tempered,
    tempered_each,
)

LOGITS = arrays(np.float64, (5,), elements=st.floats(-30, 30))
TEMPERATURES = st.floats(0.05, 20)


@given(LOGITS, TEMPERATURES)
def test_it_is_the_softmax_of_the_logits_over_the_temperature(
    logits: np.ndarray, temperature: float
) -> None:
    found = tempered(softmax(logits), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-6)
    assert found.sum() == pytest.approx(1)


@given(LOGITS, TEMPERATURES)
def test_the_order_stays(logits: np.ndarray, temperature: float) -> None:
    chances = softmax(logits)
    found = tempered(chances, temperature)
    order = np.argsort(chances, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    each = tempered_each(sigmoid(logits), temperature)
    assert (np.diff(each[np.argsort(logits, kind="stable")]) >= 0).all()
    before = sigmoid(logits)
    apart = np.abs(before - 0.5) > 1e-15  # what is nearer to a half may be rounded to it
    assert ((each >= 0.5) == (before >= 0.5))[apart].all()


@given(st.floats(0, 1), st.floats(0.01, 10), st.floats(-5, 5))
def test_confidences_stay_between_0_and_1(chance: float, slope: float, offset: float) -> None:
    assert 0 <= float(on_line(chance, slope, offset)) <= 1
    assert np.isfinite(log_odds(chance))


def sample(seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by a known temperature, and what came of them."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(4000, 4)) * 2
    right = np.array([chance.choice(4, p=row) for row in softmax(logits)])
    return softmax(logits * temperature), right


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    chances, right = sample(1, temperature)

    def loss(found: float) -> float:
        return nll(tempered(chances, found), right)

    found = fitted(loss)
    assert found is not None
    assert found == pytest.approx(temperature, rel=0.06)
    oracle = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-8})
    assert found == pytest.approx(oracle.x, abs=1e-4)


def test_rows_that_are_all_right_tell_of_no_temperature() -> None:
    chances = np.array([[0.9, 0.1]] * 30)
    assert fitted(lambda found: nll(tempered(chances, found), np.zeros(30, int))) is None
    assert fitted(lambda found: nll(tempered(chances, found), np.ones(30, int))) is None
    assert fitted(lambda found: 1.0) is None


def test_the_line_has_the_lowest_loss() -> None:
    chance = np.random.default_rng(0)
    chances = chance.beta(4, 1, size=500)
    right = chance.random(500) < on_line(chances, 0.5, -0.7)
    line = fitted_line(chances, right)
    assert line is not None
    wanted = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def loss(values: np.ndarray) -> float:
        found = np.clip(on_line(chances, *values), 1e-15, 1 - 1e-15)
        return float(-(wanted * np.log(found) + (1 - wanted) * np.log(1 - found)).sum())

    oracle = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8})
    np.testing.assert_allclose(line, oracle.x, atol=1e-4)
    # Without Platt's targets it is an unpenalised logistic regression; with 500 rows, nearly.
    model = LogisticRegression(C=1e9).fit(log_odds(chances)[:, None], right)
    assert line[0] == pytest.approx(model.coef_[0, 0], rel=0.05)


def test_a_line_that_would_turn_the_order_around_is_none() -> None:
    chances = np.linspace(0.1, 0.9, 60)
    assert fitted_line(chances, chances < 0.5) is None
    assert fitted_line(np.full(60, 0.5), chances < 0.5) is None
    assert fitted_line(chances, np.ones(60, bool)) is not None  # Platt's targets keep it finite


def test_of_yes_and_no() -> None:
    chances, right = sample(2, 3.0)
    yes = chances[:, 0]
    found = fitted(lambda one: nll_of_yes(tempered_each(yes, one), right == 0))
    assert found is not None and found > 1
