"""The tokenizer's face: nothing is cut unless it is said, and windows cover every token."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import write_base_model

from hfkit import text
from hfkit.errors import InputError
from hfkit.text import PythonTokenizer, Tokenizer
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
