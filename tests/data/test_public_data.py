"""Real public files, read with the flags a user would give; they are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfkit.config import FinetuneConfig
from hfkit.data.columns import find_columns
from hfkit.data.labels import LabelReader
from hfkit.data.record import strict
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
