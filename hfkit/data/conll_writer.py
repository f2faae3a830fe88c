"""Predicted entities as CoNLL: a word and its tag a line, a blank line after each text.

    Anna    B-PER
    Roth    I-PER
    left    O

Texts that came as words keep them; others are cut as the task cuts them. A text without an answer
is a comment, ``# row 7: …``, so that the file has a block for every row of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

from hfkit.data.containers import fits_a_line
from hfkit.data.record import Record
from hfkit.data.writer import Answer, Plain, Result
from hfkit.errors import InputError


class Conll(Plain):
    """Writes answers that have a tag for each word; `unfit` counts texts that lines cannot hold."""

    def text(self, results: Sequence[Result]) -> str:
        """Return a block for each result. Raises `InputError` for answers without tags."""
        return "".join(self._block(*result) + "\n" for result in results)

    def _block(self, record: Record, answer: Answer | None, error: str) -> str:
        if answer is None:
            return _comment(record, error)
        if "tags" not in answer:
            raise InputError(
                "CoNLL holds a tag for each word", place="--format", hint="use jsonl for this task"
            )
        words = answer.get("tokens", answer.get("words", ()))
        if not words:
            return _comment(record, "no word")
        for what, line in (("word", words), ("tag", answer["tags"])):
            odd = next((text for text in line if not fits_a_line(text)), None)
            if odd is not None:
                self.unfit += 1
                problem = f"the {what} {odd[:40]!r} does not fit into a line; use jsonl"
                return _comment(record, problem)
        return "".join(f"{w}\t{tag}\n" for w, tag in zip(words, answer["tags"], strict=True))


def _comment(record: Record, error: str) -> str:
    return f"# row {record.row}: {' '.join(error.split())}\n"
