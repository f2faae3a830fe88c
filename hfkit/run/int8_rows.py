"""The rows that give static int8 its scales; it is never scored on them.

They are rows of the run's training data where these are still there, else a part of the data that
are named, which is then left out of the score.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hfkit.errors import InputError
from hfkit.run.answered import load_labelled

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset
    from hfkit.run.opening import Opened

log = logging.getLogger(__name__)

T = TypeVar("T")

ROWS = 200  # a range of values hardly grows with more
FEWEST = 16  # training rows with which a scale is more than that of some text


class Parted(NamedTuple):
    """Rows that give the scales, and rows that are scored."""

    calibration: Dataset
    scored: Dataset


def part(opened: Opened, data: Dataset) -> Parted:
    """Find rows to calibrate on beside the rows of `data`, which are scored.

    Raises `InputError` where there are no training data and `data` is too small to be cut.
    """
    found = _of_training(opened, data)
    if found is not None:
        return Parted(found, data)
    chosen = spread(range(len(data.rows)), min(ROWS, len(data.rows) // 2))
    known = {_read(data.rows[number]) for number in chosen}
    rest = [number for number, row in enumerate(data.rows) if _read(row) not in known]
    if not chosen or not rest:
        raise InputError(
            "too few rows to take the scales of int8 from some and score it on others",
            place=data.source,
            hint="name more, or use --int8-method dynamic, which needs none",
        )
    log.warning(
        "no training data beside these rows are at hand: %d rows of %s give int8 its scales, and "
        "it is scored on %d others",
        len(chosen), data.source, len(rest),
    )  # fmt: skip
    return Parted(data.part(chosen), data.part(rest))


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most `most` of the items, from all over them.

    >>> list(spread(range(10), 4)), list(spread(range(3), 4)), list(spread(range(3), 0))
    ([0, 3, 6, 9], [0, 1, 2], [])
    """
    return items[:: -(-len(items) // most)] if most and items else items[:0]


def _of_training(opened: Opened, data: Dataset) -> Dataset | None:
    """Rows the run was trained on that are not among `data`; None where there are not enough."""
    saved = opened.settings
    if saved is None or not opened.columns or not saved.train or not Path(saved.train).is_file():
        return None
    try:
        found = load_labelled(saved.train, saved, opened)
    except InputError as error:
        log.info("the training data cannot be read any more: %s", error)
        return None
    scored = {_read(row) for row in data.rows}
    other = [number for number, row in enumerate(found.rows) if _read(row) not in scored]
    return found.part(spread(other, ROWS)) if len(other) >= FEWEST else None


def _read(row: Mapping[str, Any]) -> str:
    """What the model reads of a row."""
    return json.dumps({role: value for role, value in row.items() if role != "label"})
