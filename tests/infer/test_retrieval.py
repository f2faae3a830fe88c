"""Answers from many documents: passages, what finds them, and offsets into the document."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfkit.data.documents import Document, read_documents
from hfkit.errors import InputError
from hfkit.infer.predictor import Predictor
from hfkit.infer.retrieval import Bm25, ByVector, OpenQuestionAnswering, passages, terms
from hfkit.registry import make_task

TEXT = st.text(alphabet="ab  \n北京。🌧", max_size=60)


@given(st.lists(TEXT, max_size=4), st.integers(2, 7), st.integers(0, 1))
def test_passages_cover_every_word_of_every_document(
    texts: list[str], size: int, overlap: int
) -> None:
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    found = passages(documents, size, overlap)
    for document in documents:
        own = [one for one in found if one.document is document]
        covered = set()
        for one in own:
            assert one.text == document.text[one.start : one.end]
            assert one.text == one.text.strip()
            covered |= set(range(one.start, one.end))
        missing = set(range(len(document.text))) - covered
        assert all(document.text[place].isspace() for place in missing)
        if own:
            assert len(own[0].text.split()) <= size


def test_neighbouring_passages_share_words() -> None:
    words = " ".join(f"w{number}" for number in range(500))
    first, second, *_ = passages([Document("a", words)])
    assert len(first.text.split()) == 200
    assert first.text.split()[-50:] == second.text.split()[:50]


def test_terms_of_scripts() -> None:
    assert terms("Don't PANIC") == ["don", "t", "panic"]
    assert terms("Ｔｏｋｙｏ 東") == ["tokyo", "東"]
    assert terms("서울 in 北京市") == ["서", "울", "서울", "in", "北", "京", "市", "北京", "京市"]
    assert terms("القاهرة Москва") == ["القاهرة", "москва"]


def test_bm25_finds_rare_words_first() -> None:
    index = Bm25(["the cat sat", "the dog ran", "the the the", "北京是首都", "上海是城市"])
    assert index.find(["where is the dog?"], 1) == [[1]]
    assert index.find(["首都是哪里"], 2)[0][0] == 3
    assert index.find(["zebra", "", "cat"], 9) == [[], [], [0]]


def test_bm25_without_words_or_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="the documents hold no words"):
        Bm25(["...", "!"])
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(InputError, match=r"needs bm25s; pip install 'hfkit\[retrieval\]'"):
        Bm25(["a"])


def test_vectors_find_the_nearest() -> None:
    def vectors(texts: Any) -> Any:
        return np.array([[text.count("a"), text.count("b")] for text in texts], dtype=float)

    assert ByVector(vectors(["aaa", "bb", "ab"]), vectors).find(["b", "a"], 2) == [[1, 2], [0, 2]]


# ---- reading the passages


class Characters:
    """One token for each character, with the question in front."""

    padding = {"input_ids": 0, "attention_mask": 0}  # noqa: RUF012
    null_id = 1

    def encode(self, texts: Any, pairs: Any, **_: Any) -> list[list[dict[str, Any]]]:
        return [
            [
                {
                    "input_ids": [1, *map(ord, context)],
                    "_starts": [-1, *range(len(context))],
                    "_ends": [-1, *(place + 1 for place in range(len(context)))],
                }
            ]
            for context in pairs
        ]


class Digits:
    """Finds digits; a nine is a better answer than a one."""

    def run(self, batch: dict[str, Any]) -> dict[str, Any]:
        ids = batch["input_ids"].astype(float)
        logits = np.where((ids >= 48) & (ids < 58), ids - 40, -20.0)
        logits[:, 0] = 10.0
        return {"start_logits": logits, "end_logits": logits}


def reader(documents: list[Document], count: int = 5, **options: Any) -> Predictor:
    base = make_task("qa", {"max_answer_length": 1, **options})
    library = passages(documents, 6, 2)
    index = Bm25([one.findable for one in library])
    task = OpenQuestionAnswering(base, library, index, count)  # type: ignore[arg-type]
    return Predictor(task, Characters(), Digits(), 4)  # type: ignore[arg-type]


DOCUMENTS = [
    Document("north.txt", "the gate opens at 7 in the morning\nthe gate of the north tower"),
    Document("south.txt", "the south tower has 9 bells and a gate", "Towers"),
    Document("east", "zebras are striped"),
]


def test_an_answer_names_its_document_and_place() -> None:
    texts = {document.id: document.text for document in DOCUMENTS}
    first, second, third = reader(DOCUMENTS).predict(
        [{"question": "when does the gate open?"}, {"question": "towers"}, {"question": "???"}]
    )
    assert (first["answer"], first["document"]) == ("9", "south.txt")
    assert list(first)[:5] == ["answer", "start", "end", "score", "document"]
    assert texts["south.txt"][first["start"] : first["end"]] == "9"
    assert (second["answer"], second["document"]) == ("9", "south.txt")  # by its title
    assert (third["answer"], third["document"], third["score"]) == ("", None, 1.0)


def test_fewer_passages_are_read() -> None:
    (answer,) = reader(DOCUMENTS, 1).predict([{"question": "gate opens morning"}])
    assert (answer["answer"], answer["document"]) == ("7", "north.txt")
    assert DOCUMENTS[0].text[answer["start"]] == "7"


def test_the_same_place_in_two_passages_is_one_answer() -> None:
    documents = [Document("a", "one two three 5 five six seven eight")]
    (answer,) = reader(documents, top_k=20).predict([{"question": "one two three five six"}])
    places = [(one["document"], one["start"]) for one in answer["answers"]]
    assert places.count(("a", 14)) == 1
    assert len(set(places)) == len(places)


def test_no_answer_in_the_documents() -> None:
    (answer,) = reader(DOCUMENTS, null_threshold=0.0).predict([{"question": "zebras"}])
    assert (answer["answer"], answer["start"], answer["document"]) == ("", None, None)
    assert answer["answers"][0]["document"] is None


def test_many_questions_at_once_are_as_each_alone() -> None:
    questions = [{"question": q} for q in ("gate", "bells", "zebras", "morning") * 40]
    predictor = reader(DOCUMENTS)
    together = predictor.predict(questions)
    assert together == [predictor.predict([one])[0] for one in questions[:4]] * 40


# ---- documents


def test_a_folder_of_texts(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_bytes("one\r\ntwo 北京".encode())
    (tmp_path / "deep" / "a.MD").write_text("# head", encoding="utf-8")
    (tmp_path / "c.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "d.pdf").write_bytes(b"\xff")
    with caplog.at_level("INFO"):
        found = read_documents(str(tmp_path))
    assert found == [Document("b.txt", "one\r\ntwo 北京"), Document("deep/a.MD", "# head")]
    assert "files that are neither .txt nor .md left out: 1" in caplog.text
    assert "documents without text left out: 1" in caplog.text
    (tmp_path / "e.txt").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match=r"e\.txt: not UTF-8 at byte 2; save it as UTF-8"):
        read_documents(str(tmp_path))


def test_a_file_of_documents(tmp_path: Any) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text('{"_id": 7, "title": "T", "text": "x"}\n{"_id": 8, "text": "y"}\n', "utf-8")
    assert read_documents(str(path)) == [Document("7", "x", "T"), Document("8", "y")]
    table = tmp_path / "docs.csv"
    table.write_text("content\nfirst\nsecond\n", "utf-8")
    assert read_documents(str(table)) == [Document("1", "first"), Document("2", "second")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": 1, "text": "x"}\n{"id": 1, "text": "y"}\n', ":2: a second document with the id"),
        ('{"id": 1, "txt": "x"}\n', ":1: no column with the text; did you mean 'txt'?"),
        ('{"id": 1, "text": ""}\n', "no document with text"),
    ],
)  # fmt: skip
def test_documents_that_are_none(tmp_path: Any, content: str, message: str) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError) as caught:
        read_documents(str(path))
    assert message in str(caught.value)
