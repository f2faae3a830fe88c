"""Computing on other threads what is asked for later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

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
