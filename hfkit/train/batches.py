"""Which encoded rows make up which optimizer step: pure functions of lengths, seed and epoch.

Neither the number of processes nor where training was interrupted changes the order: a resumed run
asks for the same batches and goes on by index, having read nothing.

A batch counts *examples*. Mostly an example is one encoded row; where several belong together (the
texts of a pair, the windows of a text), they stay together and count as one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
POOL = 50  # batches that are sorted by length together: enough to save padding, few enough to mix
AHEAD = 20  # batches to look ahead for an example that shares no text with those of a batch


class Examples:
    """The encoded rows of each example.

    `lengths` are the tokens of each encoded row. `groups` gives the example of each encoded row
    (None: each is its own), `keys` a number for each encoded row's text that equal texts share.

    >>> examples = Examples(np.array([3, 9, 4]), groups=np.array([7, 8, 7]))
    >>> len(examples), examples.longest.tolist(), examples.rows(np.array([1, 0])).tolist()
    (2, [4, 9], [1, 0, 2])
    """

    def __init__(
        self,
        lengths: NDArray[np.integer[Any]],
        groups: NDArray[np.integer[Any]] | None = None,
        keys: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        numbers = np.arange(len(lengths)) if groups is None else groups
        self._order = np.argsort(numbers, kind="stable")
        ordered = numbers[self._order]
        first = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        self._bounds = np.concatenate(([0], first, [len(ordered)]))
        self.longest = np.maximum.reduceat(lengths[self._order], self._bounds[:-1])
        self.keys: list[set[int]] | None = None
        if keys is not None:
            self.keys = [set(keys[self._of(number)].tolist()) for number in range(len(self))]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _of(self, example: int) -> Rows:
        return self._order[self._bounds[example] : self._bounds[example + 1]]

    def rows(self, examples: Rows) -> Rows:
        """The encoded rows of these examples, those of one example together."""
        return np.concatenate([self._of(number) for number in examples.tolist()])


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of batches in one pass; the last one may be short.

    >>> steps_per_epoch(33, 16)
    3
    """
    return math.ceil(examples / batch_size)


def epoch_batches(
    examples: Examples, batch_size: int, *, seed: int, epoch: int, by_length: bool
) -> list[Rows]:
    """Cut one epoch into batches of example numbers; each example comes exactly once.

    With `by_length`, examples of similar length share a batch: the shuffled examples are sorted
    inside pools of 50 batches, cut, and the batches shuffled again. Where texts have keys, examples
    with a text in common are kept apart as far as possible.

    >>> five = Examples(np.ones(5))
    >>> [b.tolist() for b in epoch_batches(five, 2, seed=1, epoch=0, by_length=False)]
    [[0, 3], [4, 1], [2]]
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    order = generator.permutation(len(examples))
    if by_length:
        pool = batch_size * POOL
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        longest = examples.longest
        order = np.concatenate([part[np.argsort(longest[part], kind="stable")] for part in pools])
    if examples.keys is not None:
        order = apart(order, examples.keys, batch_size)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if by_length:
        batches = [batches[place] for place in generator.permutation(len(batches))]
    return batches


def apart(order: Rows, keys: Sequence[set[int]], batch_size: int) -> Rows:
    """Reorder examples so that those with a key in common fall into different batches.

    An example that does not fit waits for the next batch; where the next 20 batches hold nothing
    that fits, the batch is filled up as it comes.

    >>> apart(np.array([0, 1, 2, 3]), [{1}, {1}, {2}, {3}], 2).tolist()
    [0, 2, 1, 3]
    """
    waiting = deque(order.tolist())
    found: list[int] = []
    while waiting:
        taken: list[int] = []
        seen: set[int] = set()
        passed: list[int] = []
        while waiting and len(taken) < batch_size and len(passed) < AHEAD * batch_size:
            example = waiting.popleft()
            if seen.isdisjoint(keys[example]):
                taken.append(example)
                seen |= keys[example]
            else:
                passed.append(example)
        short = min(batch_size - len(taken), len(passed))
        taken += passed[:short]
        waiting.extendleft(reversed(passed[short:]))
        found += taken
    return np.array(found, dtype=np.int64)


def share(
    batch: Rows,
    *,
    rank: int,
    world: int,
    micro_batch: int | None,
    lengths: NDArray[np.integer[Any]] | None = None,
    tokens: int | None = None,
) -> list[Rows]:
    """Return the micro-batches of one process: every `world`-th row, in cuts of `micro_batch`.

    With `lengths` of all rows and `tokens`, a cut has at most so many tokens with its padding, but
    at least one row.

    Taking turns spreads a batch sorted by length evenly. A short batch can leave a process with
    nothing.

    >>> [m.tolist() for m in share(np.arange(10), rank=1, world=2, micro_batch=3)]
    [[1, 3, 5], [7, 9]]
    >>> share(np.arange(1), rank=1, world=2, micro_batch=3)
    []
    >>> lengths = np.array([2, 2, 3, 9])
    >>> cuts = share(np.arange(4), rank=0, world=1, micro_batch=None, lengths=lengths, tokens=6)
    >>> [m.tolist() for m in cuts]
    [[0, 1], [2], [3]]
    """
    mine = batch[rank::world]
    size = micro_batch or max(len(mine), 1)
    if lengths is None or tokens is None:
        return [mine[start : start + size] for start in range(0, len(mine), size)]
    starts, longest = list[int](), 0
    for place, length in enumerate(lengths[mine].tolist()):
        longest = max(longest, length)
        rows = place - starts[-1] + 1 if starts else size + 1
        if rows > size or rows * longest > tokens:
            starts.append(place)
            longest = length
    ends = [*starts[1:], len(mine)]
    return [mine[start:end] for start, end in zip(starts, ends, strict=bool(starts))]
