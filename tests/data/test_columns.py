"""Which column is what."""

from __future__ import annotations

import json

import pytest

from hfkit.config import Columns
from hfkit.data.columns import ColumnMap, find_columns
from hfkit.errors import InputError
from hfkit.registry import TASKS

ROLES = TASKS["classification"].columns


def found(rows, need_label=True, known=None, **flags):
    names = list(rows[0])
    columns = find_columns(names, rows, ROLES, Columns(**flags), known, need_label=need_label)
    return columns.to_dict()


def one(*names, **flags):
    return found([{name: f"some text {name}" for name in names}], **flags)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("text label", {"text": "text", "label": "label"}),
        ("sentence label idx", {"text": "sentence", "label": "label"}),
        ("label text_a", {"text": "text_a", "label": "label"}),
        ("Review-Body Class", {"text": "Review-Body", "label": "Class"}),
        ("内容 标签", {"text": "内容", "label": "标签"}),
        ("idx sentence1 sentence2 label", "sentence1 sentence2 label"),
        ("premise hypothesis label", "premise hypothesis label"),
        ("question sentence label", "question sentence label"),
        ("question1 question2 label", "question1 question2 label"),
        ("text_a text_b label", "text_a text_b label"),
        (
            "pair_ID sentence_A sentence_B relatedness_score",
            "sentence_A sentence_B relatedness_score",
        ),
        ("text intent", {"text": "text", "label": "intent"}),
    ],
)
def test_names(names, expected):
    if isinstance(expected, str):
        expected = dict(zip(("text", "text_pair", "label"), expected.split(), strict=True))
    assert one(*names.split()) == expected


def test_what_columns_hold():
    rows = [{"column1": "a good film", "column2": "1"}, {"column1": "a bad film", "column2": "0"}]
    assert found(rows) == {"text": "column1", "label": "column2"}


def test_label_text_wins_where_it_names_label_one_to_one():
    rows = [
        {"text": "a", "label": 0, "label_text": "neg"},
        {"text": "b", "label": 1, "label_text": "pos"},
    ]
    assert found(rows)["label"] == "label_text"
    assert found([*rows, {"text": "c", "label": 2, "label_text": "pos"}])["label"] == "label"


def test_prediction_needs_no_label_and_does_not_ask_for_one():
    assert one("text", "intent", "emotion", need_label=False) == {"text": "text"}
    assert one("utterance", need_label=False) == {"text": "utterance"}


def test_flags_come_first():
    expected = {"text": "body", "text_pair": "title", "label": "text"}
    flags = {"text_column": "body", "text_pair_column": "title", "label_column": "text"}
    assert one("text", "label", "body", "title", **flags) == expected


def test_a_saved_map_comes_before_a_guess_and_behind_a_flag():
    names = ("headline", "text", "label")
    assert one(*names, known={"text": "headline"})["text"] == "headline"
    assert one(*names, known={"text": "headline"}, text_column="text")["text"] == "text"
    assert one("text", "label", known={"text": "headline"})["text"] == "text"


@pytest.mark.parametrize(
    ("names", "flags", "says"),
    [
        ("text review label", {}, "several columns could be the text: 'text', 'review'; choose"),
        ("text intent emotion", {}, "several columns could be the label: 'intent', 'emotion'"),
        ("sentence1 sentence2 premise hypothesis label", {}, "several columns could be the text"),
        ("text a b", {}, "no column for the label; the columns are 'text', 'a', 'b'"),
        ("text label", {"text_column": "txt"}, "--text-column: no column 'txt'; .*mean 'text'"),
        ("text,label", {}, "set --delimiter"),
        ("text label", {"label_column": "label,other"}, "no column 'other'"),
    ],
)
def test_nothing_is_guessed_between_two(names, flags, says):
    with pytest.raises(InputError, match=says):
        one(*names.split(), **flags)


def test_only_guesses_are_told(caplog):
    caplog.set_level("INFO")
    one("sentence", "label", label_column="label")
    assert caplog.messages == [
        "column 'sentence' is the text (its name); override with --text-column"
    ]


def test_a_row_holds_the_roles():
    columns = ColumnMap.from_dict({"text": "sentence", "label": "y"})
    assert columns.row({"sentence": "a", "y": 3, "z": 0}) == {"text": "a", "label": 3}
    assert ColumnMap.from_dict(json.loads(json.dumps(columns.to_dict()))) == columns


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": None}, "column 'text': expected text, got null"),
        ({"text": 5}, "expected text, got a number"),
        ({"text": " \n"}, "the text is empty"),
        ({}, "no column 'text'"),
    ],
)
def test_a_row_needs_a_text(fields, says):
    with pytest.raises(InputError, match=says):
        ColumnMap({"text": "text"}).row(fields)


def test_several_columns_of_switches_are_several_labels():
    rows = [{"text": "a b", "toxic": "1", "rude": 0}, {"text": "c d", "toxic": 0.0, "rude": True}]
    columns = find_columns(list(rows[0]), rows, ROLES, Columns(label_column="toxic, rude"))
    assert columns.to_dict()["label"] == ["toxic", "rude"]
    assert [columns.row(fields)["label"] for fields in rows] == [["toxic"], ["rude"]]
    with pytest.raises(InputError, match=r"'rude': expected 0 or 1, got null"):
        columns.row({"text": "a", "toxic": 1, "rude": None})


def test_a_named_column_that_the_task_does_not_read_is_said(caplog) -> None:
    roles = {"text": "", "label?": ""}
    chosen = Columns(text_column="a", text_pair_column="b")
    with caplog.at_level("WARNING"):
        find_columns(["a", "b"], [{"a": "one", "b": "two"}], roles, chosen, need_label=False)
    assert caplog.messages == ["--text-pair-column: this task reads 'text' alone"]
