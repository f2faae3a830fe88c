"""One result for each record, in order, whatever fails and however the windows fall."""

from __future__ import annotations

import threading
import time
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.data.record import Record
from hfkit.errors import InputError, ResourceError
from hfkit.infer.stream import live_windows, predict_stream, read_rows, windows


def records(texts):
    return [Record({"text": text}, number, "x.txt", number) for number, text in enumerate(texts, 1)]


def to_row(fields):
    if not fields["text"]:
        raise InputError("the text is empty", hint="fill it")
    return {"text": fields["text"]}


def answer(text):
    return {"value": float(sum(map(ord, text))), "tokens": len(text)}


def answered(texts, predictor, **options):
    rows = read_rows(records(texts), lambda record: to_row)
    return [result for window in predict_stream(rows, predictor, **options) for result in window]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("window", [1, 3, 1024])
def test_each_record_has_one_result_in_order(toy_predictor, live, window):
    texts = ["b" * (number * 7 % 40 + 1) for number in range(100)]
    results = answered(texts, toy_predictor(), live=live, window=window)
    assert [result.record.row for result in results] == list(range(1, 101))
    assert [result.answer for result in results] == [answer(text) for text in texts]
    assert not any(result.error for result in results)


def test_thirty_bad_rows_of_three_thousand_stand_alone(toy_predictor):
    bad = {"", "refuse", "a!b", "what?"}
    texts = [f"text {number}" for number in range(3000)]
    texts[50::100] = (sorted(bad) * 8)[:30]
    results = answered(texts, toy_predictor(32))
    assert len(results) == 3000
    for text, result in zip(texts, results, strict=True):
        assert result.record.fields["text"] == text
        assert (result.answer is None) == (text in bad) == bool(result.error)
        if text not in bad:
            assert result.answer == answer(text)
    errors = {texts[result.record.row - 1]: result.error for result in results if result.error}
    assert errors == {
        "": "the text is empty; fill it",
        "refuse": "the task refuses this text",
        "a!b": "the model failed: IndexError: index out of range",
        "what?": "the model's logits are not finite numbers",
    }


def test_a_record_that_could_not_be_read_keeps_its_place(toy_predictor):
    given = records(["a", "b", "c"])
    given[1] = Record({}, 2, "x.txt", 2, "not valid JSON")
    results = [
        r for w in predict_stream(read_rows(given, lambda _: to_row), toy_predictor()) for r in w
    ]
    assert [result.error for result in results] == ["", "not valid JSON", ""]
    assert results[2].answer == answer("c")


def test_columns_are_found_once_with_the_first_good_record(toy_predictor):
    given = records(["a", "b", "c"])
    given[0].error = "broken"
    seen = []

    def find(record):
        seen.append(record.row)
        return to_row

    list(read_rows(given, find))
    assert seen == [2]


@pytest.mark.parametrize("live", [False, True])
def test_a_missing_column_stops_the_stream(toy_predictor, live):
    def find(record):
        raise InputError("no column text")

    with pytest.raises(InputError, match="no column text"):
        list(predict_stream(read_rows(records(["a"]), find), toy_predictor(), live=live))


def test_memory_that_runs_out_is_no_matter_of_a_row(toy_predictor):
    predictor = toy_predictor()

    def run(batch):
        raise ResourceError("out of memory")

    predictor.engine.run = run
    with pytest.raises(ResourceError):
        answered(["a", "b"], predictor)


@given(st.lists(st.integers(), max_size=200), st.integers(1, 50), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_windows_lose_nothing_and_keep_to_their_size(items, size, first):
    cut = list(windows(items, size, first))
    assert [item for window in cut for item in window] == items
    assert all(0 < len(window) <= size for window in cut)


@given(st.lists(st.integers(), max_size=200), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_live_windows_lose_nothing_and_keep_to_their_size(items, size):
    cut = list(live_windows(items, size))
    assert [item for window in cut for item in window] == items
    assert all(len(window) <= size for window in cut)


def test_a_window_closes_when_the_input_pauses():
    more = threading.Event()

    def items():
        yield from range(3)
        assert more.wait(10)
        yield 3

    cut = live_windows(items(), 1024)
    started = time.monotonic()
    assert next(cut) == [0]
    assert next(filter(None, cut)) == [1, 2]
    assert time.monotonic() - started < 5  # it did not wait for the rest
    assert next(cut) == []  # the next one is to be waited for: what came so far is answered first
    more.set()
    assert list(filter(None, cut)) == [[3]]


def test_a_window_closes_in_time_in_a_steady_trickle():
    def items():
        for number in range(60):
            time.sleep(0.01)
            yield number

    cut = list(live_windows(items(), 1024, pause=0.05))
    assert [item for window in cut for item in window] == list(range(60))
    assert max(map(len, cut)) < 40  # 4 pauses are 20 items


def test_what_the_input_raises_comes_after_what_came_before():
    def items():
        yield 1
        yield 2
        raise InputError("broken")

    cut = live_windows(items(), 8)
    seen = []
    with pytest.raises(InputError, match="broken"):
        for window in cut:
            seen += window
    assert seen == [1, 2]


def test_reading_ahead_is_bounded_and_ends_with_the_reader():
    taken = []

    def items():
        for number in range(10_000):
            taken.append(number)
            yield number

    cut = live_windows(items(), 16)
    assert [len(window) for window in islice(filter(None, cut), 3)] == [1, 2, 4]
    time.sleep(0.2)
    assert len(taken) <= 7 + 16 + 2
    cut.close()
    deadline = time.monotonic() + 5
    while any(thread.name == "hfkit-reader" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
