"""How far a score may be trusted: bootstrap intervals around the scores of a metric."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Metric, defined


@dataclass(frozen=True)
class Scores:
    """The scores of one evaluation, with what is needed to read them.

    `intervals` holds (low, high) per score, `baseline` the scores of answering without reading,
    `baselines` those of simple models by their name, `headline` the name of the score to show
    first.
    """

    values: dict[str, float]
    count: int
    headline: str
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    baseline: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    confidence: float = 0.95
    resamples: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, texts and finite numbers, ready for `json.dumps`."""
        pairs = {name: list(pair) for name, pair in self.intervals.items()}
        return asdict(self) | {"intervals": pairs}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Scores:
        """The inverse of `to_json`."""
        pairs = {name: (low, high) for name, (low, high) in saved["intervals"].items()}
        return cls(**{**saved, "intervals": pairs})


def score(
    metric: Metric,
    *,
    resamples: int = 1000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Scores:
    """Score all examples and put a percentile bootstrap interval around each score.

    Examples are drawn with replacement, as many as there are; with `clusters` (one name per
    example, say its document; by default those of the metric) whole clusters are drawn, because
    examples of one cluster are not independent. The interval is what remains between the tails of
    the resampled scores.

    The percentile interval is used because it asks for no formula per score, never leaves the
    range of the score, follows it through any monotone change of scale, and needs one pass: Efron
    & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. It is a little too narrow on
    few examples, and has no width where every resample scores the same: a perfect result on few
    examples is less certain than it shows.

    The same seed gives the same intervals. A score has no interval where there are fewer than two
    examples (or clusters) or where it is undefined in more than half of the resamples; resamples
    in which it is undefined are otherwise left out.
    """
    if resamples < 0 or not 0 < confidence < 1:
        raise InputError("resamples must be 0 or more, confidence between 0 and 1")
    values = metric.values()
    if not values:
        raise InputError("no score is defined on these answers")
    units = units_of(metric.count, metric.clusters if clusters is None else clusters)
    intervals = {}
    if resamples and units.max() > 0:
        drawn = resampled(metric, units, list(values), resamples, seed)
        intervals = percentiles(drawn, list(values), confidence)
    return scores_of(metric, values, intervals, confidence, resamples)


def scores_of(
    metric: Metric,
    values: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    confidence: float,
    resamples: int,
) -> Scores:
    """Put scores and their intervals together with what else the metric says."""
    return Scores(
        values=values,
        count=metric.count,
        headline=metric.headline if metric.headline in values else next(iter(values)),
        intervals=intervals,
        baseline=metric.baseline(),
        tables=metric.tables(),
        confidence=confidence,
        resamples=resamples,
    )


def units_of(count: int, clusters: Sequence[Hashable] | None) -> NDArray[np.intp]:
    """The number of the unit that each example is drawn with."""
    if clusters is None:
        return np.arange(count)
    if len(clusters) != count:
        raise InputError(f"{len(clusters)} cluster names for {count} examples")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters])


def resampled(
    metric: Metric, units: NDArray[np.intp], names: list[str], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Scores of each resample, shape (resamples, names); NaN where undefined.

    Metrics of the same examples see the same draws under the same seed.
    """
    random = np.random.default_rng(seed)
    size = int(units.max()) + 1
    found = np.full((resamples, len(names)), np.nan)
    for row in found:
        times = np.bincount(random.integers(size, size=size), minlength=size)
        scores = defined(metric.weighted(times[units]))
        row[:] = [scores.get(name, np.nan) for name in names]
    return found


def percentiles(
    drawn: NDArray[np.float64], names: list[str], confidence: float
) -> dict[str, tuple[float, float]]:
    """What is left of each column between its tails; columns that are mostly NaN are left out."""
    tail = (1 - confidence) / 2
    intervals = {}
    for name, column in zip(names, drawn.T, strict=True):
        known = column[np.isfinite(column)]
        if 2 * known.size >= column.size:
            low, high = np.quantile(known, [tail, 1 - tail])
            intervals[name] = (float(low), float(high))
    return intervals
