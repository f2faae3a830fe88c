"""Rows in, answers out: encode, cut into batches of similar length, compute, decode.

The order of the rows, the batch size and the neighbours of a row decide only how fast it goes, not
what comes out: padding is masked, outputs are put back in order and stripped of padding. `encode`
and `run` are separate, so that the evaluations within a training encode their rows once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from hfkit.abstaining import abstain
from hfkit.infer.flow import Answerer, Batch, by_row, run_batches
from hfkit.tasks.collate import collate, length_of

if TYPE_CHECKING:
    from hfkit.infer.engine import Engine
    from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row, Task
    from hfkit.text import Tokenizer

# Tokens computed at once on a core, where the engine has no wish of its own. With MiniLM 4096 took
# a twentieth less time, and memory that grew by a third over 6,000 rows instead of a fifteenth.
BATCH_TOKENS = 1024


def cut_batches(
    encoded: Sequence[EncodedRow],
    rows: int | None = None,
    tokens: int = BATCH_TOKENS,
    *,
    unpadded: bool = False,
) -> list[Batch]:
    """Put rows of similar length together, the longest first.

    A batch has at most `rows` rows and, with its padding, `tokens` tokens, but at least one row.
    `unpadded`: real tokens count, as long as padding makes them no more than 1.25 times `tokens`.
    The longest come first so that a batch which does not fit into memory shows at once. There are
    no more batches than when each is filled before the next, but the largest of them is as small as
    that allows: their sizes differ little, and what was prepared for one serves the next.

    >>> three = [{"input_ids": [1]}, {"input_ids": [1, 2, 3]}, {"input_ids": [1, 2]}]
    >>> cut_batches(three, rows=2), cut_batches(three, tokens=4)
    ([[1], [2, 0]], [[1], [2, 0]])
    >>> cut_batches(three, tokens=6), cut_batches(three, tokens=8, unpadded=True)
    ([[1], [2, 0]], [[1, 2, 0]])
    """
    lengths = [max(length_of(row), 1) for row in encoded]
    order = sorted(range(len(encoded)), key=lambda index: -lengths[index])
    lengths = [lengths[index] for index in order]
    before = [0, *accumulate(lengths)]  # tokens of the rows before this one

    def starts(real: int, most: int = len(order)) -> list[int]:
        """Where batches of so many tokens begin; as soon as there are more than `most`, no more."""
        padded = real + real // 4 if unpadded else real
        found: list[int] = []
        start = 0
        while start < len(order) and len(found) <= most:
            found.append(start)
            fit = bisect_right(before, before[start] + real) - 1 - start
            start += max(1, min(fit, padded // lengths[start], rows or fit))
        return found

    begins = starts(tokens)
    fewest = len(begins)
    if 1 < fewest < len(order):
        least = min(-(-before[-1] // fewest), tokens)
        even = bisect_left(
            range(tokens), True, lo=least, key=lambda one: len(starts(one, fewest)) == fewest
        )
        begins = starts(even)
    return [order[start:end] for start, end in pairwise([*begins, len(order)])]


def tokens_of(engine: Engine) -> int:
    """The tokens that an engine likes to compute at once."""
    return int(getattr(engine, "batch_tokens", BATCH_TOKENS))


def is_unpadded(engine: Engine) -> bool:
    """Whether an engine computes without padding."""
    return bool(getattr(engine, "unpadded", False))


class Predictor(Answerer):
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

    @property
    def token_outputs(self) -> Sequence[str]:
        """The outputs that have one entry for each token of a row."""
        return self.task.token_outputs

    @property
    def joined(self) -> bool:
        """Whether the task makes encoded rows of several rows together."""
        return self.task.joined

    def encode(self, rows: Sequence[Row]) -> list[EncodedRow]:
        """Turn rows into encoded rows; one row may become several."""
        return self.task.features(rows, self.tokenizer)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """One answer per row, of one mapping of outputs per encoded row."""
        answers = self.task.decode(outputs, encoded, rows)
        below = self.task.decisions.get("abstain_below")
        if below is None or not self.task.asked:  # scores are of all answers
            return answers
        return [abstain(answer, below) for answer in answers]

    def run(self, encoded: Sequence[EncodedRow]) -> list[Outputs]:
        """Compute all encoded rows; one mapping of outputs per encoded row, in their order."""
        computed = self.compute(encoded, self.batches(encoded))
        return [computed[index] for index in range(len(encoded))]

    def batches(self, encoded: Sequence[EncodedRow]) -> list[Batch]:
        """The batches that these encoded rows are computed in."""
        unpadded = is_unpadded(self.engine)
        return cut_batches(encoded, self.batch_size, self.batch_tokens, unpadded=unpadded)

    def compute(
        self, encoded: Sequence[EncodedRow], batches: Iterable[Batch]
    ) -> dict[int, Outputs]:
        """Compute some of the batches; give the outputs by position.

        A process of several takes its share with ``batches[rank::world]``. Raises `InputError`
        where the model's output is not finite.
        """
        computed: dict[int, Outputs] = {}
        batches = list(batches)
        padding = self.tokenizer.padding
        arrays = (collate([encoded[index] for index in batch], padding) for batch in batches)
        results = run_batches(self.engine, arrays)
        for batch, outputs in zip(batches, results, strict=True):
            if isinstance(outputs, Exception):
                raise outputs
            computed.update(by_row(outputs, batch, encoded, self.token_outputs))
        return computed
