"""The table of docs/reliability.md is what was measured, and no more."""

from __future__ import annotations

from pathlib import Path

import table


def test_the_page_holds_the_table_as_it_was_measured() -> None:
    assert table.PAGE.read_text("utf-8") == table.page(), "python -m tests.faults.table"


def test_the_page_says_what_each_promise_is() -> None:
    said = table.PAGE.read_text("utf-8").split(table.BEGIN)[0].split("## What was measured")[1]
    for record in table.records():
        for promise in record["promise"].split(", "):
            assert f" {promise} " in said, promise


def test_every_record_is_of_a_test_there_is() -> None:
    found = table.records()
    assert len(found) > 10
    for record in found:
        file, name = record["test"].split("::")
        assert f"def {name}(" in (Path(table.HERE) / file).read_text("utf-8")


def test_the_last_record_at_full_counts_stands(tmp_path, monkeypatch) -> None:
    lines = [
        '{"promise": "T10", "text": "x", "test": "a::b", "full": false, "kills": 1}',
        '{"promise": "T10", "text": "x", "test": "a::b", "full": true, "kills": 2000}',
        '{"promise": "T10", "text": "x", "test": "a::b", "full": false, "kills": 3}',
        '{"promise": "T2", "text": "`| y`", "test": "a::c", "full": false, "bad_rows": 0}',
    ]
    (tmp_path / "measured.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(table, "MEASURED", tmp_path / "measured.jsonl")
    assert table.table().splitlines()[2:] == [
        "| T2 | `\\| y` | bad rows: 0 | reduced | `a` |",
        "| T10 | x | kills: 2,000 | full | `a` |",
    ]
