"""The tokenizer's face: nothing is cut unless it is said, and windows cover every token."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import write_base_model

from hfkit import text
from hfkit.errors import InputError
from hfkit.python_tokenizer import PythonTokenizer
from hfkit.text import Tokenizer
from hfkit.windows import cut


@pytest.fixture(scope="module")
def tokenizer(tiny_base_folder: Path) -> Tokenizer:
    return text.from_file(tiny_base_folder, 16)


def ids(tokenizer: Tokenizer, *texts: str, **options: object) -> list[list[int]]:
    return [row["input_ids"] for rows in tokenizer.encode(texts, **options) for row in rows]


def test_truncation_and_padding_of_the_file_are_dropped(tmp_path: Path) -> None:
    folder = write_base_model(tmp_path)
    from tokenizers import Tokenizer as Backend

    saved = Backend.from_file(str(folder / "tokenizer.json"))
    saved.enable_truncation(4)
    saved.enable_padding(length=8)
    saved.save(str(folder / "tokenizer.json"))
    for load in (text.from_file, text.from_transformers):
        assert len(ids(load(folder, 100), "rain sun cloud wind storm")[0]) == 7


def test_file_and_transformers_agree(tiny_base_folder: Path) -> None:
    one = text.from_file(tiny_base_folder, 16)
    other = text.from_transformers(tiny_base_folder, 16)
    texts = ["rain sun", "Unknown wörds — 一丁", "drum " * 40]
    assert one.encode(texts, on_long="window") == other.encode(texts, on_long="window")
    assert one.padding == other.padding == {
        "input_ids": 0, "attention_mask": 0, "token_type_ids": 0}  # fmt: skip


@given(length=st.integers(1, 120), stride=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_windows_cover_the_text_and_overlap_by_the_stride(
    tiny_base_folder: Path, length: int, stride: int
) -> None:
    tokenizer = text.from_file(tiny_base_folder, 16)
    words = [("rain", "sun", "drum", "pan", "song")[n % 5] for n in range(length)]
    whole = ids(text.from_file(tiny_base_folder, 10_000), " ".join(words))[0][1:-1]
    parts = ids(tokenizer, " ".join(words), on_long="window", stride=stride)
    assert all(len(part) <= 16 and part[0] == 2 and part[-1] == 3 for part in parts)
    joined = parts[0][1:-1]
    for part in parts[1:]:
        inner = part[1:-1]
        assert inner[:stride] == joined[len(joined) - stride :]
        joined += inner[stride:]
    assert joined == whole


def test_the_longer_side_of_a_pair_is_cut_and_the_shorter_repeated(tokenizer: Tokenizer) -> None:
    rows = tokenizer.encode(["rain sun"], ["drum " * 30], on_long="window")[0]
    assert len(rows) > 1
    assert len({tuple(row["input_ids"][:4]) for row in rows}) == 1
    assert all(row["token_type_ids"][:4] == [0, 0, 0, 0] for row in rows)
    other = tokenizer.encode(["drum " * 30], ["rain sun"], on_long="window")[0]
    assert len({tuple(row["input_ids"][-4:]) for row in other}) == 1


def test_two_long_sides_are_cut_and_say_so(tokenizer: Tokenizer) -> None:
    (row,) = tokenizer.encode(["rain " * 30], ["drum " * 30], on_long="window")[0]
    assert row["_truncated"] is True
    assert len(row["input_ids"]) == 16


def test_truncate_and_error(tokenizer: Tokenizer) -> None:
    (row,) = tokenizer.encode(["rain " * 30], on_long="truncate")[0]
    assert row["_truncated"] is True
    with pytest.raises(InputError, match="32 tokens, a window holds 16; raise --max-length"):
        tokenizer.encode(["rain " * 30], on_long="error")
    assert tokenizer.encode(["rain"], on_long="error")


class Letters:
    """A Python tokenizer of transformers, as far as hfkit uses one."""

    def encode(self, given: str, add_special_tokens: bool) -> list[int]:
        return [ord(letter) for letter in given]

    def build_inputs_with_special_tokens(self, a: list[int], b: list[int] | None) -> list[int]:
        return [1, *a, 2] if b is None else [1, *a, 2, *b, 2]

    def create_token_type_ids_from_sequences(self, a: list[int], b: list[int] | None) -> list[int]:
        return [0] * (len(a) + 2) + [1] * (len(b) + 1 if b is not None else 0)

    def num_special_tokens_to_add(self, pair: bool) -> int:
        return 3 if pair else 2

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [chr(number) for number in ids]


def test_python_tokenizers_window_and_cut_alike() -> None:
    tokenizer = PythonTokenizer(Letters(), 20, {"input_ids": 0, "token_type_ids": 0})
    rows = tokenizer.encode(["x" * 50], on_long="window", stride=5)[0]
    assert [len(row["input_ids"]) for row in rows] == [20, 20, 20, 13]
    pair = tokenizer.encode(["ab"], ["y" * 40], on_long="window")[0]
    assert all(row["input_ids"][:4] == [1, 97, 98, 2] for row in pair)
    (both,) = tokenizer.encode(["x" * 30], ["y" * 40], on_long="window")[0]
    assert both["_truncated"] and len(both["input_ids"]) == 20
    assert both["input_ids"].count(ord("x")) in (8, 9)


@given(length=st.integers(1, 200), size=st.integers(2, 40), overlap=st.integers(0, 39))
def test_cut_covers_everything(length: int, size: int, overlap: int) -> None:
    if overlap >= size:
        with pytest.raises(ValueError, match="does not fit"):
            cut(length, size, overlap)
        return
    windows = cut(length, size, overlap)
    assert {place for window in windows for place in window} == set(range(length))
    assert all(len(window) <= size for window in windows)


ODD = st.text(st.sampled_from("ab 丁\u0301é😀\u200bש "), min_size=1, max_size=60)
KINDS = ["fast", "python"]


def of_kind(kind: str, folder: Path, max_length: int) -> Tokenizer:
    if kind == "fast":
        return text.from_file(folder, max_length)
    return PythonTokenizer(Letters(), max_length, {"input_ids": 0, "token_type_ids": 0})


@pytest.mark.parametrize("kind", KINDS)
@given(first=ODD, second=ODD, paired=st.booleans())
@settings(max_examples=60, deadline=None)
def test_located_tokens_stand_where_they_say(
    tiny_base_folder: Path, kind: str, first: str, second: str, paired: bool
) -> None:
    """Each window tells the characters of the last text; together the windows cover all of it."""
    tokenizer = of_kind(kind, tiny_base_folder, 24)
    last = second if paired else first
    rows = tokenizer.encode(
        [first], [second] if paired else None, on_long="window", located=True, side="second"
    )[0]
    seen: set[int] = set()
    for row in rows:
        assert len(row["input_ids"]) == len(row["_starts"]) == len(row["_ends"]) <= 24
        for start, end in zip(row["_starts"], row["_ends"], strict=True):
            assert (start, end) == (-1, -1) or 0 <= start <= end <= len(last)
            seen |= set(range(start, end)) - {-1}
    letters = {n for n, letter in enumerate(last) if letter in "ab丁é😀ש"}
    assert letters <= seen


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_text_is_the_one_in_windows(tiny_base_folder: Path, kind: str) -> None:
    tokenizer = of_kind(kind, tiny_base_folder, 24)
    (rows,) = tokenizer.encode(
        ["abcdefg"], ["x y z a b c d e f g h i j k l m"], on_long="window", side="second",
        located=True,
    )  # fmt: skip
    assert len(rows) > 1
    assert not any(row.get("_truncated") for row in rows)
    first = [row["input_ids"][:7] for row in rows]
    assert all(part == first[0] for part in first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_text_without_room_beside_it_is_cut_and_says_so(
    tiny_base_folder: Path, kind: str
) -> None:
    tokenizer = of_kind(kind, tiny_base_folder, 24)
    (rows,) = tokenizer.encode(
        ["a b c d " * 20], ["x y z " * 20], on_long="window", side="second", located=True
    )
    assert len(rows) > 1
    assert all(row["_truncated"] for row in rows)
    assert all(max(row["_starts"]) >= 0 for row in rows)
    assert max(row["_ends"][-2] for row in rows) >= 58


@pytest.mark.parametrize("kind", KINDS)
@given(words=st.lists(st.text(st.sampled_from("ab丁\u0301é😀\u200b\xad"), max_size=9), max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_token_knows_its_word(tiny_base_folder: Path, kind: str, words: list[str]) -> None:
    tokenizer = of_kind(kind, tiny_base_folder, 12)
    rows = tokenizer.encode_words([words])[0]
    seen: set[int] = set()
    for row in rows:
        assert len(row["_words"]) == len(row["input_ids"]) <= 12
        inside = [word for word in row["_words"] if word >= 0]
        assert inside == sorted(inside)
        assert row["_words"][0] == row["_words"][-1] == -1
        seen |= set(inside)
    assert {n for n, word in enumerate(words) if set(word) & set("ab丁é😀")} <= seen


def test_bytes_of_a_single_word_have_the_space_they_had_in_the_text(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "</s>", *alphabet, "ĠM", "er", "ĠMer"]
    vocabulary = {token: number for number, token in enumerate(names)}
    backend = Backend(models.BPE(vocabulary, [("e", "r"), ("Ġ", "M"), ("ĠM", "er")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer = Tokenizer(backend, 32, {"input_ids": 0})
    (whole,) = tokenizer.encode([" Mer Mer"])[0]
    (words,) = tokenizer.encode_words([["Mer", "Mer"]])[0]
    assert words["input_ids"] == whole["input_ids"]
    assert words["_words"] == [-1, 0, 1, -1]


@pytest.mark.parametrize("kind", KINDS)
@given(first=ODD, second=ODD, paired=st.booleans())
@settings(max_examples=60, deadline=None)
def test_tokens_that_are_known_are_framed_as_texts_are(
    tiny_base_folder: Path, kind: str, first: str, second: str, paired: bool
) -> None:
    tokenizer = of_kind(kind, tiny_base_folder, 500)
    (wanted,) = tokenizer.encode([first], [second] if paired else None)[0]
    ids, other = tokenizer.pieces([first, second])
    found = tokenizer.framed(ids, other if paired else None)
    assert found["input_ids"] == wanted["input_ids"]
    assert found["token_type_ids"] == wanted["token_type_ids"]
    assert tokenizer.room(paired) == 500 - (3 if paired else 2)


def test_masks_and_special_tokens(tiny_base_folder: Path) -> None:
    both = text.from_file(tiny_base_folder, 64), text.from_transformers(tiny_base_folder, 64)
    for tokenizer in both:
        assert tokenizer.mask_id == tokenizer.vocabulary()["[MASK]"] == 4
        assert tokenizer.special_ids() == {0, 1, 2, 3, 4}
        assert tokenizer.text_of(tokenizer.pieces(["rain sun"])[0]) == "rain sun"
