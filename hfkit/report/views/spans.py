"""Answers that are parts of a context: the right and the predicted one marked in it."""

from __future__ import annotations

from collections.abc import Sequence

from hfkit.answers import Rules, rules_of, texts_of, token_f1
from hfkit.report.curves import Ranked
from hfkit.report.markup import Mark, element, isolated, passage
from hfkit.report.material import Answer, Material, Row
from hfkit.report.views.base import Sure, View, sides
from hfkit.report.views.classes import versus

NOTHING = "no answer"


class Answers(View):
    """An answer, or none: the fewer words it shares with the nearest right one, the worse."""

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
        marks = []
        for one in gold["answers"]:
            start = one.get("start") if isinstance(one, dict) else None
            if start is not None and start >= 0:
                marks.append((start, start + len(_text(one))))
        given = (answer.get("start"), answer.get("end")) if answer["answer"] else None
        context = str(row.get("context", ""))
        question = element("p", isolated(row.get("question", "")), kind="question", dir="auto")
        parts = {
            "right": passage(context, [Mark(*one, "missed") for one in dict.fromkeys(marks)][:1]),
            "predicted": passage(context, _predicted(given, marks)),
        }
        return question + sides(parts)

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


def _predicted(
    given: tuple[int | None, int | None] | None, right: Sequence[tuple[int, int]]
) -> list[Mark]:
    if given is None or given[0] is None or given[1] is None:
        return []
    return [Mark(given[0], given[1], "same" if given in right else "extra")]
