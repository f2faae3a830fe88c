"""Entities of all tools become one form, and offsets that do not match are told."""

from __future__ import annotations

import json
from random import Random

import pytest

from hfkit.config import FinetuneConfig
from hfkit.data.dataset import load_rows
from hfkit.data.entities import EntityReader, shape_of
from hfkit.data.labels import LabelNames, LabelReader
from hfkit.errors import InputError
from hfkit.registry import TASKS

TEXT = "Ada Lund waits in Bad Ems."
PER = {"start": 0, "end": 8, "label": "PER"}
LOC = {"start": 18, "end": 25, "label": "LOC"}


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ([[18, 25, "LOC"], [0, 8, "PER"]], "triples"),
        ('[[18, 25, "LOC"], [0, 8, "PER"]]', "triples"),
        ([PER, LOC], "objects"),
        ([{"start_offset": 18, "end_offset": 25, "label": "LOC", "id": 3}, PER], "objects"),
        ([{**LOC, "text": "Bad Ems", "token_start": 4}, PER], "objects"),
        ([{"start": 18.0, "end": 25.0, "entity_group": "LOC"}, PER], "objects"),
        ([{"start": 0, "end": 8, "labels": ["PER"]}, {"start": 18, "end": 25, "labels": ["LOC"]}],
         "lists"),
        ({"LOC": {"Bad Ems": [[18, 24]]}, "PER": {"Ada Lund": [[0, 7]]}}, "surfaces"),
        ({"LOC": {"Bad Ems": [[18, 24]], "Ulm": None}, "PER": {"Ada Lund": [[0, 7]]}, "ORG": None},
         "surfaces"),
    ],
)  # fmt: skip
def test_every_way_to_write_entities(cell, shape):
    assert shape_of(cell) == shape
    assert EntityReader().read(cell, TEXT, None) == [PER, LOC]


@pytest.mark.parametrize("cell", [[], {}, "[]", {"PER": None}])
def test_no_entities(cell):
    assert EntityReader().read(cell, TEXT, None) == []


def test_tags_are_not_altered():
    tags = ["B-a b", " I-x", "O", "whatever"]
    assert EntityReader().read(tags, None, list("abcd")) == tags
    assert EntityReader().read(json.dumps(tags), None, list("abcd")) == tags


def test_numbers_of_tags_have_names():
    names = LabelReader(LabelNames(("O", "B-PER", "I-PER")))
    reader = EntityReader(names)
    names.learn_numbers(reader.numbers([[0, 1], [2, 0]]))
    assert reader.read([1, 2, 0], None, list("abc")) == ["B-PER", "I-PER", "O"]
    with pytest.raises(InputError, match="label 7 has no name"):
        reader.read([7], None, ["a"])


def test_several_labels_at_one_place_and_the_same_twice():
    reader = EntityReader()
    cell = [
        {"start": 0, "end": 8, "labels": ["PER", "VIP"]},
        {"start": 0, "end": 8, "labels": ["PER"]},
    ]
    assert reader.read(cell, TEXT, None) == [PER, {**PER, "label": "VIP"}]
    assert reader.twice == 1


def test_overlapping_spans_are_kept():
    cell = [[0, 8, "PER"], [0, 3, "NAME"], [4, 14, "X"]]
    found = EntityReader().read(cell, TEXT, None)
    assert [(one["start"], one["end"]) for one in found] == [(0, 3), (0, 8), (4, 14)]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (None, "the entities are missing"),
        ("nothing", "these are no entities: 'nothing'"),
        ([[0, 8, "PER"], [8, 8, "X"]], "entity 2 has the start 8 and the end 8"),
        ([[-1, 3, "PER"]], "entity 1 has the start -1"),
        ([[0, 99, "PER"]], "entity 1 ends at 99, the text has 26 characters"),
        ([[0, 8, ""]], "entity 1 has no label, but ''"),
        ([[0, 8, None]], "entity 1 has no label, but null"),
        ([[0, 8, "PER"], [0, 8]], "entity 2: expected start, end and label, got a list"),
        ([[0.5, 8, "PER"]], "entity 1 has the start 0.5, not a whole number"),
        ([[True, 8, "PER"]], "has the start true or false, not a whole number"),
        ([PER, "Ada"], "entity 2: expected an object, got text"),
        ([PER, {"start": 1, "label": "X"}], "entity 2 has no end"),
        ([{**PER, "text": "Ada"}], r"\(0 to 8\) is 'Ada Lund' in the text, 'Ada' in the label"),
        ([{**PER, "end": 7, "text": "Ada Lund"}], "the end seems to be included"),
        ({"PER": {"Ada": [[0, 7]]}}, "'Ada Lund' in the text, 'Ada' in the label"),
        ({"PER": {"Ada": [0, 7]}}, "'Ada': expected start and end, got 0"),
        (["B-PER", "O"], "there are tags and no words"),
    ],
)
def test_entities_that_do_not_match(cell, says):
    with pytest.raises(InputError, match=says):
        EntityReader().read(cell, TEXT, None)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (["O"], "1 tag for 2 words"),
        ([], "no tags for 2 words"),
        ([PER], "expected a tag for each word, got objects with start, end and label"),
        (["O", ""], "tag 2 is empty"),
        (["O", None], "tag 2 is null"),
        ([0, 1], "the tags are numbers"),
    ],
)
def test_tags_that_do_not_match(cell, says):
    with pytest.raises(InputError, match=says):
        EntityReader().read(cell, None, ["Ada", "waits"])


def test_one_way_holds_for_all_rows():
    reader = EntityReader()
    reader.read([], TEXT, None)
    reader.read([PER], TEXT, None)
    with pytest.raises(InputError, match="lists of start, end and label here, objects with start"):
        reader.read([[0, 8, "PER"]], TEXT, None)


def units(text):
    """Offset in characters -> offset in UTF-16 units, by encoding."""
    return [len(text[:place].encode("utf-16-le")) // 2 for place in range(len(text) + 1)]


def test_offsets_in_utf_16_units_against_an_encoder():
    chance = Random(3)
    for _ in range(1000):
        text = "".join(chance.choice("ab 中e\u0301😀👨‍👩‍👧𝒳") for _ in range(chance.randint(1, 12)))
        start = chance.randrange(len(text))
        end = chance.randint(start + 1, len(text))
        place = units(text)
        value = {"start": place[start], "end": place[end], "labels": ["X"]}
        if chance.random() < 0.5:
            value["text"] = text[start:end]
        (found,) = EntityReader().read([value], text, None)
        assert (found["start"], found["end"]) == (start, end)


def test_characters_where_the_text_shows_that_they_are_meant(caplog):
    text = "😀 Ada waits for Ada"
    (found,) = EntityReader().read(
        [{"start": 2, "end": 5, "labels": ["P"], "text": "Ada"}], text, None
    )
    assert (found["start"], found["end"]) == (2, 5)


def loaded(tmp_path, text, name="x.jsonl", **flags):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    config = FinetuneConfig(**flags)
    roles = {role.replace("label?", "label"): "" for role in TASKS["ner"].columns}
    return load_rows(str(path), config, config, roles, label_kind="entities")


def test_prodigy(tmp_path, caplog):
    caplog.set_level("INFO")
    rows = [
        {"text": TEXT, "tokens": [{"text": "Ada", "start": 0, "end": 3, "id": 0}],
         "spans": [PER], "answer": "accept"},
        {"text": "no", "spans": [], "answer": "reject"},
        {"text": "so so", "spans": [], "answer": "ignore"},
        {"text": "nobody", "tokens": [], "spans": [], "answer": "accept"},
    ]  # fmt: skip
    data = loaded(tmp_path, "".join(json.dumps(row) + "\n" for row in rows))
    assert data.rows == [{"text": TEXT, "label": [PER]}, {"text": "nobody", "label": []}]
    assert "rows with the answer 'reject' skipped: 1" in caplog.text
    assert data.place(1).endswith(":4")


def task(text, *values, **more):
    result = [{"type": "labels", "from_name": "x", "value": value} for value in values]
    return {
        "data": {"text": text},
        "annotations": [{"was_cancelled": False, "result": result}],
        **more,
    }


def test_label_studio(tmp_path, caplog):
    caplog.set_level("INFO")
    value = {"start": 3, "end": 6, "text": "Ada", "labels": ["PER"]}
    cancelled = {"was_cancelled": True, "result": []}
    tasks = [
        task("😀 Ada waits", value, id=7),
        {**task("Ada"), "annotations": [cancelled]},
        {"data": {"text": "Ulm"}, "annotations": []},
        task("nobody"),
    ]
    tasks[0]["annotations"] = [cancelled, *tasks[0]["annotations"], {"result": []}]
    tasks[3]["annotations"][0]["result"] += [
        {"type": "choices", "value": {"choices": ["x"]}},
        {"type": "relation", "from_id": "a", "to_id": "b"},
    ]
    data = loaded(tmp_path, json.dumps(tasks), "x.json")
    found = [{"start": 2, "end": 5, "label": "PER"}]
    assert data.rows == [{"text": "😀 Ada waits", "label": found}, {"text": "nobody", "label": []}]
    assert "rows without an annotation skipped: 2" in caplog.text
    assert "tasks with several annotations, of which the first counts: 1" in caplog.text
    assert "offsets count UTF-16 units in 1 texts" in caplog.text


def test_label_studio_in_its_short_form(tmp_path):
    row = {"text": "Ada waits", "label": [{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]}
    data = loaded(tmp_path, json.dumps([{**row, "id": 1, "annotator": 1}]), "x.json")
    assert data.rows == [{"text": "Ada waits", "label": [{"start": 0, "end": 3, "label": "PER"}]}]


def test_names_of_the_hub_and_of_a_file(tmp_path):
    import datasets

    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")),
        pos_tags=datasets.List(datasets.Value("int64")),
        ner_tags=datasets.List(datasets.ClassLabel(names=["O", "B-PER"])),
    )
    rows = {"tokens": [["Ada", "waits"]], "pos_tags": [[3, 4]], "ner_tags": [[1, 0]]}
    path = tmp_path / "x.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(path))
    config = FinetuneConfig()
    roles = {role.replace("label?", "label"): "" for role in TASKS["ner"].columns}
    data = load_rows(str(path), config, config, roles, label_kind="entities")
    assert data.rows == [{"tokens": ["Ada", "waits"], "label": ["B-PER", "O"]}]
    names = tmp_path / "names.txt"
    names.write_text("O\nB-PER\n", encoding="utf-8")
    line = json.dumps({"tokens": ["Ada", "waits"], "ner_tags": [1, 0]})
    assert loaded(tmp_path, line, label_names=str(names)).rows == data.rows


def test_the_place_of_a_row_that_does_not_match(tmp_path):
    lines = [
        {"text": "Ada", "entities": [[0, 3, "PER"]]},
        {"text": "Ada", "entities": [[0, 4, "PER"]]},
    ]
    with pytest.raises(
        InputError, match=r"x.jsonl:2: entity 1 ends at 4, the text has 3 characters"
    ):
        loaded(tmp_path, "".join(json.dumps(line) + "\n" for line in lines))
