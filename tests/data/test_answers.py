"""Answers stand where they are said to stand, or are searched, or refused; SQuAD's nested JSON."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.config import FinetuneConfig
from hfkit.data.answers import AnswerReader, nearest
from hfkit.data.dataset import load_rows
from hfkit.data.source import read
from hfkit.errors import InputError
from hfkit.registry import TASKS

CONTEXT = "Ada waits in Ulm. Ada sings in Ulm."
ADA, SECOND = {"text": "Ada", "start": 0}, {"text": "Ada", "start": 18}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ({"text": ["Ada", "Ada"], "answer_start": [0, 18]}, [ADA, SECOND]),
        ({"text": "Ada", "answer_start": 18}, [SECOND]),
        ({"text": ["Ada"], "start": [18]}, [SECOND]),
        ([{"text": "Ada", "answer_start": 18}], [SECOND]),
        ([{"text": "Ada", "start": 18.0}, {"text": "Ada", "start": "0"}], [SECOND, ADA]),
        ('{"text": ["Ada"], "answer_start": [18]}', [SECOND]),
        ("Ada", [ADA]),
        (["Ada"], [ADA]),
        ({"text": "Ada", "answer_start": None}, [ADA]),
        ({"text": "Ada", "answer_start": ""}, [ADA]),
        *((nothing, []) for nothing in (None, "", "  ", [], {"text": [], "answer_start": []})),
        ({"text": None, "answer_start": None}, []),
        ({"text": "", "answer_start": -1}, []),
        ([{"text": "", "answer_start": 0}], []),
    ],
)
def test_every_way_to_write_answers(cell, expected):
    assert AnswerReader().read(cell, CONTEXT) == expected


@pytest.mark.parametrize(
    ("start", "place"), [(0, 0), (1, 0), (-1, 0), (17, 18), (19, 18), (999, 18), (9, 0), (10, 18)]
)
def test_a_wrong_offset_leads_to_the_nearest_place(start, place):
    reader = AnswerReader()
    cell = [{"text": "Ada", "answer_start": start}]
    assert reader.read(cell, CONTEXT) == [{"text": "Ada", "start": place}]
    assert reader.moved == (start != place)


def test_nearest_against_a_search_of_all_places():
    chance = Random(5)
    for _ in range(2000):
        context = "".join(chance.choices("ab", k=chance.randint(0, 20)))
        text = "".join(chance.choices("ab", k=chance.randint(1, 3)))
        start = chance.randint(-3, 23)
        places = [n for n in range(len(context)) if context.startswith(text, n)]
        inside = min(max(start, 0), len(context))
        expected = min(places, key=lambda place: (abs(place - inside), place), default=None)
        assert nearest(context, text, start) == expected


def test_an_answer_that_is_not_there_is_for_scoring_alone(caplog):
    reader = AnswerReader()
    cell = {"text": ["Bonn", "Ada"], "answer_start": [-1, 0]}
    assert reader.read(cell, CONTEXT) == [ADA, {"text": "Bonn", "start": -1}]
    reader.tell("x.json")
    assert "do not stand in their context, kept for scoring alone: 1 (1 questions" in caplog.text
    with pytest.raises(InputError, match="the answer 'Bonn' does not stand in the context"):
        reader.read([{"text": "Bonn", "answer_start": 3}], CONTEXT)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (5, "expected answers, got a number"),
        ([5], "answer 1: expected text, got a number"),
        ([""], "answer 1: expected text, got an empty text"),
        ([{"start": 5}], "answer 1 has no 'text'"),
        ({"start": [5]}, "the answers have no 'text'"),
        ({"text": ["Ada"], "answer_start": [0, 1]}, "1 answers, and for their starts 2"),
        ({"text": ["Ada"], "answer_start": 0}, "1 answers, and for their starts a number"),
        ({"text": 5}, "expected answers, got a number"),
        ([{"text": "Ada", "answer_start": "x"}], "a whole number as its start, got 'x'"),
        ([{"text": "Ada", "answer_start": 0.5}], "a whole number as its start, got a number"),
        ([{"text": "Ada", "answer_start": True}], "as its start, got true or false"),
    ],
)
def test_what_is_no_answer(cell, says):
    with pytest.raises(InputError, match=says):
        AnswerReader().read(cell, CONTEXT)


@given(st.text(), st.text(min_size=1).filter(str.strip), st.text(), st.integers(-5, 5))
def test_an_answer_always_stands_in_its_context(before, text, after, off):
    context = before + text + after
    cell = [{"text": text, "answer_start": len(before) + off}]
    (found,) = AnswerReader().read(cell, context)
    assert context[found["start"] :].startswith(text) and found["text"] == text


def loaded(path, **flags):
    config = FinetuneConfig(**flags)
    roles = {role.replace("label?", "label"): "" for role in TASKS["qa"].columns}
    return load_rows(str(path), config, config, roles, label_kind="answers")


def squad(*questions, **more):
    return {
        "version": "1.1",
        "data": [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}],
        **more,
    }


def test_squad_is_read_question_by_question(tmp_path):
    path = tmp_path / "train.json"
    one = {"id": "a", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]}
    two = {**one, "id": "b", "is_impossible": True, "plausible_answers": one["answers"]}
    three = {"id": "c", "question": "Where?", "answers": [], "is_impossible": False}
    value = squad(one, two, three)
    value["data"].append({"title": "T", "paragraphs": [{"context": "Ulm", "id": 3, "qas": [one]}]})
    value["data"][1]["paragraphs"].append({"context": "nothing asked", "qas": []})
    value["data"][1]["paragraphs"][0]["qas"][0] = {"question": "Who?", "answers": []}
    for written in (value, value["data"]):
        path.write_text(json.dumps(written), encoding="utf-8")
        records = list(read(str(path), FinetuneConfig()))
        assert [list(record.fields) for record in records[2:]] == [
            ["id", "question", "context", "answers"],
            ["title", "question", "context", "answers"],
        ]
        assert [record.row for record in records] == [1, 2, 3, 4]
        answers = [row["label"] for row in loaded(path).rows]
        assert answers == [[ADA], [], [], []]


def test_a_test_set_has_no_answers(tmp_path):
    path = tmp_path / "test.json"
    path.write_text(json.dumps(squad({"id": "a", "question": "Who?"})), encoding="utf-8")
    (record,) = read(str(path), FinetuneConfig())
    assert "answers" not in record.fields
    with pytest.raises(InputError, match="no column for the answers; the columns are 'id'"):
        loaded(path)


def test_other_json_with_data_in_it_is_a_table(tmp_path):
    path = tmp_path / "flat.json"
    row = {
        "question": "Who?",
        "context": CONTEXT,
        "answers": {"text": ["Ada"], "answer_start": [0]},
    }
    path.write_text(json.dumps({"version": "x", "data": [row]}), encoding="utf-8")
    assert loaded(path).rows == [{"question": "Who?", "context": CONTEXT, "label": [ADA]}]


@pytest.mark.parametrize(
    "header", ["question,context,answer,answer_start", "Query,Passage,Answer Text,start"]
)
def test_flat_files(tmp_path, header, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "flat.csv"
    path.write_text(f"{header}\nWho?,Ada waits,Ada,1\nWhen?,Ada waits,,\n", encoding="utf-8")
    data = loaded(path)
    assert [row["label"] for row in data.rows] == [[ADA], []]
    assert data.columns.to_dict()["label"] == header.split(",")[2:]
    assert "answers that were not at their offset and were found by searching: 1" in caplog.text
    again = loaded(path, label_column=",".join(header.split(",")[2:]))
    assert again.rows == data.rows


def test_an_answer_without_a_place(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "flat.csv"
    path.write_text("question,context,answer\nWho?,Ada waits,Ada\n", encoding="utf-8")
    assert loaded(path).rows[0]["label"] == [ADA]
    assert "answers without an offset, taken where they stand first: 1" in caplog.text


def test_an_empty_question_is_told(tmp_path, caplog):
    path = tmp_path / "train.json"
    one = {"id": "a", "question": "", "answers": [{"text": "Ada", "answer_start": 0}]}
    path.write_text(json.dumps(squad(one)), encoding="utf-8")
    assert loaded(path).rows[0]["question"] == ""
    assert "rows with an empty question: 1" in caplog.text
