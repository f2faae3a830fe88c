"""`hfkit convert`: what is written is read again as what it was; what does not fit is counted."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hfkit
from hfkit.cli.app import run as command_line
from hfkit.config import FinetuneConfig
from hfkit.data.dataset import load_rows
from hfkit.data.exports import FORMATS
from hfkit.errors import InputError
from hfkit.registry import TASKS
from hfkit.spans import SCHEMES, lenient_spans

PEOPLE = """-DOCSTART-\tO

Ada\tI-PER
Lund\tI-PER
met\tO
Bo\tI-PER
Li\tB-PER
.\tO

She\tO
lives\tO
in\tO
Bad\tI-LOC
Ems\tI-LOC

-DOCSTART-\tO

Nobody\tO

"""
OF_TEXTS = [name for name in FORMATS["entities"] if name not in ("conll", "tokens")]
SUFFIX = {"label-studio": ".json", "squad": ".json", "parquet": ".parquet", "conll": ".conll"}


def rows_of(path, task="ner", **flags):
    entry = TASKS[task]
    roles = {role.replace("label?", "label"): "" for role in entry.columns}
    config = FinetuneConfig(**flags)
    return load_rows(str(path), config, config, roles, label_kind=entry.label_kind).rows


def name_of(folder, format):
    suffix = SUFFIX.get(format, f".{format}" if format in ("csv", "tsv", "json") else ".jsonl")
    return folder / f"{format}{suffix}"


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.conll"
    path.write_text(PEOPLE, encoding="utf-8")
    return path


@pytest.mark.parametrize("format", FORMATS["entities"])
def test_words_with_tags_there_and_back(people, tmp_path, format):
    there, back = name_of(tmp_path, format), tmp_path / "back.conll"
    done = hfkit.convert(people, to=format, output=there)
    assert (done.rows, done.format, done.losses) == (3, format, {})
    done = hfkit.convert(there, to="conll", scheme="iob1", output=back)
    assert (done.rows, done.losses) == (3, {})
    assert back.read_text(encoding="utf-8") == PEOPLE


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes(people, tmp_path, scheme):
    out = tmp_path / "out.conll"
    hfkit.convert(people, output=out, scheme=scheme)
    tags = [row["label"] for row in rows_of(out)]
    if scheme == "io":
        assert tags[0] == ["PER", "PER", "O", "PER", "PER", "O"]
    else:
        assert [lenient_spans(one) for one in tags] == [
            lenient_spans(row["label"]) for row in rows_of(people)
        ]


LETTERS = st.text(st.sampled_from("ab 中文é\u0301😀👩\u200d🚀,.\u2028\xa0\x85٣"), min_size=1)


@st.composite
def texts_with_entities(draw):
    """Texts with entities that may overlap."""
    text = draw(LETTERS.filter(str.strip))
    places = st.integers(0, len(text) - 1).flatmap(
        lambda start: st.tuples(st.just(start), st.integers(start + 1, len(text)))
    )
    spans = draw(st.lists(st.tuples(places, st.sampled_from(["A", "B c", "地点"])), unique=True))
    label = [{"start": start, "end": end, "label": name} for (start, end), name in spans]
    return {"text": text, "entities": sorted(label, key=lambda one: (one["start"], one["end"]))}


MANY = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    "format", [name for name in FORMATS["entities"] if name not in ("conll", "tokens")]
)
@MANY
@given(found=st.lists(texts_with_entities(), min_size=1, max_size=5))
def test_entities_of_texts_there_and_back(tmp_path, format, found):
    given_, there = tmp_path / "given.jsonl", name_of(tmp_path, format)
    given_.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    assert hfkit.convert(given_, to=format, output=there, task="ner", overwrite=True).losses == {}
    again = rows_of(there)

    def ordered(entities):
        return sorted(tuple(one.values()) for one in entities)

    assert [row["text"] for row in again] == [row["text"] for row in found]
    assert [ordered(row["label"]) for row in again] == [ordered(row["entities"]) for row in found]


@MANY
@given(found=texts_with_entities())
def test_entities_become_tags_of_words(tmp_path, found):
    """No tag is wrong: without a loss, the words of each entity are the text of the entity."""
    given_, there = tmp_path / "given.jsonl", tmp_path / "out.jsonl"
    given_.write_text(json.dumps(found), encoding="utf-8")
    done = hfkit.convert(given_, to="tokens", output=there, task="ner", overwrite=True)
    if done.rows and not done.losses:
        (row,) = map(json.loads, there.read_text(encoding="utf-8").splitlines())
        spans = [row["tokens"][start:end] for start, end, _ in lenient_spans(row["tags"])]
        expected = [found["text"][one["start"] : one["end"]] for one in found["entities"]]
        hidden = str.maketrans("", "", "\u200d\x85")  # no words
        bare = ["".join(text.split()).translate(hidden) for text in expected]
        assert ["".join(words) for words in spans] == bare


def test_what_tags_cannot_hold_is_counted(tmp_path, caplog):
    rows = [
        {"text": "Uni Ulm wartet", "entities": [[0, 7, "ORG"], [4, 7, "LOC"]], "id": 1},
        {"text": "Ulmer Uni", "entities": [[0, 3, "LOC"]], "id": 2},
        {"text": "\u200b", "entities": [], "id": 3},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = hfkit.convert(path, output=tmp_path / "x.conll")
    assert done.rows == 2
    assert done.losses == {
        "entities that overlap a longer one, left out": 1,
        "entities that begin or end within a word and were widened to it": 1,
        "texts without a word, left out": 1,
        "rows with 'id', which CoNLL has no place for": 2,
    }
    assert "texts without a word, left out: 1" in caplog.text
    assert [row["label"] for row in rows_of(tmp_path / "x.conll")] == [
        ["B-ORG", "I-ORG", "O"], ["B-LOC", "O"],
    ]  # fmt: skip


def test_words_with_a_line_end_have_no_line(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = [{"tokens": ["a\nb", "c"], "tags": ["O", "O"]}, {"tokens": ["a b"], "tags": ["O"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = hfkit.convert(path, output=tmp_path / "x.conll")
    assert done.losses == {"sentences with a word that a line cannot hold, left out": 1}
    assert [row["tokens"] for row in rows_of(tmp_path / "x.conll")] == [["a b"]]


def test_prodigy_keeps_its_words(tmp_path):
    text = "Dr. Lund"
    tokens = [{"text": "Dr.", "start": 0, "end": 3}, {"text": "Lund", "start": 4, "end": 8}]
    row = {"text": text, "tokens": tokens, "spans": [{"start": 4, "end": 8, "label": "PER"}]}
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({**row, "answer": "accept"}), encoding="utf-8")
    hfkit.convert(path, output=tmp_path / "x.conll")
    expected = [{"tokens": ["Dr.", "Lund"], "label": ["O", "B-PER"]}]
    assert rows_of(tmp_path / "x.conll") == expected


CONTEXT = "Ada waits in Ulm. Ada sings."
QUESTIONS = [
    {"id": "a", "title": "T", "question": "Who?", "context": CONTEXT,
     "answers": {"text": ["Ada", "Ada"], "answer_start": [0, 18]}},
    {"id": "b", "title": "T", "question": "Where, \"please\"?", "context": CONTEXT,
     "answers": {"text": ["Ulm"], "answer_start": [13]}},
    {"id": "c", "title": "T", "question": "Why?", "context": "So\nit is.",
     "answers": {"text": [], "answer_start": []}},
]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS["answers"])
def test_answers_there_and_back(tmp_path, format):
    given_, there, back = (
        tmp_path / "given.json",
        name_of(tmp_path, format),
        tmp_path / "back.jsonl",
    )
    given_.write_text(json.dumps(QUESTIONS), encoding="utf-8")
    done = hfkit.convert(given_, to=format, output=there)
    flat = format in ("csv", "tsv")
    assert done.losses == ({"answers beyond the first one of a question": 1} if flat else {})
    assert hfkit.convert(there, output=back).losses == {}
    expected = json.loads(json.dumps(QUESTIONS))
    if flat:
        expected[0]["answers"] = {"text": ["Ada"], "answer_start": [0]}
    assert [json.loads(line) for line in back.read_text(encoding="utf-8").splitlines()] == expected


def test_squad_keeps_articles_and_paragraphs(tmp_path):
    given_, there = tmp_path / "given.json", tmp_path / "squad.json"
    given_.write_text(json.dumps(QUESTIONS), encoding="utf-8")
    assert hfkit.convert(given_, output=there).format == "squad"
    (article,) = json.loads(there.read_text(encoding="utf-8"))["data"]
    assert [len(paragraph["qas"]) for paragraph in article["paragraphs"]] == [2, 1]
    assert article["paragraphs"][1]["qas"][0]["is_impossible"] is True


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")).filter(
    lambda text: text == text.strip("\ufeff")
)


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "json", "parquet"])
@MANY
@given(rows=st.lists(st.fixed_dictionaries({"text": CELL, "label": CELL}), min_size=1))
def test_tables_stay_what_they_are(tmp_path, format, rows):
    from hfkit.data.source import read

    given_, there = tmp_path / "given.jsonl", name_of(tmp_path, format)
    given_.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    hfkit.convert(given_, to=format, output=there, overwrite=True)
    assert [record.fields for record in read(str(there), FinetuneConfig())] == rows


def test_null_in_a_table_is_counted(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a", "label": null}\n{"text": "b", "label": [1]}\n', encoding="utf-8")
    done = hfkit.convert(path, output=tmp_path / "x.csv")
    assert done.losses == {"values that are null, written as empty cells": 1}
    rows = list(csv.reader(io.StringIO((tmp_path / "x.csv").read_text(encoding="utf-8"))))
    assert rows == [["text", "label"], ["a", ""], ["b", "[1]"]]


PLAIN = '{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("text", "settings_", "says"),
    [
        (PLAIN, {"to": "conll"}, "conll does not hold such rows, which are a table"),
        (PLAIN, {"output": "x.doc"}, "the name x.doc stands for no format"),
        (PLAIN, {}, "--to: no format; one of jsonl, json, csv"),
        (PLAIN, {"to": "conl"}, "did you mean 'conll'"),
        ('{"text": "a", "label": "x"}\n{"text": "a", "more": 1}\n', {"to": "csv"},
         "x.jsonl:2: the first row has no field 'more'; convert to jsonl"),
        ('{"text": "a", "entities": [[0, 1, "X"]]}\n{"text": "a", "entities": [[0, 2, "X"]]}\n',
         {"to": "conll"}, "x.jsonl:2: entity 1 ends at 2, the text has 1 character"),
        ('{"tokens": ["a"], "tags": ["Q-X"]}\n{"tokens": ["a"], "tags": ["B-X"]}\n',
         {"to": "spacy"}, 'x.jsonl:1: tag "Q-X"'),
    ],
)  # fmt: skip
def test_what_cannot_be_converted(tmp_path, text, settings_, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        hfkit.convert("x.jsonl", **settings_)
    assert {path.name for path in tmp_path.iterdir()} == {"x.jsonl"}


def test_the_command_line(people, tmp_path, capfd):
    assert command_line(["convert", str(people), "--to", "spacy"]) == 0
    stdout, stderr = capfd.readouterr()
    assert [json.loads(line)["text"] for line in stdout.splitlines()][1] == "She lives in Bad Ems"
    assert "hfkit: note: standard output: 3 rows written as spacy" in stderr
    out = tmp_path / "out.csv"
    assert command_line(["convert", str(people), "-o", str(out)]) == 0
    assert command_line(["convert", str(people), "-o", str(out)]) == 2
    assert "the file exists; use --overwrite" in capfd.readouterr().err


def test_it_is_light(people, tmp_path):
    program = (
        "import sys\nfrom hfkit.cli.app import run\n"
        f"code = run(['convert', {str(people)!r}, '-o', {str(tmp_path / 'x.jsonl')!r}])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{heavy} {code}' if heavy or code else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_large_files_are_not_held(tmp_path):
    """Rows pass one at a time: the first lines are written before the last one is read."""
    from hfkit.commands.convert import _items
    from hfkit.config import ConvertConfig
    from hfkit.data.dataset import peek

    path = tmp_path / "x.conll"
    path.write_text("Ada\tB-PER\n\n" * 1000, encoding="utf-8")
    config = ConvertConfig(input=str(path))
    items = _items(config, peek(str(path), config), "entities")
    assert all(a.row + 1 == b.row for (a, _), (b, _) in pairwise(items))
