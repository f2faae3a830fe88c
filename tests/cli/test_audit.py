"""What `hfkit audit` shows a person at a terminal."""

from __future__ import annotations

import io

from hfkit.cli.audit import MOST, show_audited
from hfkit.commands.audit import Audited

TEXT = "not a\ncloud " + "to be seen " * 9
ISSUE = {"file": "a.csv", "line": 7, "row": 6, "label": "rain", "suggested": "sun",
         "confidence": 0.91, "margin": -0.5, "text": TEXT}  # fmt: skip


def shown(*issues: dict) -> str:
    stream = io.StringIO()
    show_audited(Audited(list(issues), 9, 1.0, "classification"), stream)
    return stream.getvalue()


def test_a_row_for_each_label_to_look_at() -> None:
    several = {**ISSUE, "label": ["a", "b"], "suggested": [], "line": None}
    text = shown(ISSUE, several)
    head, first, second = text.splitlines()
    assert head.split() == ["line", "label", "suggested", "confidence", "text"]
    assert first.startswith("7      rain   sun            0.9100  not a cloud to be seen")
    assert second.startswith("row 6  a, b")
    assert "…" in text


def test_of_many_the_first_are_shown_and_the_others_counted() -> None:
    assert shown(*[ISSUE] * (MOST + 3)).splitlines()[-1] == "and 3 more; -o FILE.jsonl writes all"
    assert shown() == "no label looks wrong\n"
