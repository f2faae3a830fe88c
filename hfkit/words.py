"""The words of a text with their characters, and spans of words for spans of characters.

A word here is what an entity may begin or end with: a run of letters and digits with their marks,
a single symbol, or a single character where words are not set apart by spaces (Chinese, Japanese,
Korean, Thai, …).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from hfkit.spans import Span, lenient_spans

# Thai to Tibetan, Myanmar, Hangul, Khmer, kana, Han, and their extensions.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3021-\u3029\u3038-\u30ff"
    "\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)


class Fitted(NamedTuple):
    """Spans of words; how many of the given ones began or ended within a word, and were widened
    to it, and how many held no word, and are left out."""

    spans: list[Span]
    widened: int
    wordless: int


class Passage(NamedTuple):
    """A text with the places of its words; `given` as words, which one space joins, or cut up."""

    text: str
    places: list[tuple[int, int]]
    given: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Passage:
        """The passage of a row with ``tokens`` or, where it has none, ``text``."""
        if row.get("tokens") is None:
            return cls(row["text"], find_words(row["text"]), False)
        return cls(" ".join(row["tokens"]), token_offsets(row["tokens"]), True)

    @property
    def words(self) -> list[str]:
        """The words as texts."""
        return [self.text[start:end] for start, end in self.places]

    def marked(self, label: Sequence[Any]) -> list[Span]:
        """The entities of a label (tags of given words, else ``{"start", "end", "label"}``) as
        spans of characters, without white space at their borders."""
        if self.given:
            return on_characters(lenient_spans(label), self.places)
        spans = (Span(one["start"], one["end"], one["label"]) for one in label)
        return [trimmed(span, self.text) for span in spans]

    def entities(self, spans: Iterable[Span]) -> list[dict[str, Any]]:
        """Spans of characters as entities with their text."""
        return [
            {"label": label, "start": start, "end": end, "text": self.text[start:end]}
            for start, end, label in spans
        ]


def find_words(text: str) -> list[tuple[int, int]]:
    """Return start and end (exclusive) of each word, in order.

    >>> text = "O'Neill 中国 fe\\u0301e!"
    >>> [text[start:end] for start, end in find_words(text)]
    ['O', "'", 'Neill', '中', '国', 'fe\\u0301e', '!']
    """
    return [match.span() for match in _pattern().finditer(text)]


@cache
def _pattern() -> re.Pattern[str]:
    """Python's ``\\w`` knows no marks: it would cut most words of Hindi, and decomposed accents."""
    marks = [code for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[list[int]] = []
    for code in marks:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    mark = "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
    letter = f"[^\\W_{UNSPACED}]"
    # Invisible characters (control, format) are no words: no tokenizer gives them a token.
    hidden = "\\x00-\\x1f\\x7f-\\x9f\\xad\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff"
    return re.compile(f"{letter}(?:{letter}|[{mark}])*|[^\\s{hidden}][{mark}]*")


def token_offsets(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of each token in the tokens joined by one space.

    >>> token_offsets(["Bo", "lives"])
    [(0, 2), (3, 8)]
    """
    places = []
    start = 0
    for token in tokens:
        places.append((start, start + len(token)))
        start += len(token) + 1
    return places


def on_words(spans: Iterable[Span], words: Sequence[tuple[int, int]]) -> Fitted:
    """Turn spans of characters into spans of the words they touch.

    >>> on_words([Span(0, 2, "PER"), Span(4, 6, "LOC"), Span(2, 3, "X")], [(0, 2), (3, 8)])
    Fitted(spans=[Span(start=0, end=1, label='PER'), Span(start=1, end=2, label='LOC')], widened=1, wordless=1)
    """  # noqa: E501
    starts, ends = [start for start, _ in words], [end for _, end in words]
    found: list[Span] = []
    widened = wordless = 0
    for start, end, label in spans:
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first >= last:
            wordless += 1
            continue
        found.append(Span(first, last, label))
        widened += starts[first] != start or ends[last - 1] != end
    return Fitted(found, widened, wordless)


def on_characters(spans: Iterable[Span], words: Sequence[tuple[int, int]]) -> list[Span]:
    """Turn spans of words into spans of characters.

    >>> on_characters([Span(0, 2, "PER")], [(0, 2), (3, 8)])
    [Span(start=0, end=8, label='PER')]
    """
    return [Span(words[start][0], words[end - 1][1], label) for start, end, label in spans]


def trimmed(span: Span, text: str) -> Span:
    """The span without white space at its borders; as it is where nothing would be left.

    >>> trimmed(Span(2, 6, "PER"), "by Bo .")
    Span(start=3, end=5, label='PER')
    """
    inside = text[span.start : span.end]
    if not inside.strip():
        return span
    start = span.start + len(inside) - len(inside.lstrip())
    return Span(start, start + len(inside.strip()), span.label)


def without_overlap(spans: Iterable[Span]) -> tuple[list[Span], int]:
    """Keep the longest of spans that overlap or lie in each other; say how many are left out.

    >>> without_overlap([Span(0, 2, "ORG"), Span(1, 4, "LOC"), Span(4, 5, "PER")])
    ([Span(start=1, end=4, label='LOC'), Span(start=4, end=5, label='PER')], 1)
    """
    longest = sorted(spans, key=lambda span: (span.start - span.end, span))
    kept: list[Span] = []
    for span in longest:
        place = bisect_left(kept, span)
        clear_left = place == 0 or kept[place - 1].end <= span.start
        clear_right = place == len(kept) or kept[place].start >= span.end
        if clear_left and clear_right:
            kept.insert(place, span)
    return kept, len(longest) - len(kept)


def words_of_tokens(
    starts: Sequence[int], ends: Sequence[int], words: Sequence[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    """The word of each token, and the last word that the token reaches into.

    A token may hold the space before its word (SentencePiece), a part of a word, or several words;
    it belongs to the first word that begins in it, else to the one it goes on with. Both are -1 for
    a token without a word; one that stands nowhere starts at -1.

    >>> words_of_tokens([-1, 0, 2, 2], [-1, 2, 3, 8], [(0, 3), (4, 5), (5, 8)])
    ([-1, 0, 0, 1], [-1, 0, 0, 2])
    """
    firsts, stops = [start for start, _ in words], [end for _, end in words]
    own, last = [], []
    for start, end in zip(starts, ends, strict=True):
        first, stop = bisect_right(stops, start), bisect_left(firsts, end)
        if start < 0 or first >= stop:
            first, stop = -1, 0
        elif firsts[first] < start and first + 1 < stop:
            first += 1
        own.append(first)
        last.append(stop - 1)
    return own, last


def furthest(windows: Iterable[tuple[Sequence[int], Sequence[int]]], count: int) -> list[int]:
    """For each of `count` words the last word that shares a token with it; -1 without a token.

    `windows` has what `words_of_tokens` gives, for each window of a text.

    >>> furthest([([-1, 0, 0], [-1, 0, 1]), ([0, 2], [1, 2])], 4)
    [1, -1, 2, -1]
    """
    found = [-1] * count
    for own, last in windows:
        for word, reached in zip(own, last, strict=True):
            if word >= 0 and reached > found[word]:
                found[word] = reached
    return found


def misfits(
    marked: Iterable[tuple[Sequence[Span], Sequence[tuple[int, int]]]],
) -> dict[str, tuple[int, int]]:
    """What tags cannot express of the spans of many texts, each given with the words of its text.

    Returns what it is -> how many spans, and the number of the first text that has one.
    """
    found: dict[str, tuple[int, int]] = {}
    for number, (spans, words) in enumerate(marked):
        fitted = on_words(spans, words)
        for what, count in (
            ("begin or end within a word, the whole of which is learnt", fitted.widened),
            ("hold no word and cannot be learnt", fitted.wordless),
            ("overlap with a longer one, which is learnt", without_overlap(fitted.spans)[1]),
        ):
            if count:
                before, first = found.get(what, (0, number))
                found[what] = (before + count, first)
    return found
