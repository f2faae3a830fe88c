"""Overlapping windows over a sequence that is too long to read at once."""

from __future__ import annotations

from collections.abc import Sequence


def cut(length: int, size: int, overlap: int) -> list[range]:
    """Cut positions 0…length into windows of at most `size`, neighbours sharing `overlap`.

    The windows cover every position, and the last one ends with the sequence.
    Raises `ValueError` unless 0 ≤ overlap < size.

    >>> cut(10, 4, 1)
    [range(0, 4), range(3, 7), range(6, 10)]
    >>> cut(3, 4, 1)
    [range(0, 3)]
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} does not fit windows of {size}")
    windows = []
    start = 0
    while True:
        windows.append(range(start, min(start + size, length)))
        if start + size >= length:
            return windows
        start += size - overlap


def central(windows: Sequence[Sequence[int]], length: int) -> list[tuple[int, int]]:
    """For each of `length` items the window, and the place in it, where it stands most central.

    `windows` holds the number of an item at each place, -1 for a place without one; an item's
    place is the first it has in a window. Most central is where the nearer edge is farthest, as
    there the model sees most of both sides; of equals the first window. An item that stands in no
    window has (-1, -1).

    >>> central([[-1, 0, 1, 2, 3, -1], [-1, 2, 3, 4, 5, -1]], 7)
    [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4), (-1, -1)]
    """
    chosen, depths = [(-1, -1)] * length, [-1] * length
    for number, items in enumerate(windows):
        last = len(items) - 1
        before = -1
        for place, item in enumerate(items):
            if item < 0 or item == before:
                continue
            before = item
            depth = min(place, last - place)
            if depth > depths[item]:
                chosen[item], depths[item] = (number, place), depth
    return chosen


def most_of_first(room: int) -> int:
    """Tokens that the first text of a pair may take where the second is cut into windows: a half,
    so that a window moves on by more than a few tokens.

    >>> most_of_first(381)
    190
    """
    return max(1, room // 2)
