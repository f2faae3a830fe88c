"""How answers of one kind are judged one by one and shown: the contract, and what fits any kind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hfkit.reports.charts import Chart
from hfkit.reports.curves import Ranked
from hfkit.reports.markup import element, escaped, passage
from hfkit.reports.material import Answer, Material, Row

NOT_SHOWN = ("label", "negative", "document", "candidates")  # roles that are no text of a row


class Sure(NamedTuple):
    """Confidences, and whether what they stand for is right. `of` names what that is."""

    confidences: list[float]
    correct: list[bool]
    of: str = "answers"


class View:
    """Judges and shows answers. Everything it returns as a page is HTML."""

    thresholds: tuple[str, str] = ("precision", "recall")  # words for what a threshold changes
    graded = False  # hardly an answer is quite right, so that those furthest off are shown
    legend: tuple[tuple[str, str], ...] = ()  # kinds of marks in texts, and what they say

    def error(self, answer: Answer, gold: Answer) -> float:
        """How wrong an answer is: 0 where it is right, and otherwise more the worse it is."""
        return float(any(answer.get(key) != value for key, value in gold.items()))

    def confidence(self, answer: Answer) -> float | None:
        """How sure the model is of the answer, where it says."""
        score = answer.get("score")
        return float(score) if isinstance(score, int | float) else None

    def said(self, answer: Answer, gold: Answer) -> str:
        """What was right and what was predicted, in a line of HTML."""
        return ""

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        """The row with its answer beside the right one, as HTML."""
        both = {"right": gold, "predicted": answer}
        return texts_of(row) + sides({name: as_json(one) for name, one in both.items()})

    def group(self, gold: Answer) -> str:
        """What kind of row it is, to score the kinds apart; "" where there are none."""
        return ""

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        """What the reliability diagram is drawn from."""
        return None

    def ranked(self, material: Material) -> dict[str, Ranked]:
        """What curves of precision and recall are drawn from, by name."""
        return {}

    def cut(self, material: Material) -> Ranked | None:
        """What a threshold would be put on: as a rule the first of what is `ranked`."""
        return next(iter(self.ranked(material).values()), None)

    def charts(self, material: Material) -> list[Chart]:
        """Plots that only this kind of answers has."""
        return []

    def tables(self, material: Material) -> str:
        """Tables that only this kind of answers has, as HTML."""
        return ""


def texts_of(row: Row) -> str:
    """The texts of a row, each under its role where there are several."""
    texts = {
        role: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for role, value in row.items()
        if role not in NOT_SHOWN and value is not None
    }
    if len(texts) == 1:
        return passage(next(iter(texts.values())))
    return sides({role.replace("_", " "): passage(text) for role, text in texts.items()})


def sides(parts: Mapping[str, str]) -> str:
    """Parts side by side where there is room, each under its name; the parts are HTML."""
    inner = "".join(
        element("div", element("h4", escaped(name)) + part) for name, part in parts.items()
    )
    return element("div", inner, kind="sides")


def as_json(value: object) -> str:
    """Anything, as a block of HTML."""
    return passage(json.dumps(value, ensure_ascii=False, default=str, indent=1))
