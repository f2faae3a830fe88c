"""How sure an answer sounds: probabilities at another temperature, and which one fits.

A temperature T raises each probability to 1/T and norms again, which is the softmax of the logits
divided by T (Guo et al., ICML 2017). Above 1 a model becomes less sure, below more; which answer is
the likeliest stays. Probabilities are changed rather than logits, so that it also holds for those
averaged over the windows of a long text.

The confidence of an entity is no softmax: it is laid on a rising line of its log odds (Platt 1999).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLDEST, HOTTEST = 0.05, 20.0
STEPS = 60  # temperatures tried first, evenly in their logarithm
GOLDEN = (math.sqrt(5) - 1) / 2
LEAST = 1e-12  # a probability of 0 or 1 has no log odds
ROUNDS = 100  # of Newton's method; ten do, as a rule


def softmax(values: NDArray[Any]) -> NDArray[Any]:
    """Over the last axis; the largest is subtracted first, so that nothing overflows."""
    import numpy as np

    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """For each value on its own, without overflow."""
    import numpy as np

    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def log_odds(chances: NDArray[Any] | float) -> NDArray[Any]:
    """The inverse of `sigmoid`; finite, as 0 and 1 are taken for nearly that."""
    import numpy as np

    kept = np.clip(chances, LEAST, 1 - LEAST)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def tempered(chances: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Probabilities of one out of several ``[..., choices]`` at another temperature.

    >>> import numpy as np
    >>> tempered(np.array([0.8, 0.2]), 2.0).round(3).tolist()
    [0.667, 0.333]
    """
    import numpy as np

    if temperature == 1:
        return chances
    with np.errstate(divide="ignore"):  # a probability of 0 stays 0
        return softmax(np.log(chances) / temperature)


def tempered_each(chances: NDArray[Any], temperature: float) -> NDArray[Any]:
    """Probabilities of yes, each on its own, at another temperature; a half stays a half.

    >>> import numpy as np
    >>> tempered_each(np.array([0.5, 0.8]), 2.0).round(3).tolist()
    [0.5, 0.667]
    """
    return chances if temperature == 1 else sigmoid(log_odds(chances) / temperature)


def on_line(chances: NDArray[Any] | float, slope: float, offset: float) -> NDArray[Any]:
    """Confidences whose log odds are laid on a line; the order stays, as `slope` is above 0.

    >>> import numpy as np
    >>> on_line(np.array([0.5, 0.8]), 1.0, 0.0).round(3).tolist()
    [0.5, 0.8]
    """
    return sigmoid(slope * log_odds(chances) + offset)


def laid(confidence: float, decisions: Mapping[str, Any]) -> float:
    """A confidence on the line that was decided on; as it is where none was."""
    slope = decisions.get("score_slope")
    if slope is None:
        return confidence
    return float(on_line(confidence, slope, decisions["score_offset"]))


def fitted(loss: Callable[[float], float]) -> float | None:
    """The temperature with the lowest loss, from 0.05 to 20; None where that is at the border, as
    it is where every answer is right, or none: such data tell of no temperature.

    >>> round(fitted(lambda temperature: (temperature - 1.5) ** 2), 6)
    1.5
    """
    import numpy as np

    grid = np.linspace(math.log(COLDEST), math.log(HOTTEST), STEPS + 1)
    values = [loss(math.exp(step)) for step in grid]
    place = int(np.argmin(values))
    if place in (0, STEPS) or values[place] == max(values):
        return None
    low, high = float(grid[place - 1]), float(grid[place + 1])
    while high - low > 1e-9:
        span = GOLDEN * (high - low)
        if loss(math.exp(high - span)) < loss(math.exp(low + span)):
            high = low + span
        else:
            low = high - span
    return math.exp((low + high) / 2)


def fitted_line(chances: NDArray[Any], right: NDArray[Any]) -> tuple[float, float] | None:
    """Slope and offset of the line of log odds with the lowest negative log-likelihood; None where
    it does not rise, and so would turn the order around.

    The targets are Platt's, a little short of 0 and 1, so that a few answers that are all right do
    not come out as certain. Newton's method; a step that does not help is halved.
    """
    import numpy as np

    odds = log_odds(chances)
    if not odds.size or not np.ptp(odds):
        return None
    yes, no = int(right.sum()), int((~right).sum())
    wanted = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    columns = np.stack([odds, np.ones_like(odds)], axis=1)

    def loss(line: NDArray[Any]) -> float:
        values = columns @ line
        return float(np.sum(np.logaddexp(0, values) - wanted * values))

    line = np.array([1.0, 0.0])
    for _ in range(ROUNDS):
        found = sigmoid(columns @ line)
        downhill = columns.T @ (found - wanted)
        bend = (columns * (found * (1 - found))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, downhill)
        while loss(line - step) > loss(line) and np.abs(step).max() > 1e-12:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-10:
            break
    slope, offset = float(line[0]), float(line[1])
    return (slope, offset) if slope > 0 and math.isfinite(offset) else None
