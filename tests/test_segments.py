"""Documents cut into rows and pairs: nothing lost, nothing twice, seconds from elsewhere."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.segments import Segment, joined, pairs_of, segments

sizes = st.lists(st.integers(0, 30), min_size=1, max_size=12)


def rows_of(lengths: list[int]) -> list[list[int]]:
    """Rows in which no token comes twice."""
    rows, start = [], 1
    for length in lengths:
        rows.append(list(range(start, start + length)))
        start += length
    return rows


def tokens_of(parts: list[Segment]) -> list[int]:
    return [token for part in parts for token in part.tokens]


@given(sizes, st.integers(1, 9), st.booleans())
def test_joined_rows_lose_nothing(lengths: list[int], room: int, ended: bool) -> None:
    rows = rows_of(lengths)
    units = [Segment(row, number) for number, row in enumerate(rows) if row]
    parts = list(joined(units, [0] if ended else [], room))
    assert [token for token in tokens_of(parts) if token] == [t for row in rows for t in row]
    assert all(0 < len(part.tokens) <= room for part in parts)
    for part in parts:
        real = next(token for token in part.tokens if token) if any(part.tokens) else None
        assert real is None or real in rows[part.row] or part.tokens[0] == 0


@given(sizes, st.integers(2, 12))
def test_segments_are_even_in_number_and_lose_nothing(lengths: list[int], longest: int) -> None:
    rows = rows_of(lengths)
    units = [Segment(row, number) for number, row in enumerate(rows) if row]
    parts = segments(units, longest)
    assert len(parts) % 2 == 0
    total = sum(lengths)
    if total < 2:
        assert parts == []
        return
    assert all(0 < len(part.tokens) <= longest for part in parts)
    assert tokens_of(parts) == [token for row in rows for token in row]


def documents(count: int, seed: int = 0) -> list[list[Segment]]:
    """Documents whose every token tells which one it is from."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        parts = 2 * chance.randint(1, 8)
        found.append([Segment([number * 100 + part], number) for part in range(parts)])
    return found


def test_ten_thousand_pairs() -> None:
    made = documents(2300)
    pairs = pairs_of(made, [1])
    assert len(pairs) > 10_000
    share = sum(pair.follows for pair in pairs) / len(pairs)
    assert abs(share - 0.5) < 0.015
    for pair in pairs:
        same = pair.first.row == pair.second.row
        assert same == pair.follows
        if pair.follows:
            assert pair.second.tokens[0] == pair.first.tokens[0] + 1
    wanted = Counter(token for parts in made for part in parts for token in part.tokens)
    found = Counter(
        token for pair in pairs for part in (pair.first, pair.second) for token in part.tokens
    )
    assert found == wanted


def test_the_seed_decides() -> None:
    made = documents(40)
    assert pairs_of(made, [1]) == pairs_of(made, [1])
    assert pairs_of(made, [1]) != pairs_of(made, [2])


@given(st.lists(st.integers(0, 6), min_size=0, max_size=8), st.integers(0, 99))
def test_no_second_of_another_is_of_the_same_document(counts: list[int], seed: int) -> None:
    made = [
        [Segment([number], number) for _ in range(2 * count)] for number, count in enumerate(counts)
    ]
    pairs = pairs_of(made, [seed])
    assert len(pairs) == sum(counts)
    for pair in pairs:
        assert (pair.first.row == pair.second.row) == pair.follows
    assert sum(not pair.follows for pair in pairs) <= len(pairs) // 2


def test_one_document_has_no_other() -> None:
    pairs = pairs_of([[Segment([1], 0)] * 20], [3])
    assert all(pair.follows for pair in pairs)


@pytest.mark.parametrize("large", [3, 30])
def test_a_large_document_leaves_fewer_seconds_of_others(large: int) -> None:
    made = [[Segment([0], 0)] * (2 * large), [Segment([1], 1)] * 4, [Segment([2], 2)] * 4]
    pairs = pairs_of(made, [0])
    assert all((pair.first.row == pair.second.row) == pair.follows for pair in pairs)
    assert any(not pair.follows for pair in pairs)
