"""What a tokenizer puts around a text or a pair, put around tokens that are known already; and the
space that it puts before a word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

FIRST, SECOND = -1, -2  # stand for the texts among the numbers of special tokens


class Frames:
    """What a tokenizer of the library `tokenizers` puts around its texts, looked up once."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._found: dict[bool, list[tuple[int, int]]] = {}

    def around(
        self, first: Sequence[int], second: Sequence[int] | None = None
    ) -> tuple[list[int], list[int]]:
        """Tokens with the special ones, and the type of each."""
        parts = {FIRST: first, SECOND: second or ()}
        ids: list[int] = []
        types: list[int] = []
        for token, kind in self._frame(second is not None):
            part = parts[token] if token < 0 else [token]
            ids += part
            types += [kind] * len(part)
        return ids, types

    def _frame(self, pair: bool) -> list[tuple[int, int]]:
        """The special tokens around a text or a pair, each with its type; `FIRST` and `SECOND`
        stand for the texts."""
        if pair not in self._found:
            found = self._backend.encode(*(["a", "a"] if pair else ["a"]))
            marks = {None: 0, 0: FIRST, 1: SECOND}
            entries = [
                (marks[sequence] or token, kind)
                for token, sequence, kind in zip(
                    found.ids, found.sequence_ids, found.type_ids, strict=True
                )
            ]
            self._found[pair] = [
                entry
                for number, entry in enumerate(entries)
                if entry[0] >= 0 or entry != entries[number - 1] or number == 0
            ]
        return self._found[pair]


def spaced(backend: Any) -> Any:
    """A byte-level tokenizer that puts a space before each word; any other one as it is.

    Without it a word at a time reads as if it were glued to the one before.
    """
    from tokenizers import Tokenizer as Backend

    found = json.loads(backend.to_str())
    pre_tokenizer = found.get("pre_tokenizer") or {}
    parts = [pre_tokenizer, *(pre_tokenizer.get("pretokenizers") or [])]
    byte_level = [part for part in parts if part.get("type") == "ByteLevel"]
    if not byte_level or byte_level[0].get("add_prefix_space"):
        return backend
    byte_level[0]["add_prefix_space"] = True
    return Backend.from_str(json.dumps(found))
