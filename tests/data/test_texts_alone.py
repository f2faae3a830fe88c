"""Texts without labels: their documents, their blank lines, and what is held back of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from hfkit.config import Columns, FinetuneConfig
from hfkit.data.dataset import Dataset, load_rows
from hfkit.data.split import split_texts
from hfkit.errors import InputError
from hfkit.registry import TASKS

ROLES = TASKS["mlm"].columns


def load(source: Path | str) -> Dataset:
    return load_rows(str(source), FinetuneConfig(), Columns(), ROLES, label_kind="none")


def test_a_blank_line_ends_a_document(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\none\ntwo\n\n \t\nthree\n\n")
    with caplog.at_level(logging.INFO, logger="hfkit"):
        data = load(path)
    assert [row["text"] for row in data.rows] == ["one", "two", "three"]
    first, second, third = (row["document"] for row in data.rows)
    assert first == second != third
    assert [data.place(row).rpartition(":")[2] for row in range(3)] == ["2", "3", "6"]
    assert "rows without anything in them skipped: 4" in caplog.text


def test_a_file_ends_a_document(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("one\ntwo\n")
    documents = [row["document"] for row in load(str(tmp_path / "*.txt")).rows]
    assert documents[0] == documents[1] != documents[2] == documents[3]


def test_a_column_names_the_document(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": "one", "doc_id": "x"}, {"text": "two", "doc_id": "x"},
            {"text": "three", "doc_id": "y"}]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row["document"] for row in load(path).rows] == ["x", "x", "y"]


def test_other_tasks_read_lines_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    data = load_rows(str(path), FinetuneConfig(), Columns(), {"text": ""}, label_kind="labels")
    assert data.rows == [{"text": "one"}, {"text": "two"}]


def test_whole_documents_are_held_back() -> None:
    rows = [{"text": str(number), "document": number // 5} for number in range(200)]
    kept, cut = split_texts(rows, 0.1, seed=3)
    assert sorted(kept + cut) == list(range(200)) and len(cut) == 20
    assert not {rows[row]["document"] for row in kept} & {rows[row]["document"] for row in cut}
    assert split_texts(rows, 0.1, seed=3) == (kept, cut)
    assert split_texts(rows, 0.1, seed=4) != (kept, cut)


def test_of_few_documents_the_end_is_held_back() -> None:
    rows = [{"text": "same", "document": 0}] * 50
    assert split_texts(rows, 0.1, seed=1) == (list(range(45)), list(range(45, 50)))
    with pytest.raises(InputError, match="too few"):
        split_texts(rows[:1], 0.1, seed=1)
