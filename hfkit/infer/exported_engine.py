"""What the engines of exported files have in common: a batch to a core, answers in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.infer.ahead import attempt, in_order
from hfkit.infer.halves import Halves
from hfkit.processor import cores

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from hfkit.infer.engine import Arrays


class ExportedEngine(ABC):
    """Runs a file that reads `inputs` and gives `outputs`, on the CPU.

    `threads` of None are as many as `cores`. Each computes a batch of its own; the weights are in
    memory once.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], threads: int | None) -> None:
        self.threads = threads or cores()
        self._inputs, self._outputs = list(inputs), list(outputs)
        self._halves = Halves(self._forward, "lower --max-length")
        self._pool: ThreadPoolExecutor | None = None

    @abstractmethod
    def compute(self, feeds: Arrays) -> Sequence[Any]:
        """The outputs of one batch, in their order; asked for by several threads at a time."""

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch, on one core; see `Engine.run`."""
        return self._halves.run(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order, one to a core."""
        source = iter(batches)
        first = list(islice(source, 2))
        if self.threads == 1 or len(first) < 2:
            for batch in chain(first, source):
                yield attempt(self.run, batch)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # not for a single text

            self._pool = ThreadPoolExecutor(self.threads, "hfkit-engine")
        yield from in_order(self._pool, self.run, chain(first, source), 2 * self.threads)

    def _forward(self, batch: Arrays) -> Arrays:
        import numpy as np

        absent = [name for name in self._inputs if name not in batch]
        if absent:
            raise InputError(
                f"the exported file asks for {absent[0]}, which the tokenizer does not give"
            )
        values = self.compute(
            {name: np.asarray(batch[name], dtype=np.int64) for name in self._inputs}
        )
        return {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(self._outputs, values, strict=True)
        }
