"""Whether confidences can be believed: of answers that are 80 % sure, are 80 % right?

reliability   confidence beside accuracy, in bins: what a reliability diagram draws
ece           expected calibration error: the distance between the two, over the bins, each
              weighed by its answers (Naeini et al., AAAI 2015). 15 bins, of equal width or with
              equally many answers; the two say different things where confidences crowd
brier         mean squared distance between probabilities and what is right
nll           negative log-likelihood of what is right, in nats
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError

BINS = 15
LEAST = 1e-12  # the lowest probability that is taken the logarithm of

Sizes = Literal["width", "mass"]


def reliability(
    confidences: NDArray[Any], correct: NDArray[Any], bins: int = BINS, sizes: Sizes = "width"
) -> list[dict[str, float]]:
    """Confidence beside accuracy in each bin that holds answers, in rising order.

    `confidences` ``[answers]`` lie between 0 and 1, `correct` ``[answers]`` says which were right.
    Bins have equal `sizes`: the same width, each with its upper border, or the same number of
    answers (mass), which those of equal confidence may disturb, as they stay together. Raises
    `InputError` where there are no answers, or the two differ in length.

    >>> found = reliability(np.array([0.2, 0.9, 0.9, 1.0]), np.array([0, 1, 1, 0]), bins=2)
    >>> [(one["low"], one["high"], one["count"], round(one["accuracy"], 3)) for one in found]
    [(0.0, 0.5, 1, 0.0), (0.5, 1.0, 3, 0.667)]
    """
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if not sure.size or sure.shape != right.shape:
        raise InputError(f"{sure.size} confidences for {right.size} answers")
    borders = np.linspace(0, 1, bins + 1)
    if sizes == "mass":
        ordered = np.sort(sure)
        inner = ordered[[len(ordered) * number // bins for number in range(1, bins)]]
        borders = np.unique(np.concatenate([[0.0], inner, [1.0]]))
    place = np.clip(np.searchsorted(borders, sure, side="left") - 1, 0, len(borders) - 2)
    counts = np.bincount(place, minlength=len(borders) - 1)
    confidence = np.bincount(place, sure, minlength=len(counts))
    accuracy = np.bincount(place, right, minlength=len(counts))
    return [
        {
            "low": float(borders[number]),
            "high": float(borders[number + 1]),
            "count": int(counts[number]),
            "confidence": float(confidence[number] / counts[number]),
            "accuracy": float(accuracy[number] / counts[number]),
        }
        for number in np.flatnonzero(counts)
    ]


def calibration_error(
    confidences: NDArray[Any], correct: NDArray[Any], bins: int = BINS, sizes: Sizes = "width"
) -> float:
    """The expected calibration error; see `reliability` for what it takes.

    >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1, 1, 1, 0]))
    0.0
    """
    curve = reliability(confidences, correct, bins, sizes)
    apart = sum(one["count"] * abs(one["confidence"] - one["accuracy"]) for one in curve)
    return float(apart / len(confidences))


def brier(chances: NDArray[Any], right: NDArray[Any]) -> float:
    """The mean over answers of the summed squared distances of ``chances [answers, choices]`` from
    the right choices ``[answers]``, numbers of columns; between 0 and 2.

    >>> brier(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1]))
    0.25
    """
    wanted = np.zeros_like(chances)
    wanted[np.arange(len(right)), right] = 1
    return float(np.square(chances - wanted).sum(axis=1).mean())


def brier_of_yes(chances: NDArray[Any], right: NDArray[Any]) -> float:
    """The mean squared distance of the probabilities of yes ``[answers]`` from 0 and 1.

    >>> brier_of_yes(np.array([0.5, 1.0]), np.array([True, True]))
    0.125
    """
    return float(np.square(chances - np.asarray(right, dtype=np.float64)).mean())


def nll(chances: NDArray[Any], right: NDArray[Any]) -> float:
    """The mean negative logarithm of the right choice's probability; see `brier`."""
    found = np.maximum(chances[np.arange(len(right)), right], LEAST)
    return float(-np.log(found).mean())


def nll_of_yes(chances: NDArray[Any], right: NDArray[Any]) -> float:
    """The same for probabilities of yes ``[answers]``.

    >>> round(nll_of_yes(np.array([0.5, 1.0]), np.array([True, True])), 4)
    0.3466
    """
    of_right = np.where(np.asarray(right, dtype=bool), chances, 1 - chances)
    return float(-np.log(np.maximum(of_right, LEAST)).mean())
