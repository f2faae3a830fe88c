"""Computing on other threads what is asked for later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from threading import Thread
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


def begun(compute: Callable[[], R]) -> Callable[[], R]:
    """Compute on a thread of its own from now on; what is returned waits for the result.

    An exception of `compute` is raised there.

    >>> wait = begun(lambda: 1 + 1)
    >>> wait()
    2
    """
    found: list[R] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(compute())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work, name="hfkit-beside", daemon=True)
    thread.start()

    def wait() -> R:
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    return wait
