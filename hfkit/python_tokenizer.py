"""Tokenizers that exist in Python only (CANINE, ByT5, PhoBERT, …), behind the face of `text`.

They give token numbers and nothing else, so windows are cut on those, and where a token stands is
found by looking for its characters in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hfkit.text import NOWHERE, EncodedRow, OnLong, Side, Tokenizer
from hfkit.windows import cut, most_of_first

# What families put before or after a piece of a word.
MARKS = ("##", "@@", "\u2581", "</w>", "\u0120")
PIECE = re.compile(r"\s*\S+")
CONTENT = -1  # stands for a token, to see where the special ones go


class PythonTokenizer(Tokenizer):
    """A tokenizer of transformers that is not backed by `tokenizers`."""

    exportable = False

    def clear(self) -> None:
        """Python tokenizers cut only when they are told to."""

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, however many, without special ones."""
        return [self.backend.encode(text, add_special_tokens=False) for text in texts]

    def framed(self, first: Sequence[int], second: Sequence[int] | None = None) -> EncodedRow:
        """An encoded row of tokens that are known already, with the special ones."""
        return self._built(list(first), None if second is None else list(second))

    def special_ids(self) -> set[int]:
        """The tokens that are no part of a text."""
        return set(self.backend.all_special_ids)

    def _whole(self, inputs: list[Any], located: bool) -> list[EncodedRow]:
        return [self._of(given, located) for given in inputs]

    def _of(self, given: Any, located: bool) -> EncodedRow:
        if not located:
            return self._built(*self._sides(given))
        first, second, starts, ends = self._with_places(given)
        return self._placed(first, second, {"_starts": starts, "_ends": ends})

    def _sides(self, given: Any) -> tuple[list[int], list[int] | None]:
        texts = (given,) if isinstance(given, str) else given
        ids = [self.backend.encode(text, add_special_tokens=False) for text in texts]
        return ids[0], ids[1] if len(ids) == 2 else None

    def _with_places(self, given: Any) -> tuple[list[int], list[int] | None, list[int], list[int]]:
        """The token numbers of both sides, and the characters of the tokens of the last one."""
        texts = [given] if isinstance(given, str) else list(given)
        last: list[int] = []
        starts: list[int] = []
        ends: list[int] = []
        for piece in PIECE.finditer(texts[-1]):
            ids = self.backend.encode(piece.group(), add_special_tokens=False)
            places = aligned(piece.group(), self.backend.convert_ids_to_tokens(ids))
            last += ids
            starts += [piece.start() + start for start, _ in places]
            ends += [piece.start() + end for _, end in places]
        if len(texts) == 1:
            return last, None, starts, ends
        return self.backend.encode(texts[0], add_special_tokens=False), last, starts, ends

    def _built(self, first: list[int], second: list[int] | None) -> EncodedRow:
        row: EncodedRow = {
            "input_ids": self.backend.build_inputs_with_special_tokens(first, second)
        }
        if "token_type_ids" in self.padding:
            types = self.backend.create_token_type_ids_from_sequences(first, second)
            row["token_type_ids"] = types
        return row

    def _placed(
        self, first: list[int], second: list[int] | None, places: dict[str, list[int]]
    ) -> EncodedRow:
        """The encoded row, with values for the tokens of its last text put where these stand."""
        last, other = [CONTENT] * len(first if second is None else second), [0] * len(first)
        marked = self.backend.build_inputs_with_special_tokens(
            *((last, None) if second is None else (other, last))
        )
        own = [place for place, mark in enumerate(marked) if mark == CONTENT]
        row = self._built(first, second)
        for name, values in places.items():
            row[name] = [NOWHERE] * len(row["input_ids"])
            for place, value in zip(own, values, strict=True):
                row[name][place] = value
        return row

    def encode_targets(self, texts: Sequence[str], max_length: int) -> list[tuple[list[int], bool]]:
        """The tokens of texts to write; see `Tokenizer.encode_targets`."""
        whole = [self.backend(text_target=text)["input_ids"] for text in texts]
        return [
            (ids, False)
            if len(ids) <= max_length
            else (
                self.backend(text_target=text, truncation=True, max_length=max_length)["input_ids"],
                True,
            )
            for text, ids in zip(texts, whole, strict=True)
        ]

    def spelled(self, rows: Sequence[list[int]]) -> list[str]:
        """The texts that tokens spell. A model may have room for more tokens than there are."""
        known = len(self.backend)
        return [
            str(self.backend.decode([one for one in ids if one < known], skip_special_tokens=True))
            for ids in rows
        ]

    def _with_room(self, given: Any) -> tuple[Any, bool]:
        first, second = given
        ids = self.backend.encode(first, add_special_tokens=False)
        most = most_of_first(self.max_length - self.backend.num_special_tokens_to_add(True))
        if len(ids) <= most:
            return given, False
        places = aligned(first, self.backend.convert_ids_to_tokens(ids))
        return (first[: places[most - 1][1]], second), True

    def _shortened(
        self, given: Any, window: bool, stride: int | None, located: bool, side: Side
    ) -> list[EncodedRow]:
        if located:
            first, second, starts, ends = self._with_places(given)
        else:
            first, second = self._sides(given)
            starts = ends = []
        lengths = [len(first)] if second is None else [len(first), len(second)]
        strategy, overlap = self._plan(lengths, stride, side) if window else ("longest_first", 0)
        room = self.max_length - self.backend.num_special_tokens_to_add(second is not None)

        def built(one: list[int], other: list[int] | None, part: range) -> EncodedRow:
            if not located:
                return self._built(one, other)
            here = slice(part.start, part.stop)
            return self._placed(one, other, {"_starts": starts[here], "_ends": ends[here]})

        if strategy == "only_second" and second is not None:
            parts = cut(len(second), room - len(first), overlap)
            return [built(first, second[part.start : part.stop], part) for part in parts]
        if strategy == "only_first":
            parts = cut(len(first), room - len(second or ()), overlap)
            whole = range(len(second or ()))
            return [
                built(first[part.start : part.stop], second, part if second is None else whole)
                for part in parts
            ]
        while len(first) + len(second or ()) > room:  # the longer side loses its last token
            longer = second if second is not None and len(second) > len(first) else first
            del longer[len(longer) - 1 :]
        left = range(len(first if second is None else second))
        return [{**built(first, second, left), "_truncated": True}]

    def _whole_words(self, texts: Sequence[Sequence[str]]) -> list[EncodedRow]:
        return [self._placed(ids, None, {"_words": own}) for ids, own in map(self._words, texts)]

    def _words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        own: list[int] = []
        for number, word in enumerate(words):
            pieces = self.backend.encode(word, add_special_tokens=False)
            ids += pieces
            own += [number] * len(pieces)
        return ids, own

    def _shortened_words(
        self, words: Sequence[str], on_long: OnLong, stride: int | None
    ) -> list[EncodedRow]:
        ids, own = self._words(words)
        room = self.max_length - self.backend.num_special_tokens_to_add(False)
        _, overlap = self._plan([len(ids)], stride)
        parts = [
            self._placed(ids[part.start : part.stop], None, {"_words": own[part.start : part.stop]})
            for part in cut(len(ids), room, overlap)
        ]
        return parts if on_long == "window" else [{**parts[0], "_truncated": True}]


def aligned(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Where each token stands in the text, found by its characters, one after the other.

    A token that is not found (unknown, normalised) takes all up to the next one that is.

    >>> aligned("new houses", ["new", "hous", "##es"])
    [(0, 3), (4, 8), (8, 10)]
    >>> aligned("Fuß", ["[UNK]"])
    [(0, 3)]
    """
    lowered = text.lower() if len(text.lower()) == len(text) else text
    found: list[tuple[int, int] | None] = []
    cursor = 0
    for token in tokens:
        plain = _plain(token)
        start = lowered.find(plain.lower(), cursor) if plain else -1
        found.append(None if start < 0 else (start, start + len(plain)))
        cursor = cursor if start < 0 else start + len(plain)
    places: list[tuple[int, int]] = []
    for number, place in enumerate(found):
        if place is None:
            before = places[-1][1] if places else len(text) - len(text.lstrip())
            after = next((later[0] for later in found[number:] if later), len(text))
            place = (before, max(before, after))
        places.append(place)
    return places


def _plain(token: str) -> str:
    for mark in MARKS:
        token = token.removeprefix(mark).removesuffix(mark)
    return token
