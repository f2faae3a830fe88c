"""Clean public files: no alarm but those listed here, each looked up by hand in its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import hfkit

FOLDER = os.environ.get("HFKIT_TEST_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="HFKIT_TEST_DATA is not set")

AG_NEWS = {"no_header": True, "columns": "label,_,text", "label_names": "ag_news/classes.txt"}
SST2 = {"no_header": True, "columns": "text,label"}
TREC6 = {"no_header": True, "columns": "label,text", "delimiter": ":", "max_splits": 1}
# Files, settings, and code -> how often and why it is right. Near-duplicates are not looked for
# here: that there are some is a matter of degree.
CASES: list[tuple[str, str | None, dict[str, Any], dict[str, tuple[int, str]]]] = [
    ("sst2/train.tsv", "sst2/validation.tsv", SST2,
     {"text-duplicate": (9, "nine sentences stand twice in the published file")}),
    ("trec6/train.txt", "trec6/validation.txt", TREC6,
     {"text-duplicate": (62 + 23, "questions that are asked again, word by word")}),
    ("banking77/train.csv", "banking77/validation.csv", {},
     {"text-alike": (2, "lines 1160 and 6276 repeat a question but for line breaks")}),
    ("ag_news/train.csv", "ag_news/validation.csv", AG_NEWS,
     {"text-duplicate": (1, "one story was sent twice"),
      "personal-phone": (1, "line 1419 says whom to call about playing football")}),
    ("snli/train.tsv", "snli/validation.tsv", {}, {}),
    ("afqmc/train.txt", "afqmc/validation.txt",
     {"no_header": True, "columns": "sentence1,sentence2,label"}, {}),
    ("ocnli/train.3k.json", "ocnli/dev.json", {},
     {"label-imbalance": (1, "six rows have the label '-': the annotators did not agree")}),
    ("wikigold/train.conll.txt", "wikigold/validation.conll.txt", {},
     {"text-duplicate": (1, "the words of a coat of arms stand twice")}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("train", "validation", "flags", "right"), CASES, ids=lambda v: str(v)[:40]
)
def test_no_false_alarm(
    train: str, validation: str, flags: dict[str, Any], right: dict[str, tuple[int, str]]
) -> None:
    assert FOLDER
    if "label_names" in flags:
        flags = {**flags, "label_names": str(Path(FOLDER, flags["label_names"]))}
    found = hfkit.check(
        str(Path(FOLDER, train)), validation=str(Path(FOLDER, validation)),
        near_duplicates=False, **flags,
    )  # fmt: skip
    counts: dict[str, int] = {}
    for one in found.findings:
        if one.kind.severity != "note":
            counts[one.code] = counts.get(one.code, 0) + one.count
    assert counts == {code: count for code, (count, _) in right.items()}
