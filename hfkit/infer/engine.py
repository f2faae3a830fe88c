"""What computes: arrays in, arrays out. A second engine needs this one method and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Engine(Protocol):
    """A loaded model, ready to compute."""

    def run(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Compute one batch.

        `batch` is what `collate` gives: ``input_ids`` and its like, ``[rows, length]``. Returns
        the outputs by the names the model gives them (``logits``), fp32, first axis the rows.
        Raises `ResourceError` when not even one row fits into memory.
        """
        ...
