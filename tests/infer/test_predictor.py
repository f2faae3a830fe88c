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


def filled(lengths, size, tokens, padded):
    """How many batches there are when each is filled before the next."""
    order, count, start = sorted(lengths, reverse=True), 0, 0
    while start < len(order):
        end = start + 1
        while (
            end < len(order) and end - start < size
            and sum(order[start : end + 1]) <= tokens
            and (end + 1 - start) * order[start] <= padded
        ):  # fmt: skip
            end += 1
        start, count = end, count + 1
    return count


@given(
    st.lists(st.integers(1, 50), max_size=60),
    st.integers(1, 20),
    st.integers(1, 300),
    st.booleans(),
)
def test_batches_are_few_and_the_largest_is_as_small_as_can_be(lengths, size, tokens, unpadded):
    def padded(bound):
        return bound + bound // 4 if unpadded else bound

    encoded = [{"input_ids": [0] * length} for length in lengths]
    batches = cut_batches(encoded, size, tokens, unpadded=unpadded)
    largest = 0
    for batch in batches:
        real = sum(lengths[index] for index in batch)
        if len(batch) > 1:
            assert len(batch) <= size and real <= tokens
            assert len(batch) * lengths[batch[0]] <= padded(tokens)
            largest = max(largest, real)
    assert len(batches) == filled(lengths, size, tokens, padded(tokens))
    if unpadded and largest and largest > max(lengths) and len(batches) < len(lengths):
        least = min(-(-sum(lengths) // len(batches)), tokens)
        needed = next(
            bound for bound in range(least, tokens + 1)
            if filled(lengths, size, bound, padded(bound)) == len(batches)
        )  # fmt: skip
        assert largest <= needed


def test_rows_of_many_lengths_make_even_batches():
    lengths = [20 + number * 7 % 11 for number in range(770)]
    encoded = [{"input_ids": [0] * length} for length in lengths]
    real = [sum(lengths[index] for index in batch) for batch in cut_batches(encoded, unpadded=True)]
    assert len(real) > 10 and min(real) > 0.9 * max(real)
