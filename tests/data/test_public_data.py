"""Real public files, read with the flags a user would give; they are not part of the project."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from hfkit.config import FinetuneConfig
from hfkit.data.columns import find_columns
from hfkit.data.dataset import load_rows, peek
from hfkit.data.labels import LabelReader
from hfkit.data.record import strict
from hfkit.data.shape import infer_task
from hfkit.data.source import read
from hfkit.registry import TASKS

FOLDER = os.environ.get("HFKIT_TEST_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="HFKIT_TEST_DATA is not set")

SST2 = {"no_header": True, "columns": "text,label"}
TREC6 = {"no_header": True, "columns": "label,text", "delimiter": ":", "max_splits": 1}
AG_NEWS = {"no_header": True, "columns": "label,_,text", "label_names": "ag_news/classes.txt"}
GO_EMOTIONS = {
    "no_header": True,
    "columns": "text,labels,_",
    "label_names": "go_emotions/labels.txt",
    "label_delimiter": ",",
}
STSB = {
    "no_header": True,
    "columns": "_,_,_,_,score,sentence1,sentence2",
    "delimiter": "tab",
    "quoting": "none",
    "extra_columns": "ignore",
}
CASES = [
    ("sst2/train.tsv", SST2, 6920, 2),
    ("sst2/validation.tsv", SST2, 872, 2),
    ("trec6/train.txt", TREC6, 4965, 6),
    ("trec6/validation.txt", TREC6, 500, 6),
    ("banking77/train.csv", {}, 9000, 77),
    ("banking77/validation.csv", {}, 1001, 77),
    ("ag_news/train.csv", AG_NEWS, 3200, 4),
    ("ag_news/validation.csv", AG_NEWS, 600, 4),
    ("go_emotions/train.tsv", GO_EMOTIONS, 8000, 28),
    ("go_emotions/validation.tsv", GO_EMOTIONS, 1992, 28),
    ("chnsenticorp/train.tsv", {"quoting": "none"}, 3000, 2),
    ("chnsenticorp/validation.tsv", {"quoting": "none"}, 1178, 2),
    ("stsb/sts-train.csv", STSB, 5749, None),
    ("stsb/sts-dev.csv", STSB, 1500, None),
    ("afqmc/train.txt", {"no_header": True, "columns": "sentence1,sentence2,label"}, 5000, 2),
    ("ocnli/dev.json", {}, 1000, 4),
    ("snli/train.tsv", {}, 4000, 3),
]


def labels_of(path, flags):
    if "label_names" in flags:
        flags = {**flags, "label_names": str(Path(FOLDER, flags["label_names"]))}
    config = FinetuneConfig(**flags)
    records = [record.fields for record in strict(read(str(path), config))]
    roles = TASKS["classification"].columns
    columns = find_columns(list(records[0]), records[:200], roles, config, need_label=True)
    cells = [columns.row(fields)["label"] for fields in records]
    reader = LabelReader.from_settings(config)
    reader.learn_base(cells)
    return [reader.read(cell) for cell in cells]


@pytest.mark.parametrize(("name", "flags", "rows", "classes"), CASES, ids=lambda value: str(value))
def test_counts(name, flags, rows, classes):
    labels = labels_of(Path(FOLDER, name), flags)
    assert len(labels) == rows
    if classes:
        names = {
            name for label in labels for name in ([label] if isinstance(label, str) else label)
        }
        assert len(names) == classes
    else:
        assert all(0 <= float(label) <= 5 for label in labels)


def test_two_parallel_files_pasted_together(tmp_path):
    parts = [Path(FOLDER, "tweet_emotion", f"train_{part}.txt") for part in ("text", "labels")]
    texts, numbers = (part.read_text(encoding="utf-8").splitlines() for part in parts)
    pasted = tmp_path / "train.tsv"
    lines = [f"{text}\t{number}\n" for text, number in zip(texts, numbers, strict=True)]
    pasted.write_text("".join(lines), encoding="utf-8")
    flags = {
        "no_header": True,
        "columns": "text,label",
        "quoting": "none",
        "label_names": "tweet_emotion/mapping.txt",
    }
    labels = labels_of(pasted, flags)
    assert len(labels) == 3257 and set(labels) == {"anger", "joy", "optimism", "sadness"}


# File -> sentences, tokens and tags as the data's own description counts them. Words of
# -DOCSTART- lines are no tokens here.
TAGGED = [
    ("wnut17/wnut17train.conll", 3394, 62730, {"B-person": 660, "I-person": 335, "O": 59570}),
    ("wnut17/emerging.dev.conll", 1009, 15733, {"B-person": 470, "B-corporation": 34}),
    ("wikigold/train.conll.txt", 1201, 28325 - 99, {"I-ORG": 1452, "I-PER": 1092, "I-MISC": 889}),
    ("wikigold/validation.conll.txt", 226, 5384 - 24, {"I-ORG": 299, "I-LOC": 206}),
    ("sec_filings/FIN5.train.txt", 1032, 36418 - 4, {"I-PER": 574, "I-ORG": 367, "I-LOC": 296}),
    ("sec_filings/FIN5.validation.txt", 132, 4597 - 1, {"I-PER": 209, "I-MISC": 7}),
    ("ncbi_disease/train.tsv", 5432, 136086, {"I-Disease": 6122, "B-Disease": 5145}),
    ("ncbi_disease/devel.tsv", 923, 23969, {"I-Disease": 1090, "B-Disease": 787, "O": 22092}),
    ("germeval2014/train.tsv", 1500, 28360, {"B-LOC": 519, "B-LOCderiv": 154, "O": 25673}),
    ("germeval2014/validation.tsv", 500, 9564, {"B-PER": 178, "B-LOCderiv": 65, "O": 8636}),
    ("weibo_ner/weiboNER_2nd_conll.train", 1350, 73778, {"I-PER.NOM": 1043, "B-LOC.NAM": 0}),
    ("weibo_ner/weiboNER_2nd_conll.dev", 270, 14509, {"B-PER.NOM": 208, "O": 13538}),
]
STSB_MULTI = {"no_header": True, "columns": "sentence1,sentence2,score"}
SCORED = [
    ("stsb/sts-train.csv", STSB, 5749, (0, 5, 2.70)),
    ("stsb/sts-dev.csv", STSB, 1500, (0, 5, 2.36)),
    ("sick/SICK_train.txt", {"input_format": "tsv"}, 4500, (1, 5, 3.52)),
    ("sick/SICK_trial.txt", {"input_format": "tsv"}, 500, (1, 5, 3.59)),
    ("stsb_multi_mt/stsb-de-train.csv", STSB_MULTI, 3000, (0, 5, 2.68)),
    ("stsb_multi_mt/stsb-zh-train.csv", {"no_header": True}, 3000, (0, 5, 2.68)),
    ("afqmc/train.txt", {"no_header": True, "columns": "sentence1,sentence2,label"},
     5000, (0, 1, 1561 / 5000)),
]  # fmt: skip
# File -> questions, answers, questions without one, searched, nowhere in the context.
ASKED = [
    ("squad_v1/train.json", 3637, 3637, 0, 0, 0),
    ("squad_v1/validation.json", 540, 1030, 0, 0, 0),
    ("squad_v2/train.json", 2514, 4203, 1274, 0, 0),
    ("squad_v2/validation.json", 1308, 2276, 664, 0, 0),
    ("cmrc2018/train.json", 1002, 1002, 0, 5, 0),
    ("cmrc2018/validation.json", 833, 2499, 0, 49 - 45, 45),
    ("xquad/xquad.en.json", 842, 842, 0, 0, 0),
    ("xquad/xquad.ar.json", 842, 842, 0, 0, 0),
    ("xquad/xquad.zh.json", 842, 842, 0, 0, 0),
]


def loaded(name, task, flags=None):
    config = FinetuneConfig(**(flags or {}))
    peeked = peek(str(Path(FOLDER, name)), config)
    assert infer_task(peeked.names, peeked.sample, config)[0] == task or name.startswith("afqmc")
    entry = TASKS[task]
    roles = {role.replace("label?", "label"): what for role, what in entry.columns.items()}
    kind = entry.label_kind
    return load_rows(peeked.source, config, config, roles, label_kind=kind, peeked=peeked).rows


@pytest.mark.parametrize(("name", "sentences", "tokens", "tags"), TAGGED, ids=lambda v: str(v)[:40])
def test_words_and_tags(name, sentences, tokens, tags):
    rows = loaded(name, "ner")
    counts = Counter(tag for row in rows for tag in row["label"])
    assert (len(rows), sum(len(row["tokens"]) for row in rows)) == (sentences, tokens)
    assert {tag: counts[tag] for tag in tags if tags[tag]} == {t: n for t, n in tags.items() if n}
    if name.startswith("weibo"):
        assert all(len(word.strip("\ufffd")) <= 1 for row in rows for word in row["tokens"])
    if name.startswith("wikigold"):
        assert len({row["document"] for row in rows}) in (100, 25)


@pytest.mark.parametrize(
    ("name", "rows", "entities"),
    [
        ("cluener/train.json", 4000, {"name": 1422, "organization": 1187, "movie": 423}),
        ("cluener/validation.json", 671, {"name": 228, "organization": 210, "movie": 62}),
    ],
)
def test_entities(name, rows, entities):
    found = loaded(name, "ner")
    counts = Counter(one["label"] for row in found for one in row["label"])
    assert len(found) == rows
    assert {label: counts[label] for label in entities} == entities


@pytest.mark.parametrize(("name", "questions", "answers", "none", "moved", "absent"), ASKED)
def test_answers(name, questions, answers, none, moved, absent, caplog):
    rows = loaded(name, "qa")
    assert len(rows) == questions
    assert sum(len(row["label"]) for row in rows) == answers
    assert sum(not row["label"] for row in rows) == none
    assert all(
        row["context"].startswith(one["text"], one["start"])
        for row in rows
        for one in row["label"]
        if one["start"] >= 0
    )
    assert sum(one["start"] < 0 for row in rows for one in row["label"]) == absent
    assert all(row["label"][0]["start"] >= 0 for row in rows if row["label"])
    assert (f"found by searching: {moved}" in caplog.text) == bool(moved)
    assert (f"for scoring alone: {absent}" in caplog.text) == bool(absent)


@pytest.mark.parametrize(("name", "flags", "rows", "scale"), SCORED, ids=lambda v: str(v)[:40])
def test_scores(name, flags, rows, scale):
    scores = [row["label"] for row in loaded(name, "similarity", flags)]
    assert len(scores) == rows
    assert (min(scores), max(scores), round(sum(scores) / rows, 2)) == (
        scale[0], scale[1], round(scale[2], 2),
    )  # fmt: skip
