"""CoNLL-style files: which lines are words, which columns hold what."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.config import FinetuneConfig
from hfkit.data.containers import Conll
from hfkit.data.formats import conll
from hfkit.data.source import read
from hfkit.errors import InputError


def sentences(tmp_path, text, name="x.conll", **flags):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return list(read(str(path), FinetuneConfig(**flags)))


def fields(tmp_path, text, name="x.conll", **flags):
    records = sentences(tmp_path, text, name, **flags)
    assert not any(record.error for record in records)
    return [record.fields for record in records]


def test_two_columns_and_places(tmp_path):
    records = sentences(tmp_path, "\nAda\tB-PER\nwaits\tO\n\n\nUlm\tB-LOC\n")
    assert [record.fields for record in records] == [
        {"tokens": ["Ada", "waits"], "tags": ["B-PER", "O"]},
        {"tokens": ["Ulm"], "tags": ["B-LOC"]},
    ]
    assert [(record.row, record.line) for record in records] == [(1, 2), (2, 6)]


@pytest.mark.parametrize("name", ["x.conll", "x.txt", "x.tsv", "x.train", "x.bio", "x.ner", "x"])
@pytest.mark.parametrize("separator", ["\t", " "])
def test_names_and_separators(tmp_path, name, separator):
    lines = [f"Ada{separator}B-PER", f"waits{separator}O", "", f"Ulm{separator}B-LOC", ""]
    found = fields(tmp_path, "\r\n".join(lines), name)
    assert found == [
        {"tokens": ["Ada", "waits"], "tags": ["B-PER", "O"]},
        {"tokens": ["Ulm"], "tags": ["B-LOC"]},
    ]


def test_compressed(tmp_path):
    path = tmp_path / "x.conll.gz"
    path.write_bytes(gzip.compress(b"Ada B-PER\n"))
    (record,) = read(str(path), FinetuneConfig())
    assert record.fields == {"tokens": ["Ada"], "tags": ["B-PER"]}


def test_what_is_not_conll_stays_what_it_was(tmp_path):
    for name, text in [
        ("a.txt", "vitamin O\n"),
        ("b.txt", "a good film\nnot for me\n"),
        ("c.tsv", "text\tlabel\na film\tO\nanother\tO\n"),
        ("d.tsv", "a film\tpos\n\nno film\tneg\n"),
    ]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        assert all("tokens" not in record.fields for record in read(str(path), FinetuneConfig()))


def test_settings_of_a_table_make_it_a_table(tmp_path):
    text = "Ada\tB-PER\nUlm\tB-LOC\n"
    found = fields(tmp_path, text, "x.tsv", no_header=True, columns="text,label")
    assert found[0] == {"text": "Ada", "label": "B-PER"}
    assert fields(tmp_path, text, "x.tsv", input_format="tsv")[0] == {
        "Ada": "Ulm",
        "B-PER": "B-LOC",
    }


def test_four_columns_with_chunks(tmp_path):
    text = "The DT B-NP O\nUlm NNP I-NP I-LOC\nfair NN I-NP O\nwaits VB B-VP O\n"
    assert fields(tmp_path, text)[0]["tags"] == ["O", "I-LOC", "O", "O"]
    assert fields(tmp_path, text, tag_column="3")[0]["tags"] == ["B-NP", "I-NP", "I-NP", "B-VP"]
    assert fields(tmp_path, text, tag_column="-3")[0]["tags"] == ["DT", "NNP", "NN", "VB"]


def test_columns_by_name(tmp_path):
    text = "DT The O\nNNP Ulm B-LOC\n"
    found = fields(tmp_path, text, columns="pos,word,ner")[0]
    assert found == {"tokens": ["The", "Ulm"], "tags": ["O", "B-LOC"]}
    found = fields(tmp_path, text, columns="pos,word,x", tag_column="pos")[0]
    assert found == {"tokens": ["The", "Ulm"], "tags": ["DT", "NNP"]}


def test_nested_tags_numbers_and_comments(tmp_path, caplog):
    caplog.set_level("INFO")
    text = (
        "#\thttp://example.org\t[2020-01-01]\t\n1\tUni\tB-ORG\tO\n2\tUlm\tI-ORG\tB-LOC\n\n"
        "#\thttp://example.org\t[2020-01-02]\t\n1\t#\tO\tO\n2\t7\tO\tO\n"
    )
    assert fields(tmp_path, text, "x.tsv") == [
        {"tokens": ["Uni", "Ulm"], "tags": ["B-ORG", "I-ORG"]},
        {"tokens": ["#", "7"], "tags": ["O", "O"]},
    ]
    assert "words in column 2, tags in column 3 of 4 (the outer one of two" in caplog.text
    inner = fields(tmp_path, text, "x.tsv", tag_column="4")
    assert inner[0]["tags"] == ["O", "B-LOC"]


def test_a_hash_may_be_a_word(tmp_path):
    text = "# id = 3\n# one two\n#\tO\n#ulm\tB-LOC\n\n#\tO\n"
    assert [one["tokens"] for one in fields(tmp_path, text)] == [["#", "#ulm"], ["#"]]


def test_documents(tmp_path):
    text = "Ada I-PER\n\n-DOCSTART- O\n\nUlm I-LOC\n\nwaits O\n-DOCSTART- O\nBonn I-LOC\n"
    assert [one["document"] for one in fields(tmp_path, text)] == [0, 1, 1, 2]
    (tmp_path / "a").mkdir()
    for name in ("1", "2"):
        sentences(tmp_path, "-DOCSTART- O\n\nAda O\n\nwaits O\n", f"a/{name}.conll")
    both = read(str(tmp_path / "a/*.conll"), FinetuneConfig())
    documents = [record.fields["document"] for record in both]
    assert documents[0] == documents[1] != documents[2] == documents[3]


def test_numbers_glued_to_characters(tmp_path, caplog):
    caplog.set_level("INFO")
    characters = "南京市长江大桥很长" * 200
    lines = [f"{c}{n % 3}\tO\n" for n, c in enumerate(characters)]
    text = "".join(line + "\n" * (n % 30 == 29) for n, line in enumerate(lines))
    found = fields(tmp_path, text)
    assert "".join(word for one in found for word in one["tokens"]) == characters
    assert "each word carries a number" in caplog.text
    kept = fields(tmp_path, text + "大\tO\n")
    assert kept[0]["tokens"][0] == "南0" and kept[-1]["tokens"][-1] == "大"
    assert "words stay as they are" in caplog.text


def test_any_characters_are_words(tmp_path):
    words = ["\x85", "\u3000", "\u2028", "\xa0", "\ufffd", "😀", "\x1c", "e\u0301"]
    text = "".join(f"{word}\tO\n" for word in words)
    assert fields(tmp_path, text)[0]["tokens"] == words


def test_one_bad_line_spoils_its_sentence(tmp_path):
    records = sentences(tmp_path, "Ada\tO\n\nin\tO\nUlm\n.\tO\n\nBonn\tO\n")
    assert [record.error for record in records] == ["", "1 field, the lines before have 2", ""]
    assert records[1].line == 4
    assert [record.row for record in records] == [1, 2, 3]


def test_words_alone_for_prediction(tmp_path):
    assert fields(tmp_path, "Ada\nwaits\n") == [{"tokens": ["Ada", "waits"]}]


@pytest.mark.parametrize(
    ("text", "flags", "says"),
    [
        ("\n", {}, "is empty"),
        ("-DOCSTART- O\n", {}, "holds no sentence"),
        ("Ada O\n", {"tag_column": "0"}, "columns count from 1"),
        ("Ada O\n", {"tag_column": "5"}, "no column 5; the file has 2"),
        ("Ada O\n", {"columns": "word,tag", "tag_column": "tga"}, "did you mean 'tag'"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, flags, says):
    with pytest.raises(InputError, match=says):
        sentences(tmp_path, text, **flags)


class Lines:
    """Takes the place of an output."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\0"), min_size=1
).filter(lambda word: word.strip(" ") and not word.startswith(("-DOCSTART-", "\ufeff")))
TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-a b", "S-地点", "x"])
SENTENCES = st.lists(st.lists(st.tuples(WORDS, TAGS), min_size=1), min_size=1)


@given(SENTENCES)
def test_what_is_written_is_read_again(found):
    out = Lines()
    losses = {}
    writer = Conll(out, losses)
    for sentence in found:
        words, tags = map(list, zip(*sentence, strict=True))
        writer.write({"tokens": words, "tags": tags})
    reading = FinetuneConfig(tag_column="2")
    lines = iter(out.text.splitlines(keepends=True)) if "\n" not in out.text else split(out.text)
    again = list(conll.read(lines, "x", reading))
    assert not losses
    assert [
        list(zip(record.fields["tokens"], record.fields["tags"], strict=True)) for record in again
    ] == found


def split(text):
    return (f"{line}\n" for line in text.split("\n"))
