"""Rows of a large file lie on disk; nothing else about them is different."""

from __future__ import annotations

import errno
import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.config import FinetuneConfig
from hfkit.data.dataset import load_rows
from hfkit.data.rows import StoredRows, gathered, in_chunks
from hfkit.errors import InputError, ResourceError
from hfkit.registry import find_task, make_task
from hfkit.run.preparation import prepare

VALUES = st.none() | st.text() | st.floats(allow_nan=False) | st.integers() | st.lists(st.text())
ROWS = st.lists(st.dictionaries(st.sampled_from(["text", "label", "tokens"]), VALUES), max_size=40)


@given(ROWS, st.integers(0, 45), st.integers(0, 45))
@settings(max_examples=60, deadline=None)
def test_stored_rows_are_the_rows(rows, start, stop):
    stored = gathered(iter(rows), large=0)
    assert isinstance(stored, StoredRows) == bool(rows)
    assert len(stored) == len(rows)
    assert list(stored) == rows
    assert stored[start:stop] == rows[start:stop]
    assert list(in_chunks(stored, 7)) == list(in_chunks(rows, 7))


def test_few_rows_stay_in_memory():
    rows = [{"text": "a" * 100}] * 10
    assert isinstance(gathered(iter(rows)), list)
    assert isinstance(gathered(iter(rows), large=3000), StoredRows)


def test_a_row_that_was_changed_is_put_back():
    stored = gathered(iter([{"label": number} for number in range(100)]), large=0)
    for number, row in enumerate(stored):
        if number % 3 == 0:
            row["label"] = f"class {number}"
            stored[number] = row
    assert [row["label"] for row in stored] == [
        number if number % 3 else f"class {number}" for number in range(100)
    ]


def test_what_json_has_no_words_for_is_kept_as_it_is():
    rows = [{"label": "a"}, {"label": date(2020, 1, 2)}, {"label": "b"}]
    stored = gathered(iter(rows), large=0)
    assert list(stored) == rows
    stored[1] = {"label": "2 January"}
    assert [row["label"] for row in stored] == ["a", "2 January", "b"]


def test_a_full_disk_is_told_in_one_line(monkeypatch):
    stored = gathered(iter([{"text": "a"}]), large=0)

    class Full:
        def write(self, piece):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stored, "_file", Full())
    with pytest.raises(ResourceError, match="no space left"):
        stored.append({"text": "b"})


def classes(number):
    return {"text": f"text {number // 2}", "label": " good" if number % 3 else "bad"}


def entities(number):
    spans = [{"start": 0, "end": 3, "label": "PER"}] if number % 2 else []
    return {"text": f"Ada waits {number}", "spans": spans}


def questions(number):
    found = {"text": ["gate"], "answer_start": [4]} if number % 2 else {"text": [], "answer_start": []}  # fmt: skip  # noqa: E501
    return {
        "question": f"What {number}?",
        "context": f"The gate opens {number // 4}.",
        "answers": found,
    }


@pytest.mark.parametrize(
    ("task", "make"), [("classification", classes), ("ner", entities), ("qa", questions)]
)
def test_a_large_file_is_prepared_as_a_small_one(task, make, tmp_path, monkeypatch, caplog):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(make(number)) + "\n" for number in range(120)))
    other = tmp_path / "test.jsonl"
    other.write_text("".join(json.dumps(make(number)) + "\n" for number in range(0, 40, 2)))
    config = FinetuneConfig(train=str(path), test=str(other), task=task, model="minilm", limit=100)
    caplog.set_level("INFO", "hfkit")
    small, said = prepare(config), caplog.messages[:]
    caplog.clear()
    monkeypatch.setattr("hfkit.data.rows.LARGE", 0)
    large = prepare(config)
    assert caplog.messages == said
    assert large.identity() == small.identity()
    for part in ("train", "validation", "test"):
        one, other = small.part(part), large.part(part)
        assert isinstance(one.rows, list)
        assert isinstance(other.rows, StoredRows)
        assert list(other.rows) == one.rows
        assert [other.place(row) for row in (0, 5)] == [one.place(row) for row in (0, 5)]
        assert large.task.gold(other.rows) == small.task.gold(one.rows)


def test_a_bad_row_of_a_large_file_is_told_with_its_place(tmp_path, monkeypatch):
    path = tmp_path / "train.jsonl"
    rows = [{"text": f"text {number}", "label": "a"} for number in range(10)]
    rows[7]["label"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr("hfkit.data.rows.LARGE", 0)
    config = FinetuneConfig(train=str(path))
    columns = make_task(find_task("classification")[0], {}).columns
    with pytest.raises(InputError, match="label is missing") as raised:
        load_rows(str(path), config, config, columns)
    assert raised.value.place == f"{path}:8"
