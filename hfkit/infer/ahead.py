"""Computing items on other threads, a few ahead of the one that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: Executor, compute: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """Give the results in the order of the items; at most `ahead` of them are under way.

    An exception of `compute` is raised in the place of its result, and the rest is dropped.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(pool, abs, [-1, 2, -3], ahead=2))
    [1, 2, 3]
    """
    source = iter(items)
    waiting = [pool.submit(compute, item) for item in islice(source, ahead)]
    try:
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(compute, item) for item in islice(source, 1)]
    finally:
        for future in waiting:
            future.cancel()
