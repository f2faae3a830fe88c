"""One window is read and encoded while another is computed; what comes out is the same."""

from __future__ import annotations

import threading
from random import Random

import pytest

from hfkit.data.record import Record
from hfkit.errors import InputError, ResourceError, RowError
from hfkit.infer.flow import answer_windows
from hfkit.infer.stream import Readable, predict_stream, read_rows

LONG = 20  # seconds: what would never come without overlap is given up after them


def answer(text):
    return {"value": float(sum(map(ord, text))), "tokens": len(text)}


def to_row(fields):
    if not fields["text"]:
        raise InputError("the text is empty", hint="fill it")
    return fields


def answered(texts, predictor, **options):
    records = (Record({"text": text}, number, "x.txt") for number, text in enumerate(texts, 1))
    results = predict_stream(read_rows(records, lambda record: to_row), predictor, **options)
    return [result for window in results for result in window]


def readable(texts):
    for number, text in enumerate(texts, 1):
        yield Readable(Record({"text": text}, number, "x.txt", number), {"text": text})


def test_the_next_window_is_encoded_while_this_one_is_computed(overlapping):
    predictor, second = overlapping(), threading.Event()
    encode, run = predictor.encode, predictor.engine.run

    def encoded(rows):
        if rows[0]["text"] == "second":
            second.set()
        return encode(rows)

    def computed(batch):
        assert second.wait(LONG), "nothing was encoded while this was computed"
        return run(batch)

    predictor.encode, predictor.engine.run = encoded, computed
    results = predict_stream(readable(["first"] * 4 + ["second"] * 4), predictor, window=4)
    assert [result.error for window in results for result in window] == [""] * 8


def test_the_next_window_is_computed_while_this_one_is_written(overlapping):
    predictor, second = overlapping(), threading.Event()
    run = predictor.engine.run

    def computed(batch):
        if (batch["input_ids"] == ord("2")).any():
            second.set()
        return run(batch)

    predictor.engine.run = computed
    results = predict_stream(readable(["1"] * 4 + ["2"] * 4), predictor, window=4)
    assert next(results)[0].record.row == 1
    assert second.wait(LONG), "nothing was computed while this was written"
    assert [result.record.row for result in next(results)] == [5, 6, 7, 8]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("window", [1, 7, 1024])
def test_overlap_does_not_show(toy_predictor, overlapping, window, live):
    texts = ["b" * (number * 7 % 40 + 1) for number in range(300)]
    for number, bad in enumerate(["", "refuse", "a!b", "what?", "a!b", ""] * 3):
        texts[number * number % 290] = bad
    plain = answered(texts, toy_predictor(), window=window)
    assert answered(texts, overlapping(), window=window, live=live) == plain
    assert sum(bool(result.error) for result in plain) > 10


def test_a_failing_batch_costs_its_window_and_no_other(overlapping):
    predictor = overlapping(batch_size=2, ahead=6)
    texts = ["aa", "bb", "c!", "dd", "ee", "ff"]
    results = [
        result for window in predict_stream(readable(texts), predictor, window=2)
        for result in window
    ]  # fmt: skip
    assert [bool(result.error) for result in results] == [text == "c!" for text in texts]
    # Three windows, then each of the two rows of the one that failed by itself.
    assert sorted(predictor.engine.sizes) == [1, 1, 2, 2, 2]


def test_what_the_source_raises_comes_after_the_answers_before(overlapping):
    def records():
        for number in range(1, 10):
            yield Record({"text": "a" * number}, number, "x.txt", number)
        raise InputError("the file ends in the middle")

    rows = read_rows(records(), lambda record: to_row)
    seen = []
    with pytest.raises(InputError, match="in the middle"):
        for window in predict_stream(rows, overlapping(), window=2):
            seen += window
    # The ninth is in a window that was not full: it is not known to be whole.
    assert [result.answer for result in seen] == [answer("a" * number) for number in range(1, 9)]


def test_memory_that_runs_out_comes_after_the_answers_before(overlapping):
    predictor = overlapping(ahead=6)
    run = predictor.engine.run

    def computed(batch):
        if (batch["input_ids"] == ord("z")).any():
            raise ResourceError("out of memory")
        return run(batch)

    predictor.engine.run = computed
    results = predict_stream(readable(["a", "b", "z", "c"]), predictor, window=1)
    assert [window[0].answer for window in (next(results), next(results))] == [
        answer("a"), answer("b"),
    ]  # fmt: skip
    with pytest.raises(ResourceError):
        next(results)


def test_an_interruption_comes_at_once(overlapping):
    def rows():
        yield from readable(["a", "b"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predict_stream(rows(), overlapping(), window=1))


@pytest.mark.parametrize("error", ["", "not valid JSON"])
def test_reading_ahead_is_bounded(overlapping, error):
    taken = []

    def rows():
        for item in readable(["a"] * 10_000):
            taken.append(item)
            yield item._replace(row=None, error=error) if error else item

    results = predict_stream(rows(), overlapping(batch_size=4, ahead=3), window=4)
    next(results)
    assert len(taken) <= 5 * 4
    results.close()


def test_nothing_goes_on_after_an_early_close(overlapping):
    before = threading.active_count()
    predictor, taken = overlapping(ahead=3), []

    def rows():
        for item in readable(["a"] * 10_000):
            taken.append(item)
            yield item

    results = predict_stream(rows(), predictor, window=4)
    next(results)
    results.close()
    predictor.engine.pool.shutdown()
    assert threading.active_count() == before
    assert len(predictor.engine.sizes) <= 4
    assert len(taken) <= 5 * 4


def test_a_line_is_answered_before_the_next_one_comes(overlapping):
    more = threading.Event()

    def rows():
        first, second = readable(["a", "b"])
        yield first
        assert more.wait(LONG), "the answer was waiting for the next line"
        yield second

    results = predict_stream(rows(), overlapping(), live=True)
    assert [result.answer for result in next(results)] == [answer("a")]
    more.set()
    assert [result.answer for result in next(results)] == [answer("b")]
    assert list(results) == []


def test_a_refused_row_is_told_by_its_number_among_all(toy_predictor):
    predictor = toy_predictor()
    encode = predictor.encode

    def encoded(rows):
        for number, row in enumerate(rows):
            if row["text"] == "no":
                raise RowError("no", row=number)
        return encode(rows)

    predictor.encode = encoded
    rows = [{"text": "yes"}] * 9000
    rows[5000] = {"text": "no"}
    with pytest.raises(RowError) as raised:
        predictor.predict(rows)
    assert raised.value.row == 5000
    (failure,) = answer_windows(predictor, [rows])
    assert isinstance(failure, RowError)
    assert failure.row == 5000


def test_rows_that_become_many_are_encoded_in_parts(toy_predictor, monkeypatch):
    monkeypatch.setattr("hfkit.infer.flow.AT_ONCE", 100)
    sizes = []

    predictor = toy_predictor()
    encode, decode = predictor.encode, predictor.decode

    def encoded(rows):
        sizes.append(len(rows))
        return [part for row in encode(rows) for part in [row] * 5]

    def decoded(outputs, encoded, rows):
        assert len(outputs) == len(encoded) == 5 * len(rows)
        return decode(outputs[::5], encoded, rows)

    predictor.encode, predictor.decode = encoded, decoded
    answers = predictor.predict([{"text": "ab"}] * 200)
    assert answers == [answer("ab")] * 200
    assert sizes == [64] + [10] * 13 + [6]


@pytest.mark.parametrize("at_once", [300, 2000, 2**18])
def test_a_window_is_cut_whatever_came_before_it(toy_predictor, monkeypatch, at_once):
    """Else what goes on with an unfinished file computes other batches."""
    monkeypatch.setattr("hfkit.infer.flow.AT_ONCE", at_once)
    predictor, chance = toy_predictor(7), Random(0)
    computed, run = [], predictor.engine.run
    predictor.engine.run = lambda batch: computed.append(batch["input_ids"].shape) or run(batch)
    windows = [
        [{"text": "a" * chance.randint(1, 30)} for _ in range(size)]
        for size in (32, 64, 200, 9, 200)
    ]
    whole = list(predictor.predict_windows(windows))
    shapes, computed[:] = computed[:], []
    for first in range(1, len(windows)):
        assert list(predictor.predict_windows(windows[first:])) == whole[first:]
        assert computed == shapes[len(shapes) - len(computed) :]
        computed.clear()


def test_a_window_that_fits_is_one_part(toy_predictor):
    sizes = []
    predictor = toy_predictor(1000)
    batches = predictor.batches
    predictor.batches = lambda encoded: sizes.append(len(encoded)) or batches(encoded)
    rows = [{"text": "ab"}] * 300
    assert list(predictor.predict_windows([rows, [], rows])) == [
        [answer("ab")] * 300,
        [],
        [answer("ab")] * 300,
    ]
    assert sizes == [300, 0, 300]


def test_a_row_is_told_by_its_place_in_the_window(toy_predictor):
    predictor = toy_predictor()
    encode, decode = predictor.encode, predictor.decode

    def refusing(word):
        def refuse(rows):
            for number, row in enumerate(rows):
                if row["text"] == word:
                    raise RowError("no", row=number)

        return refuse

    predictor.encode = lambda rows: refusing("encode")(rows) or encode(rows)
    predictor.decode = lambda outputs, encoded, rows: (
        refusing("decode")(rows) or decode(outputs, encoded, rows)
    )
    for word in ("encode", "decode"):
        for place in (5, 64, 199):
            rows = [{"text": "yes"}] * 200
            rows[place] = {"text": word}
            (failure,) = predictor.predict_windows([rows])
            assert (failure.row, str(failure)) == (place, "no")
