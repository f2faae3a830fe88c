"""Rows in, answers out: encode, cut into batches of similar length, compute, decode.

The order of the rows, the batch size and the neighbours of a row decide only how fast it goes, not
what comes out: padding is masked, outputs are put back in order and stripped of padding. `encode`
and `run` are separate, so that the evaluations within a training encode their rows once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.tasks.collate import collate, length_of

if TYPE_CHECKING:
    from hfkit.infer.engine import Engine
    from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row, Task
    from hfkit.text import Tokenizer

Batch = list[int]  # positions in a list of encoded rows

# Tokens computed at once on a core, where the engine has no wish of its own. With MiniLM 4096 took
# a twentieth less time, and memory that grew by a third over 6,000 rows instead of a fifteenth.
BATCH_TOKENS = 1024

AT_ONCE = 8192  # encoded rows in memory: a text with 150 candidate labels has 150 of them
FIRST = 64  # rows


def cut_batches(
    encoded: Sequence[EncodedRow], rows: int | None = None, tokens: int = BATCH_TOKENS
) -> list[Batch]:
    """Put rows of similar length together, the longest first.

    A batch has at most `rows` rows and, with its padding, `tokens` tokens, but at least one row.
    The longest come first so that a batch which does not fit into memory shows at once.

    >>> three = [{"input_ids": [1]}, {"input_ids": [1, 2, 3]}, {"input_ids": [1, 2]}]
    >>> cut_batches(three, rows=2), cut_batches(three, tokens=4)
    ([[1, 2], [0]], [[1], [2, 0]])
    """
    lengths = [length_of(row) for row in encoded]
    order = sorted(range(len(encoded)), key=lambda index: -lengths[index])
    batches, start = [], 0
    while start < len(order):
        size = max(1, tokens // max(lengths[order[start]], 1))
        batches.append(order[start : start + min(size, rows or size)])
        start += len(batches[-1])
    return batches


def tokens_of(engine: Engine) -> int:
    """The tokens that an engine likes to compute at once."""
    return int(getattr(engine, "batch_tokens", BATCH_TOKENS))


def run_batches(
    engine: Engine, encoded: Sequence[EncodedRow], batches: Sequence[Batch], padding: dict[str, int]
) -> Iterator[Outputs]:
    """Compute batches in their order; an engine that can has several under way (`run_all`)."""
    arrays = (collate([encoded[index] for index in batch], padding) for batch in batches)
    several = getattr(engine, "run_all", None)
    return iter(several(arrays) if several else map(engine.run, arrays))


class Predictor:
    """A task, its tokenizer and an engine, ready to answer rows."""

    def __init__(
        self,
        task: Task[Any],
        tokenizer: Tokenizer,
        engine: Engine,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.engine = engine
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens or tokens_of(engine)

    def encode(self, rows: Sequence[Row]) -> list[EncodedRow]:
        """Turn rows into encoded rows; one row may become several."""
        return self.task.features(rows, self.tokenizer)

    def run(self, encoded: Sequence[EncodedRow]) -> list[Outputs]:
        """Compute all encoded rows; one mapping of outputs per encoded row, in their order."""
        computed = self.compute(encoded, self.batches(encoded))
        return [computed[index] for index in range(len(encoded))]

    def batches(self, encoded: Sequence[EncodedRow]) -> list[Batch]:
        """The batches that these encoded rows are computed in."""
        return cut_batches(encoded, self.batch_size, self.batch_tokens)

    def compute(
        self, encoded: Sequence[EncodedRow], batches: Iterable[Batch]
    ) -> dict[int, Outputs]:
        """Compute some of the batches; give the outputs by position.

        A process of several takes its share with ``batches[rank::world]``. Raises `InputError`
        where the model's output is not finite.
        """
        import numpy as np

        computed: dict[int, Outputs] = {}
        batches = list(batches)
        results = run_batches(self.engine, encoded, batches, self.tokenizer.padding)
        for batch, outputs in zip(batches, results, strict=True):
            for name, array in outputs.items():
                if not np.isfinite(array).all():
                    raise InputError(f"the model's {name} are not finite numbers")
            for place, index in enumerate(batch):
                computed[index] = self._of_row(outputs, place, length_of(encoded[index]))
        return computed

    def _of_row(self, outputs: Outputs, place: int, length: int) -> Outputs:
        """One row of a batch's outputs, without padding."""
        tokens = self.task.token_outputs
        return {
            name: array[place, :length] if name in tokens else array[place]
            for name, array in outputs.items()
        }

    def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answer rows, in their order, about `AT_ONCE` encoded rows at a time."""
        answers: list[Answer] = []
        start, size = 0, FIRST  # rows; how many encoded rows one makes shows after the first ones
        while start < len(rows):
            part = rows[start : start + size]
            encoded = self.encode(part)
            answers += self.task.decode(self.run(encoded), encoded, part)
            start += len(part)
            size = max(1, AT_ONCE * len(part) // max(len(encoded), 1))
        return answers
