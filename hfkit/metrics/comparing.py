"""Several systems on the same examples: scores side by side, differences, and what flipped.

The scores of all systems are resampled with the same draws, so that the difference of two has an
interval of its own. It is tested by `paired`: the share of right answers by McNemar's test, all
other scores by swapping. Where a score goes by the order of a system's numbers (ROC AUC, Spearman),
each system's numbers become ranks before they are swapped, as those of two models need not share a
scale; those of Pearson's correlation become standard scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Metric
from hfkit.metrics.paired import Evidence, holm, mcnemar, permutation
from hfkit.metrics.statistics import Scores, percentiles, resampled, scores_of, units_of

Floats = NDArray[np.float64]

SCALES = ("score", "no_answer_score")  # numbers of an answer that only their order gives a meaning


@dataclass(frozen=True)
class System:
    """The answers of one system, and the right ones as its task writes them."""

    name: str
    answers: Sequence[Answer]
    gold: Sequence[Answer]


@dataclass(frozen=True)
class Difference:
    """One score of the second system minus that of the first, with its interval and its test.

    `p` is that of this pair alone, `p_holm` corrected for all pairs. `better` names the system
    that is, and "" where the two cannot be told apart.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    test: str = ""
    better: str = ""


@dataclass(frozen=True)
class Pair:
    """Two systems beside each other.

    `to_right` and `to_wrong` are the examples (from 0) that the second system has right and the
    first wrong, and the other way round; both are None where answers are not right or wrong.
    """

    first: str
    second: str
    differences: dict[str, Difference]
    to_right: list[int] | None = None
    to_wrong: list[int] | None = None


@dataclass(frozen=True)
class Comparison:
    """Scores of each system and all pairs of them, in the order of the systems."""

    scores: dict[str, Scores]
    pairs: list[Pair]
    headline: str
    count: int
    lower_is_better: list[str] = field(default_factory=list)
    confidence: float = 0.95
    resamples: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and finite numbers; the flipped examples as counts."""
        pairs = [
            {
                "first": pair.first,
                "second": pair.second,
                "differences": {name: asdict(one) for name, one in pair.differences.items()},
                "wrong_to_right": None if pair.to_right is None else len(pair.to_right),
                "right_to_wrong": None if pair.to_wrong is None else len(pair.to_wrong),
            }
            for pair in self.pairs
        ]
        return {
            "count": self.count,
            "headline": self.headline,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "lower_is_better": self.lower_is_better,
            "scores": {name: scores.to_json() for name, scores in self.scores.items()},
            "pairs": pairs,
        }


def compare(
    metric: type[Metric],
    systems: Sequence[System],
    labels: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Comparison:
    """Score the systems and compare each with each; `resamples` is also the number of swaps.

    Raises `InputError` where the systems did not answer the same number of examples.
    """
    counts = {len(system.answers) for system in systems}
    if len(counts) > 1:
        raise InputError(f"not the same examples: {sorted(counts)} answers")
    metrics = [metric(system.answers, system.gold, list(labels)) for system in systems]
    units = units_of(metrics[0].count, metrics[0].clusters)
    found = [one.values() for one in metrics]
    names = [name for name in found[0] if all(name in values for values in found)]
    if not names:
        raise InputError("no score is defined for all of them")
    many = resamples if resamples and units.max() > 0 else 0
    drawn = [resampled(one, units, names, many, seed) for one in metrics]
    scores: dict[str, Scores] = {}
    for system, one, values, rows in zip(systems, metrics, found, drawn, strict=True):
        intervals = percentiles(rows, names, confidence) if many else {}
        scores[system.name] = scores_of(one, values, intervals, confidence, many)
    pairs = [
        _pair(systems[i], systems[j], metrics[i], metrics[j], units, drawn[j] - drawn[i], names,
              swaps=resamples, seed=seed, confidence=confidence)
        for i, j in combinations(range(len(systems)), 2)
    ]  # fmt: skip
    lower = sorted(metrics[0].lower_is_better & set(names))
    headline = metrics[0].headline if metrics[0].headline in names else names[0]
    judged = _judged(pairs, names, lower, 1 - confidence)
    return Comparison(scores, judged, headline, metrics[0].count, lower, confidence, many)


def difference_bound(
    metric: type[Metric],
    first: System,
    second: System,
    labels: Sequence[str],
    score: str,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """How much better the second system is than the first, and the most it may be.

    Positive is better, whichever way the score goes. The bound is the one-sided one of the paired
    bootstrap: with the given confidence the second is not better by more.
    """
    metrics = [metric(one.answers, one.gold, list(labels)) for one in (first, second)]
    sign = -1.0 if score in metrics[0].lower_is_better else 1.0
    values = [one.values() for one in metrics]
    if not all(score in one for one in values):
        raise InputError(f"the score '{score}' is not defined for both")
    value = sign * (values[1][score] - values[0][score])
    units = units_of(metrics[0].count, metrics[0].clusters)
    if not units.max():
        return value, float("inf")
    before, after = (resampled(one, units, [score], resamples, 0)[:, 0] for one in metrics)
    gains = sign * (after - before)
    known = gains[np.isfinite(gains)]
    if 2 * known.size < gains.size:
        return value, float("inf")
    return value, float(np.quantile(known, confidence))


def _pair(
    first: System,
    second: System,
    one: Metric,
    other: Metric,
    units: NDArray[np.intp],
    drawn: Floats,
    names: list[str],
    *,
    swaps: int,
    seed: int,
    confidence: float,
) -> Pair:
    """The differences of two systems, not yet corrected for the number of pairs."""
    tests = _swapped(first, second, one, other, units, names, swaps, seed) if swaps else {}
    right, other_right = one.is_right(), other.is_right()
    flips: dict[str, Any] = {}
    if right is not None and other_right is not None:
        to_right = np.flatnonzero(~right & other_right).tolist()
        to_wrong = np.flatnonzero(right & ~other_right).tolist()
        flips = {"to_right": to_right, "to_wrong": to_wrong}
        if one.right_share in names and one.clusters is None:
            tests[one.right_share] = mcnemar(len(to_wrong), len(to_right))
    intervals = percentiles(drawn, names, confidence) if len(drawn) else {}
    values, others = one.values(), other.values()
    differences = {}
    for name in names:
        low, high = intervals.get(name, (None, None))
        test = tests.get(name)
        differences[name] = Difference(
            others[name] - values[name], low, high, test and test.p, None, test.name if test else ""
        )
    return Pair(first.name, second.name, differences, **flips)


def _judged(
    pairs: Sequence[Pair], names: Sequence[str], lower: Sequence[str], level: float
) -> list[Pair]:
    """Correct the p-values of each score for the number of pairs, and say who is better."""
    found = [dict(pair.differences) for pair in pairs]
    for name in names:
        tested = [one for one in found if one[name].p is not None]
        corrected = holm([one[name].p or 0.0 for one in tested])
        for one, p in zip(tested, corrected, strict=True):
            one[name] = replace(one[name], p_holm=p)
        for pair, one in zip(pairs, found, strict=True):
            p_holm, value = one[name].p_holm, one[name].value
            if p_holm is not None and p_holm < level and value:
                second = (value > 0) != (name in lower)
                one[name] = replace(one[name], better=pair.second if second else pair.first)
    return [replace(pair, differences=one) for pair, one in zip(pairs, found, strict=True)]


def _swapped(
    first: System,
    second: System,
    one: Metric,
    other: Metric,
    units: NDArray[np.intp],
    names: list[str],
    swaps: int,
    seed: int,
) -> dict[str, Evidence]:
    """The permutation test of every score."""
    joined = one.beside(other)
    if joined is not None:
        every = np.ones(one.count, dtype=bool)
        return permutation(joined, units, every, names, swaps=swaps, seed=seed)
    tests: dict[str, Evidence] = {}
    linear = [name for name in names if name in one.linear]
    rest = [name for name in names if name not in one.linear]
    for scale, some in ((_ranks, rest), (_standard_scores, linear)):
        if some:
            before, after = (_on_scale(system.answers, scale) for system in (first, second))
            both = type(one)([*before, *after], [*first.gold, *second.gold], list(one.labels))
            differs = np.array([a != b for a, b in zip(before, after, strict=True)])
            tests |= permutation(both, units, differs, some, swaps=swaps, seed=seed)
    return tests


def _on_scale(answers: Sequence[Answer], scale: Callable[[Floats], Floats]) -> list[Answer]:
    """The answers with their numbers on a scale that other systems share."""
    changed: list[dict[str, Any]] = [dict(answer) for answer in answers]
    for key in SCALES:
        numbers = [answer.get(key) for answer in answers]
        if all(isinstance(number, int | float) for number in numbers):
            for answer, number in zip(changed, scale(np.array(numbers, float)), strict=True):
                answer[key] = float(number)
    scores = [answer.get("scores") for answer in answers]
    if not all(isinstance(one, Mapping) for one in scores):
        return list(changed)
    tables = [dict(one) for one in scores if isinstance(one, Mapping)]
    for label in tables[0]:
        if all(label in table for table in tables):
            column = scale(np.array([table[label] for table in tables], float))
            for table, number in zip(tables, column, strict=True):
                table[label] = float(number)
    for answer, table in zip(changed, tables, strict=True):
        answer["scores"] = table
    return list(changed)


def _ranks(numbers: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(numbers), dtype=np.float64)


def _standard_scores(numbers: Floats) -> Floats:
    spread = numbers.std()
    return np.asarray((numbers - numbers.mean()) / spread) if spread else numbers
