"""Random rows for every kind of loss: what a batch holds, and which rows belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ROWS, CLASSES, VOCABULARY = 70, 3, 50
ROW_LOSSES = {
    "single-label": "cross_entropy",
    "multi-label": "binary_cross_entropy",
    "regression": "mean_squared_error",
}
TOKEN_LOSSES = {"tokens": "cross_entropy", "span": "span"}
STEP_LOSSES = {
    "graded": "cosent",
    "same": "contrastive",
    "positives": "multiple_negatives",
    "triplets": "multiple_negatives",
}
LOSSES = {**ROW_LOSSES, **TOKEN_LOSSES, **STEP_LOSSES}


@dataclass(frozen=True)
class Data:
    """Encoded rows: their tokens, the rest of a batch, and for examples of several rows `groups`
    and `keys`."""

    lengths: np.ndarray
    make_batch: Callable[..., dict[str, np.ndarray]]
    groups: np.ndarray | None = None
    keys: np.ndarray | None = None


def make_data(problem: str) -> Data:
    """Rows of 3 to 12 tokens with labels and unequal weights; some labels are unknown."""
    chance = np.random.default_rng(3)
    if problem in STEP_LOSSES:
        return _examples(problem, chance)
    lengths = chance.integers(3, 13, size=ROWS)
    weights = chance.uniform(0.2, 3.0, size=ROWS).astype(np.float32)
    ids = [chance.integers(4, VOCABULARY, size=length) for length in lengths]
    if problem == "tokens":
        labels = [chance.integers(0, CLASSES, size=length) for length in lengths]
        for row in labels:
            row[0] = -100  # [CLS]
        return Data(lengths, _batches(ids, {"loss_weight": weights}, {"labels": labels}))
    if problem == "span":
        ends = chance.integers(0, lengths)
        starts = np.minimum(chance.integers(0, lengths), ends)
        starts[::9] = ends[::9] = -100
        columns = {"start_positions": starts, "end_positions": ends, "loss_weight": weights}
        return Data(lengths, _batches(ids, columns))
    if problem == "single-label":
        labels = chance.integers(0, CLASSES, size=ROWS)
        labels[::9] = -100
    elif problem == "multi-label":
        labels = chance.integers(0, 2, size=(ROWS, CLASSES)).astype(np.float32)
        labels[::5, 1] = np.nan
        weights = weights[:, None] * np.array([1.0, 2.0, 0.5], dtype=np.float32)
    else:
        labels = chance.normal(size=ROWS).astype(np.float32)
        labels[::9] = np.nan
    return Data(lengths, _batches(ids, {"labels": labels, "loss_weight": weights}))


def _examples(problem: str, chance: np.random.Generator) -> Data:
    """Examples of two or three texts, of one or two windows each; some texts occur twice."""
    sides = 3 if problem == "triplets" else 2
    texts = [(example, side) for example in range(ROWS) for side in range(sides)]
    owner = np.repeat(np.arange(len(texts)), chance.integers(1, 3, size=len(texts)))
    example, side = np.array(texts)[owner].T
    lengths = chance.integers(3, 13, size=len(owner))
    ids = [chance.integers(4, VOCABULARY, size=length) for length in lengths]
    of_text = np.arange(len(texts))
    of_text[5::20] = of_text[::20]  # equal texts, as far as their keys say
    graded = (
        chance.integers(0, 6, size=ROWS) if problem == "graded" else chance.integers(0, 2, ROWS)
    )
    labels = graded.astype(np.float32)
    if problem in ("positives", "triplets"):
        labels[:] = np.nan
    columns = {
        "example": example,
        "side": side,
        "share": lengths.astype(np.float32),
        "labels": labels[example],
        "text_key": of_text[owner],
    }
    return Data(lengths, _batches(ids, columns), example, of_text[owner])


def _batches(
    ids: list[np.ndarray],
    columns: dict[str, np.ndarray],
    lists: dict[str, list[np.ndarray]] | None = None,
) -> Callable[..., dict[str, np.ndarray]]:
    def padded(column: list[np.ndarray], rows: list[int], value: int) -> np.ndarray:
        width = max(len(column[row]) for row in rows)
        array = np.full((len(rows), width), value, dtype=np.int64)
        for place, row in enumerate(rows):
            array[place, : len(column[row])] = column[row]
        return array

    def make_batch(rows: list[int], epoch: int = 0) -> dict[str, np.ndarray]:
        return {
            "input_ids": padded(ids, rows, 0),
            "attention_mask": padded([np.ones_like(row) for row in ids], rows, 0),
            **{name: column[rows] for name, column in columns.items()},
            **{name: padded(column, rows, -100) for name, column in (lists or {}).items()},
        }

    return make_batch
