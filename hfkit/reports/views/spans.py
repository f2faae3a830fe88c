"""Answers that are parts of a context: the right and the predicted one marked in it."""

from __future__ import annotations

from collections.abc import Sequence

from hfkit.answers import Rules, rules_of, texts_of, token_f1
from hfkit.reports.curves import Ranked
from hfkit.reports.markup import Mark, element, isolated, passage
from hfkit.reports.material import Answer, Material, Row
from hfkit.reports.views.base import Sure, View
from hfkit.reports.views.classes import versus

NOTHING = "no answer"
LONGEST = 800  # characters shown of a context


class Answers(View):
    """An answer, or none: the fewer words it shares with the nearest right one, the worse."""

    legend = (("same", "right"), ("missed", "predicted"), ("both", "predicted, and right"))

    def error(self, answer: Answer, gold: Answer) -> float:
        golds = texts_of([gold])[0]
        rules = rules_of([gold], [golds])
        if not golds:
            return float(bool(answer["answer"]))
        given = rules.tokens(answer["answer"])
        return 1.0 - max(token_f1(rules.tokens(one), given) for one in golds)

    def said(self, answer: Answer, gold: Answer) -> str:
        right = next((_text(one) for one in gold["answers"]), "") or NOTHING
        return versus(right, answer["answer"] or NOTHING)

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        right = [
            (one["start"], one["start"] + len(_text(one)))
            for one in gold["answers"]
            if isinstance(one, dict) and (one.get("start") or 0) >= 0
        ]
        marks = _marks(list(dict.fromkeys(right)), (answer.get("start"), answer.get("end")))
        question = element("p", isolated(row.get("question", "")), kind="question", dir="auto")
        return question + passage(row.get("context", ""), marks, LONGEST)

    def group(self, gold: Answer) -> str:
        return "with an answer" if gold["answers"] else "without an answer"

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        if not all(isinstance(one.get("score"), float) for one in answers):
            return None
        golds = texts_of(gold)
        rules = rules_of(gold, golds)
        right = [
            _same(one["answer"], texts, rules) for one, texts in zip(answers, golds, strict=True)
        ]
        return Sure([one["score"] for one in answers], right)

    def ranked(self, material: Material) -> dict[str, Ranked]:
        sure = self.sure(material.answers, material.gold)
        if sure is None:
            return {}
        return {"answers": Ranked(sure.confidences, sure.correct, len(material.gold))}


def _same(answer: str, golds: Sequence[str], rules: Rules) -> bool:
    if not golds:
        return not answer
    return rules.normalize(answer) in {rules.normalize(one) for one in golds}


def _text(one: object) -> str:
    return str(one["text"]) if isinstance(one, dict) else str(one)


def _marks(right: list[tuple[int, int]], given: tuple[int | None, int | None]) -> list[Mark]:
    """The first right answer and the predicted one; the one alone where they are the same."""
    start, end = given
    if start is None or end is None:
        return [Mark(*one, "same") for one in right[:1]]
    if (start, end) in right:
        return [Mark(start, end, "both")]
    return [*(Mark(*one, "same") for one in right[:1]), Mark(start, end, "missed")]
