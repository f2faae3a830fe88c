"""The engine of a server: it ends between two batches where nobody waits for them any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hfkit.infer.flow import run_batches
from hfkit.infer.predictor import is_unpadded, tokens_of

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays, Engine
    from hfkit.serve.batching import Worker


class Watched:
    """An engine that asks the worker before each batch; `Worker.check` raises `Unwanted`."""

    def __init__(self, engine: Engine, worker: Worker) -> None:
        self._engine = engine
        self._worker = worker
        self.batch_tokens, self.unpadded = tokens_of(engine), is_unpadded(engine)

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch; see `Engine.run`."""
        self._worker.check()
        return self._engine.run(batch)

    def run_all(self, batches: Iterable[Arrays]) -> Iterator[Arrays | Exception]:
        """Compute batches, in their order."""

        def wanted() -> Iterator[Arrays]:
            for batch in batches:
                self._worker.check()
                yield batch

        return run_batches(self._engine, wanted())
