"""The table of docs/reliability.md, made of what the tests of this folder measured.

    HFKIT_RECORD=1 HFKIT_FAULTS=full python -m pytest -m faults
    python -m tests.faults.table

Of a test that was recorded several times the last record at full counts stands.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MEASURED = HERE / "measured.jsonl"
PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"


def records() -> list[dict[str, Any]]:
    """What stands of the records, by promise."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for line in MEASURED.read_text("utf-8").splitlines():
        entry = json.loads(line)
        key = (entry["promise"], entry["text"])
        if entry["full"] or not kept.get(key, {}).get("full"):
            kept[key] = entry
    return sorted(kept.values(), key=lambda entry: (*_place(entry["promise"]), entry["text"]))


def table() -> str:
    """The records as a table of Markdown."""
    lines = ["| promise | what was tried | found | counts | test |", "|---|---|---|---|---|"]
    for entry in records():
        figures = {
            name.replace("_", " "): value
            for name, value in entry.items()
            if name not in ("promise", "text", "test", "full")
        }
        found = ", ".join(f"{name}: {_shown(value)}" for name, value in figures.items())
        test = entry["test"].split("::")[0]
        counts = "full" if entry["full"] else "reduced"
        tried = entry["text"].replace("|", "\\|")  # else a cell would end there
        lines.append(f"| {entry['promise']} | {tried} | {found} | {counts} | `{test}` |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The page with the table as it should be."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def _place(promise: str) -> tuple[str, int]:
    letter, number = re.match(r"([A-Z]+)(\d+)", promise).groups()  # type: ignore[union-attr]
    return letter, int(number)


def _shown(value: Any) -> str:
    """A figure as people read it."""
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
