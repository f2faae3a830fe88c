"""From encoded rows to a batch: pad the lists to the longest, stack the numbers.

Training and prediction share this one function, so a model sees the same arrays in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.targets import IGNORED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.tasks.base import EncodedRow


def length_of(encoded: EncodedRow) -> int:
    """Return the number of tokens of an encoded row."""
    return len(encoded["input_ids"])


def collate(
    encoded: Sequence[EncodedRow], padding: Mapping[str, int] | None = None
) -> dict[str, NDArray[Any]]:
    """Make one batch of arrays from encoded rows.

    Lists become ``[rows, longest]``, numbers ``[rows]``. A list is padded with the value that
    `padding` names for its key; else lists of ints named ``labels`` with `IGNORED`, all others
    with 0. Keys that start with ``_`` are left out; ``attention_mask`` is added where the rows
    do not bring one. Lists of floats (multi-label targets) must have one length.

    >>> batch = collate([{"input_ids": [5, 6]}, {"input_ids": [7]}], {"input_ids": 1})
    >>> batch["input_ids"].tolist(), batch["attention_mask"].tolist()
    ([[5, 6], [7, 1]], [[1, 1], [1, 0]])
    """
    import numpy as np

    values = {"labels": IGNORED, **(padding or {})}
    batch: dict[str, NDArray[Any]] = {}
    for key, first in encoded[0].items():
        if key.startswith("_"):
            continue
        column = [row[key] for row in encoded]
        if isinstance(first, list):
            batch[key] = _padded(column, values.get(key, 0))
        else:
            batch[key] = np.asarray(column, dtype=_dtype(first))
    if "input_ids" in batch and "attention_mask" not in batch:
        batch["attention_mask"] = _padded([[1] * length_of(row) for row in encoded], 0)
    return batch


def _padded(column: Sequence[list[Any]], value: int) -> NDArray[Any]:
    """Stack lists of numbers, filling up on the right with `value`."""
    import numpy as np

    longest = max(map(len, column))
    sample = next((items[0] for items in column if items), 0)
    array = np.full((len(column), longest), value, dtype=_dtype(sample))
    for index, items in enumerate(column):
        array[index, : len(items)] = items
    return array


def _dtype(sample: Any) -> Any:
    """int64 and float32 are what torch's embeddings and losses expect."""
    import numpy as np

    return np.float32 if isinstance(sample, float | np.floating) else np.int64
