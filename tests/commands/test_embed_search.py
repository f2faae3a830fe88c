"""Vectors of texts as files, and exact search among them, through the command line."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from toys import TOPICS, read_jsonl, write_base_model

import hfkit
from hfkit.cli.app import run
from hfkit.config import Computing
from hfkit.errors import InputError
from hfkit.infer.vectorizer import Vectorizer
from hfkit.model.locate import packaged_minilm
from hfkit.run.embedding import open_vectorizer
from hfkit.tasks.collate import collate

WORDS = [word for words in TOPICS.values() for word in words]
TEXTS = [" ".join(WORDS[start : start + 1 + start % 7]) for start in range(len(WORDS) - 8)]
minilm = pytest.mark.skipif(packaged_minilm() is None, reason="the packaged MiniLM is not there")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(write_base_model(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def wanted(encoder):
    return hfkit.embed(encoder, TEXTS)


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return str(path)


@pytest.fixture
def corpus(tmp_path):
    records = [{"id": f"d{number}", "text": text} for number, text in enumerate(TEXTS)]
    return write_jsonl(tmp_path / "corpus.jsonl", records)


def test_vectors_are_those_of_sentence_transformers(encoder, wanted) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(encoder).encode(TEXTS, normalize_embeddings=True)
    assert wanted.dtype == np.float32 and wanted.shape == (len(TEXTS), 32)
    np.testing.assert_allclose(wanted, theirs, atol=1e-6)


def test_every_format_holds_the_same_vectors_in_order(encoder, wanted, corpus, tmp_path) -> None:
    import pyarrow.parquet

    for name in ("v.npy", "v.parquet", "v.jsonl"):
        assert run(["embed", encoder, corpus, "-o", str(tmp_path / name)]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), wanted, atol=1e-6)
    assert np.load(tmp_path / "v.npy").dtype == np.float32
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet").to_pylist()
    for found in (table, read_jsonl(tmp_path / "v.jsonl")):
        assert [record["id"] for record in found] == [f"d{n}" for n in range(len(TEXTS))]
        assert [record["text"] for record in found] == TEXTS
        np.testing.assert_allclose([record["vector"] for record in found], wanted, atol=1e-6)


def test_many_windows_make_one_file(encoder, tmp_path) -> None:
    texts = TEXTS * 80  # more than one window of the stream, and of each kind of file
    path = tmp_path / "in.txt"
    path.write_text("\n".join(texts) + "\n", "utf-8")
    assert run(["embed", encoder, str(path), "-o", str(tmp_path / "v.npy"), "-b", "16"]) == 0
    found = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert found.shape == (len(texts), 32)
    np.testing.assert_allclose(found[: len(TEXTS)], found[-len(TEXTS) :], atol=1e-6)


def test_texts_on_the_command_line(encoder, wanted, capsys) -> None:
    assert run(["embed", encoder, *TEXTS[:2]]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["text"] for record in found] == TEXTS[:2]
    np.testing.assert_allclose([record["vector"] for record in found], wanted[:2], atol=1e-6)


def test_settings_of_vectors(encoder, wanted) -> None:
    raw = hfkit.embed(encoder, TEXTS, normalize=False)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert not np.allclose(lengths, 1)
    np.testing.assert_allclose(raw / lengths, wanted, atol=1e-6)
    few = hfkit.embed(encoder, TEXTS, dimensions=8)
    cut = raw[:, :8] / np.linalg.norm(raw[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(few, cut, atol=1e-6)
    assert few.shape[1] == 8
    with pytest.raises(InputError, match="32 numbers"):
        hfkit.embed(encoder, TEXTS, dimensions=64)


def test_a_long_text_is_the_average_of_its_windows(encoder) -> None:
    text = " ".join(WORDS * 3)
    [found] = hfkit.embed(encoder, text, max_length=32, normalize=False)
    ready = open_vectorizer(
        encoder, offline=True, computing=Computing(), device="cpu", max_length=32
    )
    [parts] = ready.tokenizer.encode([text], on_long="window")
    assert len(parts) > 3
    rows = [collate([part], ready.tokenizer.padding) for part in parts]
    vectors = np.concatenate([ready.engine.run(row)["embeddings"] for row in rows])
    weights = [len(part["input_ids"]) for part in parts]
    np.testing.assert_allclose(found, np.average(vectors, axis=0, weights=weights), atol=1e-5)
    with pytest.raises(InputError, match="a window holds 32"):
        hfkit.embed(encoder, text, max_length=32, on_long="error")


def test_neither_batch_nor_neighbours_show(encoder, wanted) -> None:
    np.testing.assert_allclose(hfkit.embed(encoder, TEXTS, batch_size=3), wanted, atol=1e-6)
    np.testing.assert_allclose(hfkit.embed(encoder, TEXTS[4]), wanted[4:5], atol=1e-6)


def test_a_row_without_a_text(encoder, tmp_path, capsys) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "rain"}, {"text": ""}, {"text": "sun"}])
    for name in ("v.npy", "v.parquet"):
        assert run(["embed", encoder, path, "-o", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert "in.jsonl:2: " in error and ".jsonl file" in error and "Traceback" not in error
        assert not (tmp_path / name).exists()
    assert run(["embed", encoder, path, "-o", str(tmp_path / "v.jsonl")]) == 1
    found = read_jsonl(tmp_path / "v.jsonl")
    assert ["vector" in record for record in found] == [True, False, True]
    assert found[1]["row"] == 2 and "empty" in found[1]["error"]
    assert "1 of 3 rows have no vector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-o", "v.csv"], ".npy, .parquet or .jsonl"),
        (["-o", "v.npy", "--text-column", "body"], "no column 'body'"),
    ],
)
def test_mistakes_of_embed(encoder, corpus, arguments, problem, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["embed", encoder, corpus, *arguments]) == 2
    error = capsys.readouterr().err
    assert problem in error and "Traceback" not in error


def test_fields_in_the_way(encoder, tmp_path, capsys) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "rain", "vector": "old"}])
    assert run(["embed", encoder, path, "-o", str(tmp_path / "v.jsonl")]) == 2
    assert 'a field "vector" already' in capsys.readouterr().err
    assert run(["embed", encoder, path, "-o", str(tmp_path / "v.npy")]) == 0


def test_odd_fields_fit_a_parquet_file(encoder, tmp_path, capsys) -> None:
    import pyarrow.parquet

    records = [{"text": "rain", "n": 1, "x": None, "more": {"a": [1]}, "f": 1}] * 3
    records.append({"text": "sun", "n": 2, "x": "late", "more": None, "f": 2.5})
    path = write_jsonl(tmp_path / "in.jsonl", records)
    out = tmp_path / "v.parquet"
    assert run(["embed", encoder, path, "-o", str(out)]) == 0
    found = pyarrow.parquet.read_table(out).to_pylist()
    assert [record["n"] for record in found] == [1, 1, 1, 2]
    assert found[0]["more"] == '{"a": [1]}' and found[3]["more"] is None and found[3]["f"] == 2.5
    many = [{"text": "rain", "n": 1}] * 40 + [{"text": "rain", "n": "a word"}]
    path = write_jsonl(tmp_path / "many.jsonl", many)
    assert run(["embed", encoder, path, "-o", str(tmp_path / "m.parquet")]) == 2
    assert 'field "n" holds another kind' in capsys.readouterr().err


def test_nothing_in_nothing_out(encoder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run(["embed", encoder, "-", "-o", str(tmp_path / "v.npy")]) == 0
    assert np.load(tmp_path / "v.npy").shape == (0, 0)


# Search


def best(queries, corpus, k):
    return np.argsort(-(queries @ corpus.T), axis=1, kind="stable")[:, :k]


def test_the_nearest_texts_are_found(encoder, wanted, corpus, tmp_path) -> None:
    queries = [{"qid": 7, "text": TEXTS[3]}, {"qid": 8, "text": "the snow and the drum"}]
    path = write_jsonl(tmp_path / "queries.jsonl", queries)
    assert run(["search", encoder, corpus, path, "-k", "4", "-o", str(tmp_path / "h.jsonl")]) == 0
    found = read_jsonl(tmp_path / "h.jsonl")
    assert [{"qid": record["qid"], "text": record["text"]} for record in found] == queries
    scores = hfkit.embed(encoder, [query["text"] for query in queries]) @ wanted.T
    for record, line in zip(found, scores, strict=True):
        places = [hit["row"] - 1 for hit in record["hits"]]
        assert [hit["score"] for hit in record["hits"]] == pytest.approx(line[places], abs=1e-6)
        assert line[places] == pytest.approx(np.sort(line)[::-1][:4], abs=1e-6)
        assert [hit["id"] for hit in record["hits"]] == [f"d{place}" for place in places]
        assert [hit["text"] for hit in record["hits"]] == [TEXTS[place] for place in places]
        assert [hit["rank"] for hit in record["hits"]] == [1, 2, 3, 4]
    assert found[0]["hits"][0]["score"] == pytest.approx(1, abs=1e-5)


def test_vectors_that_were_written_are_searched(encoder, corpus, tmp_path, monkeypatch) -> None:
    query = "the snow and the drum"
    [plain] = hfkit.search(encoder, corpus, query, top_k=5)
    for name in ("v.npy", "v.parquet", "v.jsonl"):
        assert run(["embed", encoder, corpus, "-o", str(tmp_path / name)]) == 0
    embedded = []
    encode = Vectorizer.encode
    monkeypatch.setattr(
        Vectorizer, "encode", lambda self, rows: embedded.extend(rows) or encode(self, rows)
    )
    for name in ("v.npy", "v.parquet", "v.jsonl"):
        [found] = hfkit.search(encoder, str(tmp_path / name), query, top_k=5)
        for hit, other in zip(found["hits"], plain["hits"], strict=True):
            assert hit["row"] == other["row"]
            assert hit["score"] == pytest.approx(other["score"], abs=1e-6)
            assert hit.get("text", other["text"]) == other["text"]
    assert len(embedded) == 3  # the queries alone


def test_a_corpus_larger_than_a_block(encoder, tmp_path) -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((10_000, 32)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    [found] = hfkit.search(encoder, str(tmp_path / "v.npy"), TEXTS[0], top_k=20)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    [rows] = best(hfkit.embed(encoder, TEXTS[0]), unit, 20)
    assert [hit["row"] - 1 for hit in found["hits"]] == rows.tolist()


def test_right_answers_give_scores(encoder, corpus, tmp_path, capsys) -> None:
    queries = [{"id": f"q{number}", "text": TEXTS[number]} for number in range(20)]
    path = write_jsonl(tmp_path / "queries.jsonl", queries)
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"q{number}\td{number}\t1" for number in range(10)]
    lines += ["q10\td40\t1", "q99\td1\t1"]
    qrels = tmp_path / "qrels.tsv"
    qrels.write_text("\n".join(lines) + "\n")
    out = tmp_path / "h.jsonl"
    flags = ["--qrels", str(qrels), "-k", "2", "-o", str(out)]
    assert run(["search", encoder, corpus, path, *flags]) == 0
    captured = capsys.readouterr()
    scores = json.loads(captured.out)
    assert scores["queries"] == 20 and scores["count"] == 11
    assert 10 / 11 <= scores["values"]["recall@1"] < 1
    assert {"ndcg@10", "mrr@10", "recall@5", "recall@10"} <= set(scores["values"])
    assert "not judged: 9" in captured.err and "not asked: 1" in captured.err
    assert all(len(record["hits"]) == 2 for record in read_jsonl(out))
    assert run(["search", encoder, corpus, path, "--qrels", str(qrels)]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 20 and "ndcg@10" in captured.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "qrels.tsv"),
        ("query-id\tcorpus-id\tscore\n", "no judgements"),
        ("q1 d1\n", "qrels.tsv:1: 2 columns"),
        ("q1 d1 1\nq1 d2 high\n", "qrels.tsv:2: expected a number, got 'high'"),
        ("q1 d1 1\nq1 d1 0\n", "qrels.tsv:2: 'q1' and 'd1' are judged twice"),
        ("q1 0 d1 1\n", "judges none of the queries"),
    ],
)
def test_bad_right_answers(encoder, corpus, content, problem, tmp_path, capsys) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text(content)
    assert run(["search", encoder, corpus, "a query", "--qrels", str(path)]) == 2
    assert problem in capsys.readouterr().err


def test_bad_rows_are_counted_and_the_rest_is_searched(encoder, tmp_path, capsys) -> None:
    corpus = write_jsonl(tmp_path / "c.jsonl", [{"text": "rain"}, {"text": ""}, {"text": "drum"}])
    queries = write_jsonl(tmp_path / "q.jsonl", [{"text": ""}, {"text": "drum"}])
    assert run(["search", encoder, corpus, queries]) == 1
    captured = capsys.readouterr()
    first, second = (json.loads(line) for line in captured.out.splitlines())
    assert first["row"] == 1 and "empty" in first["error"] and "hits" not in first
    assert [hit["row"] for hit in second["hits"]] == [3, 1]
    assert "1 of 2 queries have no hits" in captured.err and "for want of a text: 1" in captured.err


def test_mistakes_of_search(encoder, corpus, tmp_path, capsys) -> None:
    np.save(tmp_path / "narrow.npy", np.ones((3, 8), dtype=np.float32))
    np.save(tmp_path / "whole.npy", np.ones((3, 32), dtype=np.int64))
    np.save(tmp_path / "nan.npy", np.full((3, 32), np.nan, dtype=np.float32))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "v.jsonl").write_text('{"text": "a", "vector": [1, "x"]}\n')
    for name, problem in {
        "narrow.npy": "its vectors have 8 numbers, the model's 32",
        "whole.npy": "holds int64 3 x 32; expected vectors",
        "nan.npy": "not finite",
        "text.npy": "not a readable .npy file",
        "v.jsonl": "expected a list of numbers",
        "missing.jsonl": "no such file",
    }.items():
        assert run(["search", encoder, str(tmp_path / name), "a query"]) == 2
        error = capsys.readouterr().err
        assert problem in error and "Traceback" not in error
    for words, problem in {
        (): "no model",
        (encoder,): "no corpus",
        (encoder, corpus, corpus, corpus): "expected one file",
    }.items():
        assert run(["search", *words]) == 2
        assert problem in capsys.readouterr().err


def test_a_cross_encoder_has_no_vectors(encoder, tmp_path, capsys) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(encoder, folder)
    (folder / "hfkit.yaml").write_text("task: similarity\noptions: {architecture: cross-encoder}\n")
    assert run(["embed", str(folder), "a text"]) == 2
    assert "cross-encoder" in capsys.readouterr().err


def test_prompts_of_the_model_are_said_and_used(encoder, tmp_path, corpus, capsys) -> None:
    import shutil

    folder = tmp_path / "asking"
    shutil.copytree(encoder, folder)
    settings = {"prompts": {"query": "the ", "passage": "some "}, "default_prompt_name": None}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert run(["search", str(folder), corpus, "drum", "-k", "1"]) == 0
    captured = capsys.readouterr()
    assert 'each query starts with "the "' in captured.err
    assert 'each document starts with "some "' in captured.err
    [own] = hfkit.search(encoder, corpus, "the drum", prompt="some ", top_k=1)
    assert json.loads(captured.out)["hits"][0]["score"] == pytest.approx(own["hits"][0]["score"])
    np.testing.assert_allclose(
        hfkit.embed(str(folder), "drum", prompt="the "), hfkit.embed(encoder, "the drum"), atol=1e-6
    )


@minilm
def test_the_packaged_model_finds_the_meaning() -> None:
    texts = ["It rains cats and dogs.", "The soup needs salt.", "They play the violin."]
    vectors = hfkit.embed("minilm", texts)
    assert vectors.shape == (3, 384)
    asked = hfkit.embed("minilm", ["bad weather", "cooking", "an orchestra"])
    assert (asked @ vectors.T).argmax(axis=1).tolist() == [0, 1, 2]
