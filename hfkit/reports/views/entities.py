"""Answers that are entities: those of the row marked in its text, the right ones above the
predicted ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.reports.curves import Ranked
from hfkit.reports.markup import Mark, element, passage, table
from hfkit.reports.material import Answer, Material, Row
from hfkit.reports.views.base import Sure, View, sides
from hfkit.reports.views.classes import per_class

Key = tuple[int, int, str]
WAYS = {
    "strict": "borders and type", "boundary": "borders", "partial": "some overlap",
    "type": "type, overlap",
}  # fmt: skip


class Entities(View):
    """Entities: the more of them are missed or made up, the worse the answer."""

    legend = (("same", "found"), ("missed", "missed"), ("extra", "not right"))

    def error(self, answer: Answer, gold: Answer) -> float:
        return float(len(_keys(answer) ^ _keys(gold)))

    def confidence(self, answer: Answer) -> float | None:
        scores = [one["score"] for one in answer["entities"] if "score" in one]
        return max(scores, default=None)

    def said(self, answer: Answer, gold: Answer) -> str:
        given, right = _keys(answer), _keys(gold)
        counts = {"missed": len(right - given), "not right": len(given - right)}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return element("span", told, kind="chip wrong") if told else ""

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        text = " ".join(row["tokens"]) if "tokens" in row else row["text"]
        given, right = _keys(answer), _keys(gold)
        return sides({
            "right": passage(text, _marks(gold, given, "missed")),
            "predicted": passage(text, _marks(answer, right, "extra")),
        })  # fmt: skip

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        pairs = [
            (float(one["score"]), _key(one) in _keys(other))
            for answer, other in zip(answers, gold, strict=True)
            for one in answer["entities"]
            if "score" in one
        ]
        found = Sure([score for score, _ in pairs], [right for _, right in pairs], "entities")
        return found if pairs else None

    def ranked(self, material: Material) -> dict[str, Ranked]:
        sure = self.sure(material.answers, material.gold)
        wanted = sum(len(_keys(one)) for one in material.gold)
        return {"entities": Ranked(sure.confidences, sure.correct, wanted)} if sure else {}

    def tables(self, material: Material) -> str:
        found: dict[str, dict[str, Any]] = material.scores.tables.get("overlaps", {})
        if not found:
            return per_class(material, "entities")
        outcomes = list(next(iter(found.values())))
        rows = [
            [WAYS.get(way, way), *(f"{counts[name]:,}" for name in outcomes)]
            for way, counts in found.items()
        ]
        head = ["what has to agree", *outcomes]
        title = element("h3", "Found, and how far")
        return (
            per_class(material, "entities") + title + table(head, rows, numbers=range(1, len(head)))
        )


def _key(entity: Mapping[str, Any]) -> Key:
    return entity["start"], entity["end"], entity["label"]


def _keys(answer: Answer) -> set[Key]:
    return {_key(one) for one in answer["entities"]}


def _marks(answer: Answer, others: set[Key], wrong: str) -> list[Mark]:
    """The entities of one side; those that the other side has not are `wrong`."""
    return [
        Mark(start, end, "same" if (start, end, label) in others else wrong, label)
        for start, end, label in sorted(_keys(answer))
    ]
