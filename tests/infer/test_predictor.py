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
