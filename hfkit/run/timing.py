"""What was measured several times: the middle, and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """A figure with the interval around it; without one where it was measured once."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Return plain data with four significant digits."""
        names = ("value", "low", "high")
        values = [getattr(self, name) for name in names]
        return {
            name: None if value is None else float(f"{value:.4g}")
            for name, value in zip(names, values, strict=True)
        }


def measured(values: Sequence[float], quantile: float = 0.5) -> Measured:
    """The median of some measurements, or another quantile, with its percentile bootstrap interval.

    Few measurements give an interval that is a little too narrow.

    >>> measured([3.0, 1.0, 2.0]).value, measured([7.0])
    (2.0, Measured(value=7.0, low=None, high=None))
    """
    import numpy as np

    found = np.asarray(values, dtype=np.float64)
    value = float(np.quantile(found, quantile))
    if len(found) < 2:
        return Measured(value)
    drawn = found[_draws(len(found))]
    return Measured(value, *_tails(np.quantile(drawn, quantile, axis=1)))


def ratio(ones: Sequence[float], others: Sequence[float]) -> Measured:
    """The median of `ones` over that of `others`, with its interval; pairs are drawn together.

    The two were measured in turns, so that what slowed both down for a while is in both.

    >>> ratio([4.0, 6.0, 8.0], [2.0, 3.0, 4.0])
    Measured(value=2.0, low=2.0, high=2.0)
    """
    import numpy as np

    one, other = np.asarray(ones, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if len(one) != len(other):
        raise ValueError("not measured in pairs")
    value = float(np.median(one) / np.median(other))
    if len(one) < 2:
        return Measured(value)
    draws = _draws(len(one))
    drawn = np.median(one[draws], axis=1) / np.median(other[draws], axis=1)
    return Measured(value, *_tails(drawn))


def _draws(count: int) -> NDArray[np.intp]:
    import numpy as np

    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def _tails(drawn: NDArray[np.float64]) -> tuple[float, float]:
    import numpy as np

    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
