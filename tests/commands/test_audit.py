"""Wrong labels that are planted are found again."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import write_files
from toys import TOPICS, read_jsonl, toy_rows, write_csv

import hfkit
from hfkit.cli.app import run
from hfkit.errors import InputError
from hfkit.model.locate import packaged_minilm

needs_minilm = pytest.mark.skipif(packaged_minilm() is None, reason="no packaged MiniLM")


def planted(rows: list[dict[str, Any]], share: float, seed: int = 3) -> set[int]:
    """Give a share of the rows another label, in place; the numbers of the rows, from 1."""
    chance = random.Random(seed)
    labels = sorted({row["label"] for row in rows})
    chosen = chance.sample(range(len(rows)), round(share * len(rows)))
    for row in chosen:
        others = [label for label in labels if label != rows[row]["label"]]
        rows[row]["label"] = chance.choice(others)
    return {row + 1 for row in chosen}


@needs_minilm
def test_planted_labels_are_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = toy_rows(240)
    right = [row["label"] for row in rows]
    wrong = planted(rows, 0.08)
    data = write_csv(tmp_path / "toy.csv", rows)
    assert run(["audit", str(data), "-m", "minilm", "-o", str(tmp_path / "found.jsonl")]) == 0
    found = read_jsonl(tmp_path / "found.jsonl")
    hits = [one for one in found if one["row"] in wrong]
    assert len(hits) >= 0.7 * len(wrong)  # recall
    assert len(hits) >= 0.9 * len(found)  # precision
    for one in hits:
        assert one["line"] == one["row"] + 1  # a header stands above
        assert one["label"] == rows[one["row"] - 1]["label"]
        assert one["text"] == rows[one["row"] - 1]["text"]
    said = [one["suggested"] == right[one["row"] - 1] for one in hits]
    assert sum(said) >= 0.9 * len(said)
    assert [one["margin"] for one in found] == sorted(one["margin"] for one in found)
    assert "of 240 labels look wrong" in capfd.readouterr().err


@needs_minilm
def test_the_same_audit_finds_the_same(tmp_path: Path) -> None:
    rows = toy_rows(60)
    planted(rows, 0.1)
    data = write_csv(tmp_path / "toy.csv", rows)
    one, two = (hfkit.audit(data, model="minilm", quiet=True) for _ in range(2))
    assert one.issues == two.issues != []
    assert len(hfkit.audit(data, model="minilm", top=1, quiet=True).issues) == 1


@needs_minilm
def test_several_labels_are_asked_for_one_by_one(tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": [row["label"]]} for row in toy_rows(160)]
    for row in rows[:8]:  # the first lack what they are about, and have something else
        row["label"] = [next(topic for topic in TOPICS if topic not in row["label"])]
    data = tmp_path / "several.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = hfkit.audit(data, model="minilm", quiet=True).issues
    first = [one for one in found if one["row"] <= 8]
    assert len({one["row"] for one in first}) >= 6
    assert len(first) > 0.7 * len(found)
    assert any("add" in one for one in first) and any("remove" in one for one in first)
    for one in first:
        change = {one["add"]} if "add" in one else {one["remove"]}
        assert set(one["label"]) ^ set(one["suggested"]) == change


@needs_minilm
def test_entities_are_judged_word_by_word(tmp_path: Path) -> None:
    write_files(tmp_path)
    text = (tmp_path / "people.conll").read_text()
    lines = text.splitlines()
    places = [number for number, line in enumerate(lines) if line.endswith("B-LOC")][:6]
    for number in places:
        lines[number] = lines[number].replace("B-LOC", "O")
    (tmp_path / "people.conll").write_text("\n".join(lines) + "\n")
    found = hfkit.audit(tmp_path / "people.conll", task="ner", model="minilm", quiet=True).issues
    names = {lines[number].split()[0] for number in places}
    top = found[: len(places)]
    assert {one["text"] for one in top} == names
    assert {(one["label"], one["suggested"]) for one in top} == {("O", "LOC")}
    assert all(one["end"] - one["start"] == len(one["text"]) for one in found)


def test_what_cannot_be_audited(tmp_path: Path) -> None:
    write_files(tmp_path)
    with pytest.raises(InputError, match="labels of similarity are no classes"):
        hfkit.audit(tmp_path / "pairs.csv", task="similarity")
    with pytest.raises(InputError, match="numbers are no classes"):
        hfkit.audit(tmp_path / "pairs.csv", task="regression")
    with pytest.raises(InputError, match="no data"):
        hfkit.audit()


@needs_minilm
def test_more_folds_than_texts(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "few.csv", toy_rows(6))
    with pytest.raises(InputError, match="too few for 20 folds"):
        hfkit.audit(data, model="minilm", folds=20, quiet=True)


@needs_minilm
def test_planted_labels_are_found_in_real_data(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """News of four kinds, 6 of 100 labels wrong: most are found, among five times as many of them
    as chance would list."""
    with (real_data("ag_news") / "train.csv").open(encoding="utf-8", newline="") as stream:
        rows = [{"text": f"{t}. {d}", "label": label} for label, t, d in csv.reader(stream)][:500]
    wrong = planted(rows, 0.06)
    found = hfkit.audit(write_csv(tmp_path / "news.csv", rows), model="minilm", quiet=True).issues
    hits = sum(one["row"] in wrong for one in found)
    assert hits >= 0.8 * len(wrong)  # recall: 26 of 30 when this was written
    assert hits >= 0.3 * len(found)  # precision: 26 of 70
