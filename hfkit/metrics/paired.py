"""Whether two systems that answered the same examples differ by more than chance.

The fact to know: two intervals that overlap do not show that nothing differs. Both systems met the
same easy and hard examples, and only a test that pairs them takes that out.

McNemar's test (Psychometrika 12, 1947) looks at the examples that one system has right and the
other wrong. Below 25 of them the binomial distribution is summed exactly; from there on chi squared
without a correction for continuity, which keeps closest to its level (Fagerland, Lydersen & Laake,
BMC Medical Research Methodology 13:91, 2013).

A permutation test swaps the answers of both systems at random, example by example, and counts how
often the scores are then as far apart as they were (Noreen, Computer-Intensive Methods for Testing
Hypotheses, 1989; "approximate randomisation"). It needs no formula, so it serves F1 and correlation
too. Where few answers differ all swaps are gone through, and it is exact; else the swaps drawn
include the one that was seen, so that p is never 0 (Phipson & Smyth, 2010).

Holm's correction (Scandinavian Journal of Statistics 6, 1979) keeps the chance of a single wrong
"differs" among all pairs below the level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfkit.metrics.base import Counts, Metric

FEW = 25  # examples on which two systems differ; from here on McNemar's test uses chi squared
ROUNDING = 1e-12  # two differences of scores this near are the same
EXACT, CHI_SQUARED = "McNemar, exact", "McNemar, chi squared"
ALL_SWAPS, SOME_SWAPS = "permutation, exact", "permutation"


class Evidence(NamedTuple):
    """A two-sided p-value, and the test that gave it."""

    p: float
    name: str


def mcnemar(only_first: int, only_second: int) -> Evidence:
    """Compare two shares of right answers, from the numbers of examples that one alone has right.

    >>> mcnemar(1, 8)
    Evidence(p=0.0390625, name='McNemar, exact')
    >>> mcnemar(40, 60).name, mcnemar(0, 0).p
    ('McNemar, chi squared', 1.0)
    """
    from scipy.stats import binom, chi2

    total = only_first + only_second
    if total < FEW:
        tail = float(binom.cdf(min(only_first, only_second), total, 0.5))
        return Evidence(min(1.0, 2 * tail), EXACT)
    statistic = (only_first - only_second) ** 2 / total
    return Evidence(float(chi2.sf(statistic, 1)), CHI_SQUARED)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[number]))
        corrected[number] = highest
    return corrected


def permutation(
    both: Metric,
    units: NDArray[np.intp],
    differs: NDArray[np.bool_],
    names: Sequence[str],
    *,
    swaps: int,
    seed: int,
) -> dict[str, Evidence]:
    """Test the difference of each score by swapping answers.

    `both` is the metric of the examples of the first system, then those of the second; `units`
    numbers what each example is swapped with (its document), `differs` says where the answers are
    not the same. Scores that are undefined in either system have no test.
    """
    count = len(units)
    seen = _differences(both, np.zeros(count, dtype=np.int64), names)
    movable = np.unique(units[differs])
    every = 2 ** len(movable) <= swaps
    as_far = np.zeros(len(names))
    tried = 2 ** len(movable) if every else swaps
    random = np.random.default_rng(seed)
    swapped = np.zeros(int(units.max()) + 1, dtype=np.int64)
    for number in range(tried):
        if every:
            swapped[movable] = number >> np.arange(len(movable)) & 1
        else:
            swapped[movable] = random.integers(2, size=len(movable))
        moved = _differences(both, swapped[units], names)
        # A swap that leaves a score undefined counts against a difference.
        as_far += ~(np.abs(moved) < np.abs(seen) - ROUNDING)
    added = 0 if every else 1
    kind = ALL_SWAPS if every else SOME_SWAPS
    return {
        name: Evidence(float((hits + added) / (tried + added)), kind)
        for name, hits, difference in zip(names, as_far, seen, strict=True)
        if np.isfinite(difference)
    }


def _differences(both: Metric, swapped: Counts, names: Sequence[str]) -> NDArray[np.float64]:
    """The second system's scores minus the first's, after some of their answers were swapped."""
    first = both.weighted(np.concatenate([1 - swapped, swapped]))
    second = both.weighted(np.concatenate([swapped, 1 - swapped]))
    return _column(second, names) - _column(first, names)


def _column(scores: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([scores.get(name, np.nan) for name in names], dtype=np.float64)
