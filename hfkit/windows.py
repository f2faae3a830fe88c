"""Overlapping windows over a sequence that is too long to read at once."""

from __future__ import annotations


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
