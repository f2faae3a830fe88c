"""The sample data that ships: frozen, balanced, without repeats."""

from __future__ import annotations

import csv
from collections import Counter

from hfkit.hashing import sha256
from hfkit.samples import sample

# The data were frozen before any model was trained on them. A change of them is a change of every
# figure that was measured on them.
FROZEN = {
    "train": "180722ed30eeace24eab9e97a48b66ae485dcdd60be2d1478e9bc833f336fd12",
    "validation": "878ff157e5b1709f8cdbfda1ed1fc90cc90a4014775f84fd4145c897e5e405be",
    "test": "fa2d3a1e98545a5e702f347f54e81617b243e88f7382ec1551d5cff60113daef",
    "chinese": "de7538d2266a05e8769aca6d297532b06d6ef21a06f5e4beadda8363428cc4c2",
}


def rows(part: str) -> list[dict[str, str]]:
    with sample(f"support/{part}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_files_are_frozen() -> None:
    found = {part: sha256(sample(f"support/{part}.csv")) for part in FROZEN}
    assert found == FROZEN


def test_every_part_has_every_label_and_no_text_twice() -> None:
    labels = {row["label"] for row in rows("train")}
    assert len(labels) == 8
    texts: Counter[str] = Counter()
    for part in ("train", "validation", "test"):
        found = rows(part)
        assert {row["label"] for row in found} == labels
        texts.update(" ".join(row["text"].casefold().split()) for row in found)
    assert max(texts.values()) == 1
    assert sum(texts.values()) >= 600
    assert {row["label"] for row in rows("chinese")} <= labels
