"""Hidden words: how many, which, and what stands in their place."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit import text
from hfkit.errors import InputError
from hfkit.masking import Vocabulary, best_words, filled, hide, key_of


@pytest.fixture(scope="module")
def tokenizer(tiny_base_folder: Path) -> text.Tokenizer:
    return text.from_file(tiny_base_folder, 128)


@pytest.fixture(scope="module")
def vocabulary(tokenizer: text.Tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer)


def row(length: int) -> list[int]:
    """CLS, words of the toy vocabulary, SEP."""
    return [2, *(5 + number % 35 for number in range(length)), 3]


def test_the_share_is_exact_and_special_tokens_are_never_chosen(vocabulary: Vocabulary) -> None:
    for length in (1, 3, 10, 100):
        hidden = hide(row(length), (1, 2, 3), vocabulary, rate=0.15)
        assert len(hidden.places) == max(1, round(0.15 * length))
        assert 0 not in hidden.places and length + 1 not in hidden.places
        assert hidden.places == sorted(set(hidden.places))
        assert hidden.answers == [row(length)[place] for place in hidden.places]
    assert hide([2, 3, 0], (1,), vocabulary, rate=0.15) == ([2, 3, 0], [], [])


def test_eight_of_ten_become_the_mask_one_another_token_one_stays(vocabulary: Vocabulary) -> None:
    fates: Counter[str] = Counter()
    others: set[int] = set()
    for number in range(1000):
        given_ = row(100)
        hidden = hide(given_, (7, 0, number), vocabulary, rate=0.15)
        for place, answer in zip(hidden.places, hidden.answers, strict=True):
            found = hidden.ids[place]
            fates["mask" if found == 4 else "same" if found == answer else "other"] += 1
            if found not in (4, answer):
                others.add(found)
        kept = [place for place in range(102) if place not in hidden.places]
        assert all(hidden.ids[place] == given_[place] for place in kept)
    total = sum(fates.values())
    assert total == 15_000
    # A replacement is now and then the same token: one in some hundred.
    assert fates["mask"] / total == pytest.approx(0.8, abs=0.012)
    assert fates["other"] / total == pytest.approx(0.1, abs=0.01)
    assert fates["same"] / total == pytest.approx(0.1, abs=0.01)
    assert len(others) > 100 and min(others) > 4  # no special token


def test_every_place_is_chosen_as_often(vocabulary: Vocabulary) -> None:
    counts: Counter[int] = Counter()
    for number in range(2000):
        counts.update(hide(row(20), (0, number), vocabulary, rate=0.15).places)
    assert set(counts) == set(range(1, 21))
    assert all(abs(count - 300) < 80 for count in counts.values())


def test_it_is_a_function_of_tokens_and_key(vocabulary: Vocabulary) -> None:
    def at(*key: int) -> Any:
        return hide(row(60), key, vocabulary, rate=0.15)

    assert at(1, 0, 5) == at(1, 0, 5)
    assert (
        len({tuple(at(*key).places) for key in [(1, 0, 5), (2, 0, 5), (1, 1, 5), (1, 0, 6)]}) == 4
    )
    assert key_of([1, 2]) != key_of([12])


@given(rate=st.floats(0.01, 0.9), length=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_what_was_hidden_can_be_put_back(rate: float, length: int, seed: int) -> None:
    ids = [2, *range(5, 5 + length), 3]
    hidden = hide(ids, (seed,), made_up(), rate=rate)
    found = list(hidden.ids)
    for place, answer in zip(hidden.places, hidden.answers, strict=True):
        found[place] = answer
    assert found == ids


def made_up() -> Vocabulary:
    class Made:
        mask_id = 4

        def vocabulary(self) -> dict[str, int]:
            return {f"{'##' if n % 2 else ''}t{n}": n for n in range(60)}

        def special_ids(self) -> set[int]:
            return {0, 1, 2, 3, 4}

    return Vocabulary(Made())  # type: ignore[arg-type]


@given(st.lists(st.integers(5, 59), min_size=1, max_size=60), st.integers(0, 1000))
def test_whole_words_are_hidden_whole(ids: list[int], seed: int) -> None:
    """Odd tokens go on with a word."""
    hidden = hide([2, *ids, 3], (seed,), made_up(), rate=0.3, whole_words=True)
    words: list[list[int]] = []
    for place, token in enumerate(ids, start=1):
        if token % 2 and words:
            words[-1].append(place)
        else:
            words.append([place])
    chosen = set(hidden.places)
    assert chosen
    assert all(chosen.issuperset(word) or chosen.isdisjoint(word) for word in words)
    shortest = min(map(len, words))
    assert len(chosen) <= max(round(0.3 * len(ids)), 1, shortest)


def test_words_of_a_vocabulary_with_spaces(tmp_path: Path) -> None:
    class Made:
        mask_id = 1

        def vocabulary(self) -> dict[str, int]:
            return {"<s>": 0, "<mask>": 1, "\u0120new": 2, "est": 3, "\u0120day": 4}

        def special_ids(self) -> set[int]:
            return {0, 1}

    vocabulary = Vocabulary(Made())  # type: ignore[arg-type]
    assert vocabulary.inside.tolist() == [False, False, False, True, False] or (
        vocabulary.inside[3] and not vocabulary.inside[2]
    )
    assert vocabulary.plain.tolist() == [2, 3, 4]


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    class Made:
        mask_id = None

    with pytest.raises(InputError, match="has no mask"):
        Vocabulary(Made())  # type: ignore[arg-type]


def test_masks_are_filled() -> None:
    import numpy as np

    assert filled("a <mask> c <mask>", "<mask>", ["b", "##s"]) == "a b cs"
    assert filled("[MASK]!", "<mask>", ["Go"]) == "Go!"
    ids, scores = np.array([[3.0, 1.0]]), np.log(np.array([[0.5, 0.25]]))
    (words,) = best_words(ids, scores, lambda tokens: f" t{tokens[0]} ")
    assert [word["token"] for word in words] == ["t3", "t1"]
    assert [word["score"] for word in words] == pytest.approx([0.5, 0.25])
