"""Sources and formats: what stands in the file is what comes out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import sys
import tempfile
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.config import Reading
from hfkit.data.record import strict
from hfkit.data.source import is_file, read
from hfkit.errors import HfkitError, InputError


def fields_of(source, **flags):
    return [record.fields for record in strict(read(str(source), Reading(**flags)))]


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


@pytest.fixture
def pipe(monkeypatch):
    def set_stdin(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))

    return set_stdin


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1)
    ),
    mark=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_is_read_back(rows, mark, end):
    names = [f"c{index}" for index in range(len(rows[0]))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        with path.open("w", encoding="utf-8", newline="") as file:
            # With other line ends than its own, Python's writer leaves a lone \r unquoted.
            quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
            writer = csv.writer(file, delimiter=mark, lineterminator=end, quoting=quoting)
            writer.writerows([names, *rows])
        expected = [dict(zip(names, row, strict=True)) for row in rows]
        assert fields_of(path, delimiter=mark) == expected


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | CELL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CELL, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.dictionaries(CELL, VALUE, min_size=1), min_size=1), ascii_only=st.booleans()
)
def test_any_objects_are_read_back(rows, ascii_only):
    lines = [json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_text("".join(lines), encoding="utf-8", newline="")
        assert fields_of(path) == rows


@settings(max_examples=300, deadline=None)
@given(st.text('ab",\n\r', max_size=40))
def test_a_broken_csv_never_loses_a_line(body):
    """Whatever stands in the file: no crash, and records start on ascending lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(f"x,y\n{body}\n1,2\n".encode())
        records = list(read(str(path), Reading()))
    lines = [record.line for record in records]
    assert lines == sorted(set(lines))
    assert records[-1].fields == {"x": "1", "y": "2"} or '"' in body
    assert all(record.error or list(record.fields) == ["x", "y"] for record in records)


def test_cells_stay_the_text_they_are(write):
    words = ["NA", "null", "None", "nan", "007", "1e999", "-0", "=1+1", "", " a ", "TRUE"]
    path = write("a.csv", "x,y\n" + "".join(f"{word},.\n" for word in words))
    assert [row["x"] for row in fields_of(path)] == words


def test_an_open_quote_spoils_only_its_line(write):
    path = write("a.csv", 'x,y\n1,2\n"open,3\n4,5\n"shut",6\n7,8\n')
    records = list(read(path, Reading()))
    assert [(r.line, r.fields) for r in records if not r.error] == [
        (2, {"x": "1", "y": "2"}),
        (4, {"x": "4", "y": "5"}),
        (5, {"x": "shut", "y": "6"}),
        (6, {"x": "7", "y": "8"}),
    ]
    assert [r.line for r in records if r.error] == [3]


def test_a_quote_that_opens_on_a_later_line_is_reported_there(write):
    path = write("a.csv", 'x,y\n"two\nlines","open\n4,5\n')
    bad, good = read(path, Reading())
    assert (bad.line, good.line, good.fields) == (3, 4, {"x": "4", "y": "5"})


def test_lines_are_physical_though_cells_hold_line_breaks(write, caplog):
    caplog.set_level(logging.DEBUG)
    path = write("a.csv", 'x,y\n"a\r\nb\nc",d\n\ne,f\n')
    records = list(read(path, Reading()))
    assert [(r.line, r.row, r.fields["x"]) for r in records] == [(2, 1, "a\r\nb\nc"), (6, 2, "e")]
    assert "line breaks inside quotation marks: 1; the longest, 3 lines, is" in caplog.text
    assert "blank lines skipped: 1" in caplog.text


def test_a_cell_of_many_lines_is_a_warning(write, caplog):
    swallowed = "\n".join(f"text {number},neg" for number in range(40))
    assert len(fields_of(write("a.csv", f'x,y\n"{swallowed}",pos\n'))) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_open_quote_in_a_long_file_is_found(write):
    path = write("a.csv", 'x,y\n"open,1\n' + "a,b\n" * 150_000)
    records = list(read(path, Reading()))
    assert [record.line for record in records if record.error] == [2]
    assert len(records) == 150_001


def test_quoting_none_takes_a_line_as_a_record(write):
    path = write("a.tsv", 'x\ty\n"a\tb"c\n')
    assert fields_of(path, quoting="none") == [{"x": '"a', "y": 'b"c'}]


def test_extra_columns_can_be_ignored_and_missing_ones_not(write):
    path = write("a.csv", "x,y\n1,2,3\n")
    assert fields_of(path, extra_columns="ignore") == [{"x": "1", "y": "2"}]
    with pytest.raises(InputError, match="1 field, the header has 2"):
        fields_of(write("b.csv", "x,y\n1\n"), extra_columns="ignore")


def test_max_splits_keeps_the_rest_together(write):
    path = write("a.txt", 'NUM:how many: "2" or 3 ?\n')
    flags = {"no_header": True, "columns": "label,text", "delimiter": ":", "max_splits": 1}
    assert fields_of(path, **flags) == [{"label": "NUM", "text": 'how many: "2" or 3 ?'}]


def test_columns_rename_and_drop(write, caplog):
    caplog.set_level(logging.INFO)
    path = write("a.csv", "1,2,3\na,b,c\n")
    assert fields_of(path, columns="_,text,_") == [{"text": "b"}]
    assert "--columns replaces the header '1', '2', '3'" in caplog.text
    assert len(fields_of(path, columns="_,text,_", no_header=True)) == 2
    assert fields_of(path, no_header=True)[1] == {"column1": "a", "column2": "b", "column3": "c"}


@pytest.mark.parametrize("word", ["pipe", "|"])
def test_delimiters_have_names(write, word):
    assert fields_of(write("a.csv", "x|y\n1|2\n"), delimiter=word) == [{"x": "1", "y": "2"}]


def test_the_delimiter_of_a_csv_file_is_seen_and_said(write, caplog):
    caplog.set_level(logging.INFO)
    assert fields_of(write("a.csv", "x;y\n1,0;2\n")) == [{"x": "1,0", "y": "2"}]
    assert "the delimiter is the semicolon" in caplog.text


def test_a_text_without_header_is_not_cut_at_a_semicolon(write):
    path = write("a.csv", "good; really\nbad | worse\n")
    assert fields_of(path, no_header=True)[0] == {"column1": "good; really"}


def test_text_keeps_blank_lines_and_odd_characters(write):
    path = write("a.txt", "\ufeffone\u2028still one\r\n\n  two \n")
    assert fields_of(path) == [{"text": "one\u2028still one"}, {"text": ""}, {"text": "  two "}]


def test_one_bad_byte_spoils_one_row(write):
    path = write("a.txt", "café\nna".encode() + b"\xefve\nfine\n")
    errors = [bool(record.error) for record in read(path, Reading())]
    assert errors == [False, True, False]


def test_a_million_characters_are_one_line(write):
    assert len(fields_of(write("a.txt", "x" * 10**6))[0]["text"]) == 10**6


def test_jsonl_goes_on_after_a_bad_line(write):
    path = write("a.jsonl", '{"a": 1}\n\n{"a": \n{"a": 2}\n')
    records = list(read(path, Reading()))
    assert [(r.row, r.line, r.fields, bool(r.error)) for r in records] == [
        (1, 1, {"a": 1}, False),
        (2, 3, {}, True),
        (3, 4, {"a": 2}, False),
    ]


def test_json_is_an_array_an_object_with_one_or_lines(write, caplog):
    rows = [{"a": 1}, {"a": 2}]
    assert fields_of(write("a.json", json.dumps(rows, indent=1))) == rows
    assert fields_of(write("b.json", json.dumps({"version": 1, "data": rows}))) == rows
    caplog.set_level(logging.INFO)
    assert fields_of(write("c.json", '{"a": 1}\n{"a": 2}\n')) == rows
    assert "read as JSON Lines" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", "text\na\nb\n"),
        ("a.jsonl.gz", '{"text": "a"}\n{"text": "b"}\n'),
        ("a.txt.gz", "a\nb\n"),
        ("a.json.gz", '[{"text": "a"}, {"text": "b"}]'),
    ],
)
def test_gzip(write, name, content):
    path = write(name, gzip.compress(content.encode()))
    assert fields_of(path) == [{"text": "a"}, {"text": "b"}]


def test_parquet_gives_values_and_names_of_classes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    table = pyarrow.table({"text": ["NA", None], "label": [1, -1], "tags": [[1], []]})
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    expected = [
        {"text": "NA", "label": "pos", "tags": [1]},
        {"text": None, "label": None, "tags": []},
    ]
    assert fields_of(path) == expected
    assert next(read(str(path), Reading())).place.endswith("a.parquet: row 1")
    packed = tmp_path / "a.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert fields_of(packed) == expected


def test_a_pattern_reads_files_in_order(write, tmp_path):
    write("b.csv", "x,y\n3,4\n")
    write("a.csv", "x,y\n1,2\n")
    records = list(read(str(tmp_path / "*.csv"), Reading()))
    assert [(r.row, Path(r.path).name, r.line) for r in records] == [
        (1, "a.csv", 2),
        (2, "b.csv", 2),
    ]
    write("c.csv", "x,z\n3,4\n")
    with pytest.raises(InputError, match=r"c.csv: the columns are 'x', 'z'; in .*a.csv"):
        list(read(str(tmp_path / "*.csv"), Reading()))


def test_a_missing_file_is_found_before_anything_is_read(tmp_path, write):
    write("train.csv", "x\n1\n")
    with pytest.raises(InputError, match=r"no such file; did you mean 'train.csv'\?"):
        read(str(tmp_path / "tran.csv"), Reading())
    with pytest.raises(InputError, match=r"is a folder; it holds 'train\.csv'"):
        read(str(tmp_path), Reading())
    with pytest.raises(InputError, match="there is no folder"):
        read(str(tmp_path / "nowhere" / "a.csv"), Reading())


def test_limit(write):
    assert len(fields_of(write("a.txt", "a\nb\nc\n"), limit=2)) == 2


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ('{"text": "a"}\n', "jsonl", [{"text": "a"}]),
        ('[{"text": "a"}]\n', "json", [{"text": "a"}]),
        ("text,label\na,b\n", "csv", [{"text": "a", "label": "b"}]),
        ("Sentence\tid\na\t1\n", "tsv", [{"Sentence": "a", "id": "1"}]),
        ("Well, fine\nbad\n", "text", [{"text": "Well, fine"}, {"text": "bad"}]),
        ("text\n", "text", [{"text": "text"}]),
    ],
)
def test_stdin_goes_by_its_first_line(pipe, caplog, content, kind, expected):
    caplog.set_level(logging.INFO)
    pipe(content)
    assert fields_of("-") == expected
    assert f"read as {kind} (" in caplog.text


def test_stdin_is_read_as_told(pipe):
    pipe('{"text": "a"}\n')
    assert fields_of("-", input_format="text") == [{"text": '{"text": "a"}'}]


def test_stdin_is_read_as_it_comes(monkeypatch):
    """Rows come out before the pipe is closed."""
    import os

    reader, writer = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reader, "r"))
    try:
        os.write(writer, b'{"text": "a"}\n{"text": "b"}\n')
        records = list(islice(read("-", Reading()), 2))
        assert [record.fields["text"] for record in records] == ["a", "b"]
    finally:
        os.close(writer)
        sys.stdin.close()


@pytest.mark.parametrize("source", ["a.csv", "./x", "../x", "~/x", "/x", "a.jsonl.gz"])
def test_what_looks_like_a_file(source):
    assert is_file(source)


def test_an_argument_that_is_a_text_is_no_file():
    assert not is_file("org/name")
    assert not is_file("a text\nof two lines")
    assert not is_file("a" * 5000)


def _damaged(content: bytes, random: Random) -> bytes:
    """Flip, insert or cut bytes, as a broken disk or download would."""
    data = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data))
        kind = random.randrange(4)
        if kind == 0:
            data[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[place:place] = random.choice([b'"', b"\0", b"\xff", b"\n", b"\r", b",", b"{"])
        elif kind == 2:
            del data[place : place + random.randint(1, 9)]
        else:
            del data[max(place, 20) :]
    return bytes(data)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.txt", "a.csv.gz"])
def test_damaged_files_give_rows_or_one_line(tmp_path, name):
    random = Random(f"damage {name}")
    rows = [{"text": f'row {i}, "quoted" é 中', "label": f"l{i % 3}"} for i in range(12)]
    table = io.StringIO()
    writer = csv.DictWriter(table, ["text", "label"], delimiter="\t" if "tsv" in name else ",")
    writer.writeheader()
    writer.writerows(rows)
    content = {
        "jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "json": json.dumps(rows, ensure_ascii=False, indent=1),
        "txt": "\n".join(row["text"] for row in rows),
    }.get(name.partition(".")[2], table.getvalue())
    whole = content.encode()
    whole = gzip.compress(whole, mtime=0) if name.endswith(".gz") else whole
    path = tmp_path / name
    for _ in range(200):
        path.write_bytes(_damaged(whole, random))
        try:
            errors = [record.error for record in read(str(path), Reading())]
        except HfkitError as error:
            errors = [str(error)]
            assert str(error).startswith(str(path))
        assert all(error.isprintable() for error in errors)
