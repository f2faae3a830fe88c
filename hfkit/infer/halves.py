"""A batch that does not fit into memory, computed in halves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from hfkit.errors import ResourceError, is_out_of_memory

if TYPE_CHECKING:
    from hfkit.infer.engine import Arrays

log = logging.getLogger(__name__)


class Halves:
    """Calls `forward` with a batch, or with parts of it where memory runs out; says so once.

    `release` gives back to the device what a failed attempt has left; `hint` is for the one row
    that does not fit.
    """

    def __init__(
        self,
        forward: Callable[[Arrays], Arrays],
        hint: str,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._forward, self._hint, self._release = forward, hint, release
        self._said = False

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch. Raises `ResourceError` where one row alone does not fit."""
        try:
            return self._forward(batch)
        except Exception as error:  # the engines' exceptions share no class but this
            if not is_out_of_memory(error):
                raise
        # Outside the handler, so that what the failed attempt holds is free before the next one.
        self._release()
        return self._split(batch)

    def _split(self, batch: Arrays) -> Arrays:
        import numpy as np

        rows, length = batch["input_ids"].shape
        if rows == 1:
            raise ResourceError(f"out of memory on one row of {length} tokens", hint=self._hint)
        if not self._said:
            self._said = True
            log.warning(
                "out of memory on %d rows of %d tokens; computing such batches in halves "
                "(a lower --batch-size avoids the retries)", rows, length,
            )  # fmt: skip
        middle = rows // 2
        first = self.run({name: array[:middle] for name, array in batch.items()})
        second = self.run({name: array[middle:] for name, array in batch.items()})
        return {name: np.concatenate([first[name], second[name]]) for name in first}
