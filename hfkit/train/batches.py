"""Which encoded rows make up which optimizer step: pure functions of lengths, seed and epoch.

Neither the number of processes nor where training was interrupted changes the order: a resumed run
asks for the same batches and goes on by index, having read nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
POOL = 50  # batches that are sorted by length together: enough to save padding, few enough to mix


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Return the number of batches in one pass; the last one may be short.

    >>> steps_per_epoch(33, 16)
    3
    """
    return math.ceil(rows / batch_size)


def epoch_batches(
    lengths: NDArray[np.integer], batch_size: int, *, seed: int, epoch: int, group: bool
) -> list[Rows]:
    """Cut one epoch into batches of row numbers; each row comes exactly once.

    With `group`, rows of similar length share a batch: the shuffled rows are sorted inside pools of
    50 batches, cut, and the batches shuffled again.

    >>> [b.tolist() for b in epoch_batches(np.ones(5), 2, seed=1, epoch=0, group=False)]
    [[0, 3], [4, 1], [2]]
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    order = generator.permutation(len(lengths))
    if group:
        pool = batch_size * POOL
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in pools])
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if group:
        batches = [batches[place] for place in generator.permutation(len(batches))]
    return batches


def share(batch: Rows, *, rank: int, world: int, micro_batch: int | None) -> list[Rows]:
    """Return the micro-batches of one process: every `world`-th row, in cuts of `micro_batch`.

    Taking turns spreads a batch sorted by length evenly. A short batch can leave a process with
    nothing.

    >>> [m.tolist() for m in share(np.arange(10), rank=1, world=2, micro_batch=3)]
    [[1, 3, 5], [7, 9]]
    >>> share(np.arange(1), rank=1, world=2, micro_batch=3)
    []
    """
    mine = batch[rank::world]
    size = micro_batch or max(len(mine), 1)
    return [mine[start : start + size] for start in range(0, len(mine), size)]
