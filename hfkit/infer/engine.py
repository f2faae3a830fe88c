"""What computes: arrays in, arrays out. An engine needs this one method and no more.

One that can have several batches under way has ``run_all(batches)`` too: their outputs in order, an
exception in the place of those of one that fails. One that likes another number of tokens at once
than most says so as ``batch_tokens``, one whose layers compute no padding as ``unpadded``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]  # by name, the rows first


class Engine(Protocol):
    """A loaded model, ready to compute."""

    def run(self, batch: Arrays) -> Arrays:
        """Compute one batch.

        `batch` is what `collate` gives: ``input_ids`` and its like, ``[rows, length]``. Returns
        the outputs by the names the model gives them (``logits``), fp32, first axis the rows.
        Raises `ResourceError` when not even one row fits into memory.
        """
        ...
