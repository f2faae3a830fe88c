"""Words and characters: every span comes back, and what does not fit is counted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.spans import Span
from hfkit.windows import central, cut
from hfkit.words import (
    find_words,
    on_characters,
    on_words,
    token_offsets,
    trimmed,
    without_overlap,
)


def cut_up(text: str) -> list[str]:
    return [text[start:end] for start, end in find_words(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna Schmidt-Bö, 3.5%", ["Anna", "Schmidt", "-", "Bö", ",", "3", ".", "5", "%"]),
        ("foo_bar", ["foo", "_", "bar"]),
        ("我在Bern工作", ["我", "在", "Bern", "工", "作"]),
        ("東京にいる", list("東京にいる")),
        ("서울에서", list("서울에서")),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("שָׁלוֹם עולם", ["שָׁלוֹם", "עולם"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("cafe\u0301", ["cafe\u0301"]),
        ("a\u200bb \xad c\ufeff", ["a", "b", "c"]),
        ("👩\u200d👧❤\ufe0f", ["👩", "👧", "❤\ufe0f"]),
        (" \n\t\u3000", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert cut_up(text) == words


@given(st.text())
def test_words_are_in_order_apart_and_without_spaces(text: str) -> None:
    end = 0
    for start, stop in find_words(text):
        assert end <= start < stop <= len(text)
        assert not any(character.isspace() for character in text[start:stop])
        end = stop
    covered = {place for start, stop in find_words(text) for place in range(start, stop)}
    assert all(place in covered for place, one in enumerate(text) if one.isalnum())


@given(st.text(alphabet="ab 中-", max_size=30), st.data())
def test_spans_of_words_come_back(text: str, data: st.DataObject) -> None:
    words = find_words(text)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    given = [Span(one, two, "X") for one, two in pairwise(cuts)]
    there = on_characters(given, words)
    assert on_words(there, words) == (given, 0, 0)


def test_what_does_not_fit_is_counted() -> None:
    words = find_words("Berlin Mitte !")
    assert on_words([Span(0, 3, "LOC")], words) == ([Span(0, 1, "LOC")], 1, 0)
    assert on_words([Span(6, 7, "LOC")], words) == ([], 0, 1)
    assert on_words([Span(9, 14, "LOC")], words) == ([Span(1, 3, "LOC")], 1, 0)
    assert on_words([Span(6, 12, "LOC")], words) == ([Span(1, 2, "LOC")], 1, 0)
    assert trimmed(Span(6, 13, "LOC"), "Berlin Mitte !") == Span(7, 12, "LOC")
    assert trimmed(Span(6, 7, "LOC"), "Berlin Mitte !") == Span(6, 7, "LOC")


def test_the_longest_of_overlapping_spans_is_kept() -> None:
    nested = [Span(0, 5, "ORG"), Span(1, 2, "LOC"), Span(5, 7, "PER"), Span(6, 9, "ORG")]
    assert without_overlap(nested) == ([Span(0, 5, "ORG"), Span(6, 9, "ORG")], 2)
    assert without_overlap([Span(0, 1, "A"), Span(0, 1, "B")]) == ([Span(0, 1, "A")], 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8))))
def test_what_is_kept_does_not_overlap_and_what_is_not_does(pairs: list[tuple[int, int]]) -> None:
    given = [Span(start, start + size, "X") for start, size in pairs]
    kept, dropped = without_overlap(given)
    assert len(kept) + dropped == len(given)
    assert all(one.end <= two.start for one, two in pairwise(kept))
    for span in given:
        assert any(span.start < other.end and other.start < span.end for other in kept)


def test_tokens_stand_one_space_apart() -> None:
    tokens = ["Bo", "", "中"]
    text = " ".join(tokens)
    assert [text[start:end] for start, end in token_offsets(tokens)] == tokens


@given(st.integers(0, 60), st.integers(2, 12), st.integers(0, 11))
def test_the_most_central_window(length: int, size: int, overlap: int) -> None:
    parts = cut(length, size, min(overlap, size - 1))
    chosen = central([list(part) for part in parts], length)
    for item, (number, place) in enumerate(chosen):
        assert parts[number][place] == item
        depth = min(place, len(parts[number]) - 1 - place)
        for part in parts:
            if item in part:
                assert depth >= min(item - part.start, part.stop - 1 - item)


def test_a_word_is_taken_where_its_first_token_stands() -> None:
    """The second window begins within word 1: its first token there is not its first one."""
    assert central([[-1, 0, 1, 1, -1], [-1, 1, 2, 3, -1]], 5) == [
        (0, 1), (0, 2), (1, 2), (1, 3), (-1, -1),
    ]  # fmt: skip
