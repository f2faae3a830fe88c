"""Computing on other threads what is asked for later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    pool: Executor, compute: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[R | Exception]:
    """Give the results in the order of the items; at most `ahead` of them are under way.

    An exception of `compute` comes in the place of its result, and the others go on. The items are
    made on the thread that asks.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(pool, lambda number: 6 // number, [1, 0, 3], ahead=2))
    [6, ZeroDivisionError('integer division or modulo by zero'), 2]
    """
    source = iter(items)
    waiting = deque(pool.submit(attempt, compute, item) for item in islice(source, ahead))
    try:
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(attempt, compute, item) for item in islice(source, 1))
    finally:
        for future in waiting:
            future.cancel()


def attempt(compute: Callable[[T], R], item: T) -> R | Exception:
    """The result, or the exception in its place."""
    try:
        return compute(item)
    except Exception as error:
        return error
