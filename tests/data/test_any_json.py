"""Whatever JSON a file holds: a row is read, or an error says why; nothing else is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfkit.config import Columns, FinetuneConfig
from hfkit.data.answers import AnswerReader
from hfkit.data.columns import find_columns
from hfkit.data.dataset import load_rows
from hfkit.data.entities import EntityReader
from hfkit.data.formats import conll, label_studio, squad
from hfkit.data.record import Record
from hfkit.data.shape import infer_task
from hfkit.errors import InputError
from hfkit.registry import TASKS, find_task

WORDS = """start end label labels text answer_start start_offset value data annotations result type
was_cancelled paragraphs qas question context answers id is_impossible title tokens tags spans
entities sentence1 sentence2 score PER document answer translation summary"""
KEYS = st.sampled_from(WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-2, 9) | st.sampled_from(
    ["", " ", "Ada", "Ada waits", "O", "B-PER", "1", "-1", "[", '["a"]', "{}", "nan"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=5)


def attempt(function, *given_, **more):
    try:
        return function(*given_, **more)
    except InputError as error:
        assert str(error).isprintable()
        return None


@given(JSON)
def test_entities(cell):
    text = "Ada waits 😀"
    found = attempt(EntityReader().read, cell, text, None)
    for one in found or []:
        assert 0 <= one["start"] < one["end"] <= len(text) and one["label"].strip()
    tags = attempt(EntityReader().read, cell, None, ["Ada", "waits"])
    assert tags is None or (len(tags) == 2 and all(isinstance(tag, str) for tag in tags))


@given(JSON)
def test_answers(cell):
    context = "Ada waits for Ada"
    for one in attempt(AnswerReader().read, cell, context) or []:
        there = one["start"] >= 0  # else it is nowhere, beside one that is there
        assert one["text"].strip() and there == (one["text"] in context)
        assert not there or context.startswith(one["text"], one["start"])


@given(JSON, OBJECTS)
def test_nested_files(value, task):
    if squad.is_squad(value):
        attempt(lambda: list(squad.records(value, "x.json")))
    (record,) = label_studio.flattened(iter([Record(dict(task), 1, "x.json")]))
    assert isinstance(record.fields, dict)


@given(st.lists(OBJECTS, min_size=1, max_size=3), st.booleans())
def test_columns_and_the_task(sample, need_label):
    names = list(dict.fromkeys(name for fields in sample for name in fields))
    assert find_task(infer_task(names, sample, Columns())[0])[0] in TASKS
    for entry in TASKS.values():
        columns = attempt(
            find_columns, names, sample, entry.columns, Columns(),
            need_label=need_label, label_kind=entry.label_kind,
        )  # fmt: skip
        for fields in sample if columns else ():
            attempt(columns.row, fields)


@given(st.text(st.sampled_from("Ab#- \t\nO1\x85é\0"), max_size=60))
def test_lines_of_words(text):
    lines = [f"{line}\n" for line in text.split("\n")]
    conll.looks_like_conll(lines)
    records = attempt(lambda: list(conll.read(iter(lines), "x", FinetuneConfig())))
    for record in records or []:
        assert record.line > 0
        if not record.error:
            assert record.fields["tokens"] and all(record.fields["tokens"])


@pytest.mark.parametrize("task", ["ner", "qa", "similarity", "text2text"])
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(OBJECTS, min_size=1, max_size=3))
def test_whole_files(tmp_path, task, rows):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    entry, config = TASKS[task], FinetuneConfig()
    attempt(load_rows, str(path), config, config, entry.columns, label_kind=entry.label_kind)
