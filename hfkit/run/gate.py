"""What a score must reach: fixed limits, and another model that it may not be worse than.

The fact to know: on few rows two equal models score differently. `against` therefore fails only
where the one-sided 95 % bound of the paired bootstrap shows that the model is worse than the other
by more than the margin. That is proof of a loss, not of its absence: few rows hardly ever fail.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hfkit.errors import InputError, did_you_mean
from hfkit.run.answered import Answered, answers_of, check_same_gold

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig
    from hfkit.metrics.statistics import Scores

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Against:
    """How a model compares with another one in one score.

    `gain` is how much better it is, `bound` the most that it is better by with `confidence` (None:
    nothing is known), both positive for better whichever way the score goes; `worse` whether the
    bound lies below ``-margin``.
    """

    other: str
    score: str
    gain: float
    bound: float | None
    margin: float
    confidence: float
    worse: bool

    def told(self) -> str:
        """Why the gate is shut."""
        tolerated = f", more than the margin of {self.margin:g}" if self.margin else ""
        return (
            f"{self.score} is worse than that of {self.other} by {-self.gain:.4g}, with "
            f"{self.confidence:.0%} confidence by {-(self.bound or 0):.4g} or more{tolerated}"
        )


def limit(text: str) -> tuple[str, float]:
    """A limit as it is typed, ``accuracy=0.9``, or ``0.9`` for the first score, whose name is "".

    Raises `InputError` for anything else.

    >>> limit("f1=0.5"), limit("0.9")
    (('f1', 0.5), ('', 0.9))
    """
    name, equals, value = text.rpartition("=")
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or (equals and not name.strip()):
        wanted = "a number" if equals and name.strip() else "name=value"
        raise InputError(
            f"expected {wanted}, got '{text}'",
            place="--fail-under",
            hint="as --fail-under accuracy=0.9",
        )
    return name.strip(), found


def missed(scores: Scores, name: str, limit: float, lower: Collection[str]) -> list[str]:
    """Say that a score is worse than its limit; `lower` names those that are errors.

    Raises `InputError` for a score that does not exist.
    """
    name = name or scores.headline
    if name not in scores.values:
        raise InputError(
            f"no score '{name}'", place="--fail-under", hint=did_you_mean(name, scores.values)
        )
    value = scores.values[name]
    if name in lower:  # errors: a good one is small
        return [] if value <= limit else [f"{name} is {value:.4g}, above {limit:g}"]
    return [] if value >= limit else [f"{name} is {value:.4g}, below {limit:g}"]


def against(answered: Answered, score: str, config: EvaluateConfig) -> Against:
    """Compare with ``config.no_worse_than`` on the same rows.

    Raises `InputError` where the other one is of another task, or answered other rows.
    """
    from hfkit.metrics.comparing import System, difference_bound
    from hfkit.registry import find_metric

    other = config.no_worse_than or ""
    settings = {"model": other, "data": config.data or config.model}
    theirs = answers_of(other, config.model_copy(update=settings))
    metric = answered.task.metric
    if theirs.task.metric != metric:
        what = f"is scored as {theirs.task.metric}, the model as {metric}"
        raise InputError(what, place=f"--no-worse-than {other}")
    check_same_gold(answered, theirs, f"--no-worse-than {other}")
    gain, bound = difference_bound(
        find_metric(metric),
        System(other, theirs.answers, theirs.gold),
        System(config.model or "", answered.answers, answered.gold),
        answered.task.labels,
        score,
        confidence=CONFIDENCE,
    )
    known = bound if math.isfinite(bound) else None
    worse = known is not None and known < -config.margin
    return Against(other, score, gain, known, config.margin, CONFIDENCE, worse)
