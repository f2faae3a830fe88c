"""Calibration errors as torchmetrics has them, Brier score and log loss as scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from hfkit.errors import InputError
from hfkit.metrics.calibration import (
    brier,
    brier_of_yes,
    calibration_error,
    nll,
    nll_of_yes,
    reliability,
)


def made(seed: int, count: int = 500, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    return chance.dirichlet(np.ones(labels), size=count), chance.integers(labels, size=count)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [10, 15])
def test_calibration_error_as_torchmetrics(seed: int, bins: int) -> None:
    chances, right = made(seed)
    sure, correct = chances.max(axis=1), chances.argmax(axis=1) == right
    theirs = multiclass_calibration_error(
        torch.tensor(chances), torch.tensor(right), num_classes=4, n_bins=bins, norm="l1"
    )
    assert calibration_error(sure, correct, bins) == pytest.approx(float(theirs), abs=1e-6)
    binary = binary_calibration_error(
        torch.tensor(chances[:, 0]), torch.tensor(right == 0), n_bins=bins, norm="l1"
    )
    found = calibration_error(chances[:, 0], right == 0, bins)
    # torchmetrics takes the probability of yes, as this does.
    assert found == pytest.approx(float(binary), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_brier_and_log_loss_as_scikit_learn(seed: int) -> None:
    chances, right = made(seed)
    assert brier(chances, right) == pytest.approx(
        brier_score_loss(right, chances, scale_by_half=False)
    )
    assert nll(chances, right) == pytest.approx(log_loss(right, chances))
    yes = right == 0
    assert brier_of_yes(chances[:, 0], yes) == pytest.approx(brier_score_loss(yes, chances[:, 0]))
    assert nll_of_yes(chances[:, 0], yes) == pytest.approx(log_loss(yes, chances[:, 0]))


def test_bins_of_equal_mass_hold_equally_many() -> None:
    chance = np.random.default_rng(0)
    sure = chance.beta(9, 1, size=600)
    curve = reliability(sure, chance.random(600) < sure, bins=10, sizes="mass")
    assert [one["count"] for one in curve] == pytest.approx([60] * 10, abs=1)
    assert curve[0]["low"] == 0 and curve[-1]["high"] == 1
    assert all(one["low"] <= one["confidence"] <= one["high"] for one in curve)


def test_equal_confidences_stay_together() -> None:
    curve = reliability(np.ones(40), np.arange(40) < 30, bins=10, sizes="mass")
    assert [(one["count"], one["accuracy"]) for one in curve] == [(40, 0.75)]


def test_every_answer_is_in_a_bin() -> None:
    curve = reliability(np.array([0.0, 0.2, 1.0]), np.array([0, 1, 1]), bins=5)
    assert sum(one["count"] for one in curve) == 3
    with pytest.raises(InputError, match="0 confidences"):
        reliability(np.array([]), np.array([]))
    with pytest.raises(InputError, match="2 confidences for 1 answers"):
        reliability(np.array([0.5, 0.5]), np.array([1]))
