"""The order, the batch size and the neighbours of a row do not show in its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.infer.predictor import cut_batches


def rows(count):
    return [{"text": chr(97 + number % 26) * (number * 13 % 31 + 1)} for number in range(count)]


@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_the_batch_size_does_not_show(toy_predictor, batch_size):
    given = rows(70)
    expected = [float(sum(map(ord, row["text"]))) for row in given]
    answers = toy_predictor(batch_size).predict(given)
    assert [answer["value"] for answer in answers] == expected


def test_outputs_of_tokens_lose_their_padding(toy_predictor):
    given = rows(9)
    answers = toy_predictor(9).predict(given)
    assert [answer["tokens"] for answer in answers] == [len(row["text"]) for row in given]


def test_no_rows_no_answers(toy_predictor):
    assert toy_predictor().predict([]) == []


def test_shares_of_the_batches_make_the_whole(toy_predictor):
    predictor = toy_predictor(4)
    encoded = predictor.encode(rows(30))
    batches = cut_batches(encoded, 4)
    parts = [predictor.compute(encoded, batches[rank::3]) for rank in range(3)]
    assert sum(map(len, parts)) == 30
    merged = parts[0] | parts[1] | parts[2]
    whole = predictor.run(encoded)
    assert all(merged[i]["logits"] == whole[i]["logits"] for i in range(30))


@given(st.lists(st.integers(1, 50), max_size=100), st.integers(1, 20))
def test_batches_hold_every_row_once_the_longest_first(lengths, size):
    encoded = [{"input_ids": [0] * length} for length in lengths]
    batches = cut_batches(encoded, size)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)


LENGTHS = st.lists(st.integers(1, 50), max_size=100)


@given(LENGTHS, st.integers(1, 20), st.integers(1, 300), st.booleans())
def test_batches_keep_to_their_bounds_and_none_is_a_rest(lengths, size, tokens, unpadded):
    encoded = [{"input_ids": [0] * length} for length in lengths]
    batches = cut_batches(encoded, size, tokens, unpadded=unpadded)
    for batch in batches:
        real = sum(lengths[index] for index in batch)
        padded = len(batch) * lengths[batch[0]]
        assert len(batch) == 1 or (len(batch) <= size and real <= tokens)
        assert len(batch) == 1 or padded <= (1.25 * tokens if unpadded else tokens)
    # As few as when each is filled up before the next.
    start, filled = 0, 0
    order = sorted(lengths, reverse=True)
    while start < len(order):
        count = 1
        while (
            start + count < len(order)
            and count < size
            and sum(order[start : start + count + 1]) <= tokens
            and (count + 1) * order[start] <= (tokens + tokens // 4 if unpadded else tokens)
        ):
            count += 1
        start, filled = start + count, filled + 1
    assert len(batches) == filled


def test_equal_rows_make_equal_batches():
    encoded = [{"input_ids": [0] * 10}] * 101
    sizes = [len(batch) for batch in cut_batches(encoded, tokens=1000)]
    assert sizes == [51, 50]
