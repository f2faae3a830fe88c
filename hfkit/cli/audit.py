"""`hfkit audit` on the terminal: the labels to look at, the likeliest error first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.cli.console import number, show, table

if TYPE_CHECKING:
    from hfkit.commands.audit import Audited

AUDIT = """Find labels in TRAIN that are probably wrong.

Each row is judged by a classifier that was fitted on the other rows, over the vectors of an
encoder; confident learning says which labels to doubt. A table on a terminal, else JSON Lines, the
likeliest error first: file, line, the label, the one suggested, and how confident that is. For
classification (one label or several), and for ner word by word.

\b
  hfkit audit train.csv
  hfkit audit train.csv -m minilm -k 100 -o doubtful.jsonl
  hfkit audit people.conll -o doubtful.jsonl
"""

LONGEST = 40  # characters shown of a text
MOST = 50  # labels; -o has them all


def show_audited(audited: Audited, stream: TextIO) -> None:
    """Write a row for each label to look at; of many the first."""
    rows = [_row(issue) for issue in audited.issues[:MOST]]
    parts: list[Any] = [table(rows, ("confidence",))] if rows else ["no label looks wrong"]
    left = len(audited.issues) - len(rows)
    show([*parts, *([f"and {left} more; -o FILE.jsonl writes all"] if left else [])], stream)


def _row(issue: Mapping[str, Any]) -> dict[str, str]:
    text = " ".join(str(issue["text"]).split())
    line = issue["line"] if issue.get("line") is not None else f"row {issue['row']}"
    return {
        "line": str(line),
        "label": _names(issue["label"]),
        "suggested": _names(issue["suggested"]),
        "confidence": number(issue["confidence"]),
        "text": text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…",
    }


def _names(label: Any) -> str:
    return ", ".join(label) if isinstance(label, list) else str(label)
