"""What is written can be read again, by anyone's reader, and says the same."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.data.record import Record
from hfkit.data.writer import MOST_HELD, Naming, make_writer, quoted, to_json
from hfkit.errors import InputError

POS = {"label": "pos", "score": 0.93482137894}
SEVERAL = {"labels": ["a", "b"], "scores": {"a": 0.9, "b": 0.80000000004}}
ALL = {"label": "a", "score": 0.75, "scores": {"a": 0.75, "b": 0.25}}


def record(row=1, **fields):
    return Record(fields, row, "in.csv", row + 1)


def written(format, results, naming=None, **options):
    writer = make_writer(format, naming or Naming(), **options)
    return "".join(writer.text([result]) for result in results) + writer.end()


def table(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


def test_json_lines_keep_the_fields_in_order_and_nest_the_answer():
    text = written("jsonl", [(record(id=7, text="né\u2028x", empty=None), POS, "")])
    assert text.endswith("\n") and text.count("\n") == 1
    assert "né" in text
    found = json.loads(text)
    assert list(found) == ["id", "text", "empty", "prediction"]
    assert found["prediction"] == {"label": "pos", "score": 0.934821379}


def test_a_bad_row_has_its_number_and_the_reason_beside_what_could_be_read():
    text = written("jsonl", [(record(row=8, id=3), None, "the text is empty")])
    assert json.loads(text) == {"id": 3, "row": 8, "error": "the text is empty"}


def test_numbers_of_the_input_are_not_rounded_and_nan_becomes_null():
    found = json.loads(written("jsonl", [(record(x=0.123456789123, y=math.nan), POS, "")]))
    assert found["x"] == 0.123456789123 and found["y"] is None


def test_what_json_does_not_know_is_written_as_text():
    from datetime import date

    assert json.loads(to_json({"day": date(2020, 1, 2)})) == {"day": "2020-01-02"}


def test_a_lone_surrogate_survives_json():
    text = to_json({"text": "a\udc80"})
    text.encode("utf-8")
    assert json.loads(text) == {"text": "a\udc80"}


def test_csv_has_one_header_and_columns_for_bad_rows():
    results = [(record(id="1", text="a"), POS, ""), (record(row=2, id="2"), None, "2 fields")]
    text = written("csv", results)
    assert text.splitlines()[0] == (
        "id,text,prediction.label,prediction.score,prediction.truncated,row,error"
    )
    first, second = table(text)
    assert first["prediction.label"] == "pos" and first["prediction.score"] == "0.934821379"
    assert first["row"] == first["error"] == first["prediction.truncated"] == ""
    assert second == {
        "id": "2", "text": "", "prediction.label": "", "prediction.score": "",
        "prediction.truncated": "", "row": "2", "error": "2 fields",
    }  # fmt: skip


def test_a_cut_text_says_so_in_csv():
    rows = table(
        written(
            "csv", [(record(text="a"), POS, ""), (record(text="b"), {**POS, "truncated": True}, "")]
        )
    )
    assert [row["prediction.truncated"] for row in rows] == ["", "true"]


def test_bad_rows_at_the_head_wait_for_the_columns_and_keep_their_order():
    writer = make_writer("csv", Naming())
    assert writer.text([(record(row=1), None, "bad"), (record(row=2), None, "bad")]) == ""
    rows = table(writer.text([(record(row=3, text="a"), POS, "")]) + writer.end())
    assert [row["row"] for row in rows] == ["1", "2", ""]
    assert rows[2]["text"] == "a"


def test_an_input_without_a_good_row_is_still_written_row_by_row():
    text = written("csv", [(record(row=1, text="a"), None, "x"), (record(row=2), None, "y")])
    assert [row["error"] for row in table(text)] == ["x", "y"]
    assert [row["text"] for row in table(text)] == ["a", ""]


def test_bad_rows_do_not_wait_forever():
    writer = make_writer("csv", Naming())
    with pytest.raises(InputError, match="none of the first"):
        writer.text([(record(row=row), None, "bad") for row in range(MOST_HELD + 1)])


def test_several_labels_are_joined_with_their_scores():
    row = table(written("csv", [(record(text="x"), SEVERAL, "")]))[0]
    assert row["prediction.labels"] == "a|b" and row["prediction.scores"] == "0.9|0.8"
    row = table(written("csv", [(record(text="x"), SEVERAL, "")], separator=";"))[0]
    assert row["prediction.labels"] == "a;b"


def test_a_label_that_holds_the_separator_is_refused():
    answer = {"labels": ["a|b"], "scores": {"a|b": 0.9}}
    with pytest.raises(InputError, match="--label-delimiter"):
        written("csv", [(record(text="x"), answer, "")])


@pytest.mark.parametrize("answer", [ALL, SEVERAL])
def test_all_scores_have_columns_of_their_own(answer):
    row = table(written("csv", [(record(text="x"), answer, "")], spread=True))[0]
    assert float(row["prediction.scores.a"]) == pytest.approx(answer["scores"]["a"], rel=1e-5)
    assert float(row["prediction.scores.b"]) == pytest.approx(answer["scores"]["b"], rel=1e-5)


def test_a_field_that_the_header_does_not_have_is_an_error_not_a_loss():
    text = written("csv", [(record(text="x"), POS, ""), (record(row=2, extra="y"), POS, "")])
    good, bad = table(text)
    assert (good["error"], bad["row"]) == ("", "2")
    assert bad["error"] == 'field "extra" is not in the first row; use --format jsonl'


def test_tsv_is_separated_by_tabs():
    text = written("tsv", [(record(text="a\tb"), POS, "")])
    assert table(text, "\t")[0]["text"] == "a\tb"


def test_only_prediction_leaves_the_input_out():
    naming = Naming(only_prediction=True)
    assert list(json.loads(written("jsonl", [(record(text="x"), POS, "")], naming))) == [
        "prediction"
    ]
    assert "text" not in written("csv", [(record(text="x"), POS, "")], naming)


def test_the_prefix_is_in_front_of_every_name():
    naming = Naming(prefix="hf_")
    results = [(record(prediction="mine"), POS, ""), (record(row=2), None, "bad")]
    first, second = map(json.loads, written("jsonl", results, naming).splitlines())
    assert list(first) == ["prediction", "hf_prediction"]
    assert list(second) == ["hf_row", "hf_error"]
    assert "hf_prediction.label" in written("csv", results, naming)


@pytest.mark.parametrize("name", ["prediction", "row", "error", "prediction.label"])
def test_a_field_in_the_way_is_refused_with_the_way_out(name):
    with pytest.raises(InputError) as caught:
        Naming().check(Record({name: "x"}, 1, "in.csv", 2))
    assert caught.value.place == "in.csv:2" and "--prefix" in caught.value.hint
    Naming(prefix="hf_").check(Record({name: "x"}, 1))
    Naming(only_prediction=True).check(Record({name: "x"}, 1))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_any_text_survives_csv(cells):
    line = ",".join(quoted(cell) for cell in cells)
    if line == "":
        return
    assert next(csv.reader(io.StringIO(line + "\n", newline=""), strict=True)) == cells


@given(st.dictionaries(st.text(min_size=1, alphabet="abc"), st.text(), min_size=1, max_size=3))
def test_every_result_is_one_line_of_json(fields):
    text = written("jsonl", [(Record(fields, 1), POS, "")])
    text.encode("utf-8")
    assert text.count("\n") == 1
    assert json.loads(text) == {**fields, "prediction": {"label": "pos", "score": 0.934821379}}


def test_a_table_spells_control_characters():
    text = written("table", [(record(text="a\x1b[31m\nb\u202e"), POS, "")])
    assert text.count("\n") == 1 and "\x1b" not in text and "\u202e" not in text
    assert text.startswith("pos  0.93")


def test_a_single_text_shows_bars_for_the_best_classes():
    lines = written("table", [(record(text="x"), ALL, "")], single=True).splitlines()
    assert [line.split()[:2] for line in lines] == [["a", "0.75"], ["b", "0.25"]]
    assert lines[0].count("█") == 15 and lines[1].count("█") == 5


def test_a_single_text_with_several_labels_marks_the_chosen():
    answer = {"labels": ["b"], "scores": {"a": 0.1, "b": 0.9}}
    lines = written("table", [(record(text="x"), answer, "")], single=True).splitlines()
    assert lines[0].startswith("* b") and lines[1].startswith("  a")


def test_a_number_is_shown_as_one():
    assert written("table", [(record(text="x"), {"value": 3.81234}, "")], single=True) == "3.812\n"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"score": 3.8123}, "3.81\n"),
        ({"score": 0.914, "same": True}, "0.91  same\n"),
        ({"score": -0.05, "same": False}, "-0.05  not the same\n"),
    ],
)
def test_a_table_has_the_likeness_of_two_texts_in_words(answer, line):
    assert written("table", [(record(text="x"), answer, "")], single=True) == line


@pytest.mark.parametrize(
    ("tokens", "tags", "odd"),
    [
        (["Ada", "x"], ["B-a,\nb", "O"], "tag 'B-a,\\nb'"),
        (["Ada", "x"], ["B-a\tb", "O"], "tag 'B-a\\tb'"),
        (["-DOCSTART-", "x"], ["B-a", "O"], "word '-DOCSTART-'"),
        (["a\nb", "x"], ["O", "O"], "word 'a\\nb'"),
    ],
)
def test_conll_holds_no_line_that_would_be_read_as_another(tokens, tags, odd):
    writer = make_writer("conll", Naming())
    good = {"tokens": ["Bo Li"], "tags": ["B-a"]}
    text = writer.text([(record(1), {"tokens": tokens, "tags": tags}, ""), (record(2), good, "")])
    assert text == f"# row 1: the {odd} does not fit into a line; use jsonl\n\nBo Li\tB-a\n\n"
    assert writer.unfit == 1
