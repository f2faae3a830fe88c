"""Vectors of texts, one per row: from windows to texts, length 1, exact search for the nearest.

Everything is NumPy on arrays ``[rows, dimensions]``; nothing here knows where vectors come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

Likeness = Literal["cosine", "dot"]

MOST_AT_ONCE = 1 << 22  # scores in memory at a time: 32 MiB
BLOCK = 4096  # rows of the corpus looked at together


def normalized(vectors: NDArray[Any]) -> NDArray[Any]:
    """Return the vectors with length 1; a vector of zeros stays what it is.

    >>> import numpy as np
    >>> normalized(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def joined(
    vectors: NDArray[Any], owner: NDArray[Any], weights: NDArray[Any], count: int
) -> NDArray[Any]:
    """Average the vectors of the windows of each text: ``[windows, D]`` to ``[count, D]``, float64.

    `owner` says which text each window belongs to, `weights` how much it counts (its tokens). A
    text without a window has a vector of zeros.

    >>> import numpy as np
    >>> windows, owner = np.array([[1.0], [4.0], [7.0]]), np.array([0, 0, 1])
    >>> joined(windows, owner, np.array([2.0, 1.0, 5.0]), 2).tolist()
    [[2.0], [7.0]]
    """
    import numpy as np

    total = np.zeros((count, vectors.shape[1]))
    np.add.at(total, owner, vectors.astype(np.float64) * weights[:, None])
    share = np.bincount(owner, weights=weights, minlength=count)[:, None]
    return np.asarray(total / np.where(share > 0, share, 1))


def top_k(
    queries: NDArray[Any],
    corpus: NDArray[Any],
    k: int,
    *,
    likeness: Likeness = "cosine",
    block: int = BLOCK,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the `k` rows of `corpus` that are most like each row of `queries`; exact.

    Returns (rows, scores), both ``[queries, min(k, corpus rows)]``, best first; of equal scores the
    row that stands first. `corpus` may be a memory map: `block` rows are read at a time. The result
    does not depend on `block`. Raises `ValueError` where the vectors differ in length.

    >>> import numpy as np
    >>> rows, scores = top_k(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]), 1)
    >>> rows.tolist(), scores.tolist()
    ([[1]], [[1.0]])
    """
    nearest = Nearest(queries, k, likeness=likeness)
    for start in range(0, len(corpus), block):
        nearest.add(corpus[start : start + block])
    return nearest.rows, nearest.scores


class Nearest:
    """The rows of a corpus nearest to each query, found while the corpus passes by in blocks.

    `rows` and `scores`, ``[queries, at most k]``, hold the best of what has passed, best first; of
    equal scores the row that came first. Memory holds the queries and one block, never the corpus.

    Scores are computed in float64, cosines rounded to nine digits, and kept in float32: what the
    matrix product of another block size rounds differently is far below that, so equal vectors have
    equal scores and ties are ties.
    """

    def __init__(self, queries: NDArray[Any], k: int, *, likeness: Likeness = "cosine") -> None:
        import numpy as np

        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self.k = k
        self.seen = 0
        self._cosine = likeness == "cosine"
        self.width = queries.shape[1]
        self._queries = self._prepared(queries)
        self.rows = np.zeros((len(queries), 0), dtype=np.int64)
        self.scores = np.zeros((len(queries), 0), dtype=np.float32)

    def add(self, block: NDArray[Any]) -> None:
        """Let the next rows of the corpus pass."""
        import numpy as np

        if block.shape[1:] != self._queries.shape[1:]:
            raise ValueError(f"vectors of {block.shape[1]} numbers among vectors of {self.width}")
        kept = min(self.k, self.rows.shape[1] + len(block))
        rows = np.empty((len(self._queries), kept), dtype=np.int64)
        scores = np.empty((len(self._queries), kept), dtype=np.float32)
        against = self._prepared(block).T
        step = max(1, MOST_AT_ONCE // max(len(block), 1))
        for start in range(0, len(self._queries), step):
            part = slice(start, start + step)
            found = self._queries[part] @ against
            if self._cosine:  # float32 alone would tell 1e-17 from 0
                np.round(found, 9, out=found)
            places, best = _largest(found.astype(np.float32), self.k)
            rows[part], scores[part] = _largest_of_both(
                (self.rows[part], self.scores[part]), (places + self.seen, best), kept
            )
        self.rows, self.scores = rows, scores
        self.seen += len(block)

    def _prepared(self, vectors: NDArray[Any]) -> NDArray[Any]:
        import numpy as np

        exact = np.asarray(vectors, dtype=np.float64)
        return normalized(exact) if self._cosine else exact


def _largest(scores: NDArray[Any], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Columns and values of the k largest of each row, in the order of the columns; of equal values
    the first ones. A partition alone would take any of them."""
    import numpy as np

    count, width = scores.shape
    if width <= k:
        return np.broadcast_to(np.arange(width), scores.shape), scores
    border = np.partition(scores, width - k, axis=1)[:, width - k, None]
    above = scores > border
    at_border = scores == border
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (at_border & (np.cumsum(at_border, axis=1) <= room))
    places = np.nonzero(chosen)[1].reshape(count, k)
    return places, np.take_along_axis(scores, places, axis=1)


def _largest_of_both(
    first: tuple[NDArray[Any], NDArray[Any]], second: tuple[NDArray[Any], NDArray[Any]], k: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Merge two (rows, scores) into the k best, sorted. Equal scores stand in the order of rows in
    each, and all rows of the first come before those of the second: a stable sort keeps that."""
    import numpy as np

    rows = np.concatenate([first[0], second[0]], axis=1)
    scores = np.concatenate([first[1], second[1]], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
