"""Clean public files: no alarm but those listed here, with what was found at their places."""

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
TABLE = {"no_header": True, "quoting": "none"}
PAIRS = {"no_header": True, "columns": "sentence1,sentence2,score"}
SICK = {"input_format": "tsv", "text_column": "sentence_A", "text_pair_column": "sentence_B"}
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
    ("chnsenticorp/train.tsv", "chnsenticorp/validation.tsv", {"quoting": "none"},
     {"personal-email": (1, "line 1483 ends with an address")}),
    ("go_emotions/train.tsv", "go_emotions/validation.tsv",
     {**TABLE, "columns": "text,labels,_", "label_delimiter": ",",
      "label_names": "go_emotions/labels.txt"},
     {"label-imbalance": (1, "2,643 are neutral, 19 are of grief"),
      "label-conflict": (2, "two short comments that were rated twice, and otherwise"),
      "text-duplicate": (4, "short comments that several people wrote"),
      "text-alike": (1, "one more, but for its case"), "leak-alike": (1, "one more")}),
    ("tweet_emotion/train_text.txt", "tweet_emotion/validation_text.txt",
     {**TABLE, "columns": "text,label"},
     {"text-duplicate": (25, "tweets that were sent again"),
      "text-control": (1, "a character without width")}),
    ("stsb/sts-train.csv", "stsb/sts-dev.csv",
     {**TABLE, "columns": "_,_,_,_,score,sentence1,sentence2", "delimiter": "tab",
      "extra_columns": "ignore", "task": "similarity"},
     {"label-conflict": (8, "pairs that were rated twice"),
      "text-duplicate": (39 + 2, "pairs that stand twice"), "text-alike": (1, "one more"),
      "leak-same": (6, "pairs of dev that stand in train, too"),
      "text-mojibake": (1, "line 4107: an apostrophe in Windows-1252"),
      "text-control": (1, "line 2919: U+0012 for an apostrophe"),
      "personal-email": (2, "line 2842: two reporters"),
      "personal-phone": (2, "line 2842: two reporters")}),
    ("stsb_multi_mt/stsb-de-train.csv", "stsb_multi_mt/stsb-de-dev.csv", PAIRS,
     {"label-conflict": (6, "as in stsb"), "text-duplicate": (9, "as in stsb"),
      "text-alike": (1, "as in stsb"), "leak-same": (4, "as in stsb"),
      "personal-email": (2, "as in stsb"), "personal-phone": (2, "as in stsb")}),
    ("stsb_multi_mt/stsb-zh-train.csv", "stsb_multi_mt/stsb-zh-dev.csv", PAIRS,
     {"label-conflict": (6, "as in stsb"), "text-duplicate": (9, "as in stsb"),
      "leak-same": (5, "as in stsb"), "personal-email": (2, "as in stsb")}),
    ("sick/SICK_train.txt", "sick/SICK_trial.txt",
     {**SICK, "label_column": "relatedness_score", "task": "similarity"},
     {"label-conflict": (47, "pairs that were rated twice"),
      "text-duplicate": (7, "and were given the same score"),
      "leak-same": (3, "pairs of trial that stand in train, too")}),
    ("sick/SICK_train.txt", "sick/SICK_trial.txt",
     {**SICK, "label_column": "entailment_judgment", "task": "classification"},
     {"text-duplicate": (30, "pairs that stand twice, with the same judgment"),
      "leak-same": (3, "pairs of trial that stand in train, too")}),
    ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll", {},
     {"label-conflict": (24 + 4, "tweets that were sent again, and annotated otherwise"),
      "text-duplicate": (91 + 2, "tweets that were sent again"), "text-alike": (1, "one more"),
      "text-control": (2, "a space without width, a byte order mark"),
      "personal-phone": (3, "numbers to call for a party and for a journey")}),
    ("sec_filings/FIN5.train.txt", "sec_filings/FIN5.validation.txt", {},
     {"label-conflict": (2, "sentences of contracts that were annotated otherwise elsewhere"),
      "type-unseen": (4, "no training document has MISC"),
      "text-duplicate": (21, "sentences that contracts repeat"),
      "text-alike": (17, "the same but for case"), "leak-alike": (1, "a heading")}),
    ("ncbi_disease/train.tsv", "ncbi_disease/devel.tsv", {},
     {"label-conflict": (2, "lines 4435 and 47212: a fever was annotated once"),
      "text-duplicate": (31, "sentences that stand twice"),
      "leak-same": (5, "some of them in both files")}),
    ("germeval2014/train.tsv", "germeval2014/validation.tsv", {},
     {"label-rare": (2, "ORGderiv three times, PERderiv once"),
      "text-control": (3 + 1, "soft hyphens; U+0096 for a dash"),
      "personal-email": (1, "an address in an article")}),
    ("weibo_ner/weiboNER_2nd_conll.train", "weibo_ner/weiboNER_2nd_conll.dev", {},
     {"label-conflict": (71, "messages that were sent again, and annotated otherwise"),
      "tag-order": (10, "I- behind O or behind another type"),
      "text-duplicate": (65 + 7, "messages that were sent again"),
      "leak-same": (42, "the source has them in both files"),
      "text-broken": (10 + 5, "emoji that were lost")}),
    ("cluener/train.json", "cluener/validation.json", {},
     {"entity-edge": (21 + 6, "names in Latin letters, grown together or cut short"),
      "entity-overlap": (2 + 1, "entities of two types over the same characters")}),
    ("squad_v1/train.json", "squad_v1/validation.json", {},
     {"label-conflict": (13 + 6, "questions that were asked twice, with other answers"),
      "text-duplicate": (7, "questions that were asked twice"), "text-alike": (4, "four more")}),
    ("squad_v2/train.json", "squad_v2/validation.json", {},
     {"label-conflict": (10 + 4, "questions that were asked twice, with other answers"),
      "text-alike": (1, "a question that was asked twice")}),
    ("cmrc2018/train.json", "cmrc2018/validation.json", {},
     {"answer-moved": (5 + 4, "offsets are -1 or off by one, as published"),
      "answer-absent": (45, "answers in other words, beside one that stands there"),
      "text-control": (4, "one context with spaces without width"),
      "personal-phone": (3, "one context ends with the number of a harbour")}),
    ("xquad/xquad.en.json", "xquad/xquad.zh.json", {},
     {"label-conflict": (2 + 2, "questions that were asked twice, with other answers"),
      "text-duplicate": (2 + 6, "questions that were asked twice"), "text-alike": (1, "one more"),
      "text-control": (24, "contexts that begin with a byte order mark")}),
    ("xquad/xquad.ar.json", None, {},
     {"label-conflict": (2, "as in English"), "text-duplicate": (2, "as in English"),
      "text-alike": (1, "as in English"), "text-broken": (5, "names in Latin letters"),
      "text-mojibake": (29, "names in Latin letters, as Windows-1252"),
      "text-control": (39, "byte order marks and spaces without width")}),
    ("dialogsum/train.jsonl", "dialogsum/validation.jsonl", {},
     {"length-cut": (2, "two long dialogues"),
      "personal-phone": (1, "line 119: a guest books a room")}),
    ("csl_title/train.tsv", "csl_title/validation.tsv",
     {**TABLE, "columns": "_,text,title", "task": "summarization"},
     {"length-cut": (10 + 3, "long abstracts")}),
    ("tatoeba_en_zh/train.txt", "tatoeba_en_zh/validation.txt",
     {**TABLE, "columns": "source,target,_", "input_format": "tsv", "task": "translation"},
     {"text-control": (1, "line 179: two spaces without width")}),
    ("multi30k_en_de/train.en", "multi30k_en_de/val.en",
     {**TABLE, "columns": "source,target", "task": "translation"},
     {"leak-same": (1, "one caption stands in both files")}),
    ("tinyshakespeare/train.txt", "tinyshakespeare/validation.txt", {"task": "clm"},
     {"text-duplicate": (4, "lines that are spoken twice")}),
    ("wikitext2/train.txt", "wikitext2/validation.txt", {"task": "clm"}, {}),
]  # fmt: skip
BESIDE = {"_text.txt": "_labels.txt", ".en": ".de"}  # sets whose columns are files


def file_of(name: str, folder: Path) -> str:
    """The file of this name; of two that stand side by side a table of both."""
    assert FOLDER
    path = Path(FOLDER, name)
    for end, other in BESIDE.items():
        if name.endswith(end):
            columns = [path, Path(FOLDER, name.removesuffix(end) + other)]
            lines = [one.read_text("utf-8").splitlines() for one in columns]
            path = folder / f"{path.stem}.tsv"
            rows = (f"{a.strip()}\t{b.strip()}\n" for a, b in zip(*lines, strict=True))
            path.write_text("".join(rows), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("train", "validation", "flags", "right"), CASES, ids=lambda v: str(v)[:40]
)
def test_no_false_alarm(
    train: str,
    validation: str | None,
    flags: dict[str, Any],
    right: dict[str, tuple[int, str]],
    tmp_path: Path,
) -> None:
    assert FOLDER
    if "label_names" in flags:
        flags = {**flags, "label_names": str(Path(FOLDER, flags["label_names"]))}
    found = hfkit.check(
        file_of(train, tmp_path), validation=validation and file_of(validation, tmp_path),
        near_duplicates=False, **flags,
    )  # fmt: skip
    counts: dict[str, int] = {}
    for one in found.findings:
        if one.kind.severity != "note":
            counts[one.code] = counts.get(one.code, 0) + one.count
    assert counts == {code: count for code, (count, _) in right.items()}
