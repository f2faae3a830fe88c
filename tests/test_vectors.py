"""Exact nearest vectors: the plain definition, blocks that do not show, ties in order."""

from __future__ import annotations

import numpy as np
import pytest

from hfkit.vectors import Nearest, joined, normalized, top_k


def plainly(queries, corpus, k, likeness):
    """Sort all scores by (best score, first row)."""
    if likeness == "cosine":
        queries, corpus = normalized(queries.astype(float)), normalized(corpus.astype(float))
    scores = queries.astype(float) @ corpus.astype(float).T
    scores = scores.round(9).astype(np.float32)
    rows = [sorted(range(len(corpus)), key=lambda row: (-line[row], row))[:k] for line in scores]
    return np.array(rows), np.take_along_axis(scores, np.array(rows), axis=1)


def test_a_thousand_random_searches() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        count, size, width = random.integers(1, 6), random.integers(1, 40), random.integers(1, 5)
        # Small whole numbers, so that many scores are equal.
        queries = random.integers(-2, 3, (count, width))
        corpus = random.integers(-2, 3, (size, width))
        k, block = int(random.integers(1, 12)), int(random.integers(1, 15))
        likeness = random.choice(["cosine", "dot"])
        rows, scores = top_k(queries, corpus, k, likeness=likeness, block=block)
        wanted_rows, wanted_scores = plainly(queries, corpus, k, likeness)
        assert scores.shape == (count, min(k, size))
        np.testing.assert_array_equal(rows, wanted_rows)
        np.testing.assert_allclose(scores, wanted_scores, atol=1e-6)


def test_the_block_size_does_not_show_among_equal_vectors() -> None:
    random = np.random.default_rng(1)
    corpus = np.repeat(random.standard_normal((40, 96)).astype(np.float32), 25, axis=0)
    queries = random.standard_normal((7, 96)).astype(np.float32)
    rows, scores = top_k(queries, corpus, 50)
    for block in (1, 7, 64, 999):
        other_rows, other_scores = top_k(queries, corpus, 50, block=block)
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_array_equal(scores, other_scores)
    for line in rows.reshape(7, -1, 25):  # all copies of the best, in order
        assert (np.diff(line, axis=1) == 1).all()


def test_many_queries_are_searched_in_parts(monkeypatch) -> None:
    random = np.random.default_rng(2)
    queries, corpus = random.standard_normal((50, 8)), random.standard_normal((300, 8))
    whole = top_k(queries, corpus, 5)
    monkeypatch.setattr("hfkit.vectors.MOST_AT_ONCE", 700)
    for one, other in zip(whole, top_k(queries, corpus, 5, block=100), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_memory_map_is_read_in_blocks(tmp_path) -> None:
    corpus = np.random.default_rng(3).standard_normal((100, 4)).astype(np.float32)
    np.save(tmp_path / "corpus.npy", corpus)
    mapped = np.load(tmp_path / "corpus.npy", mmap_mode="r")
    np.testing.assert_array_equal(top_k(corpus[:3], mapped, 1, block=9)[0].ravel(), [0, 1, 2])


def test_odd_shapes() -> None:
    nothing = top_k(np.ones((2, 3)), np.ones((0, 3)), 4)
    assert nothing[0].shape == nothing[1].shape == (2, 0)
    assert top_k(np.ones((0, 3)), np.ones((5, 3)), 4)[0].shape == (0, 4)
    rows, scores = top_k(np.zeros((1, 3)), np.ones((5, 3)), 2)  # no direction: like nothing
    assert rows.tolist() == [[0, 1]] and scores.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match="vectors of 2 numbers among vectors of 3"):
        Nearest(np.ones((1, 3)), 2).add(np.ones((5, 2)))
    with pytest.raises(ValueError, match="at least 1"):
        Nearest(np.ones((1, 3)), 0)


def test_windows_are_averaged_by_their_weight() -> None:
    vectors = np.array([[1, 0], [0, 1], [5, 5]], dtype=np.float32)
    found = joined(vectors, np.array([1, 1, 0]), np.array([3, 1, 2]), 3)
    np.testing.assert_allclose(found, [[5, 5], [0.75, 0.25], [0, 0]])
