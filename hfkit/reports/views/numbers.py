"""Answers that are numbers: how alike two texts are, or a value of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hfkit.reports.charts import Chart, histogram, scatter
from hfkit.reports.curves import Ranked
from hfkit.reports.markup import element
from hfkit.reports.material import Answer, Material, Row
from hfkit.reports.views.base import Sure, View, texts_of
from hfkit.reports.views.classes import versus


class Graded(View):
    """Numbers on the scale of the labels: the larger the difference, the worse."""

    graded = True
    key = "score"

    def error(self, answer: Answer, gold: Answer) -> float:
        if self.key not in gold:  # pairs that belong together: the less alike, the worse
            return 1.0 - float(answer[self.key])
        return abs(float(answer[self.key]) - float(gold[self.key]))

    def confidence(self, answer: Answer) -> float | None:
        return None

    def said(self, answer: Answer, gold: Answer) -> str:
        given = f"{float(answer[self.key]):.3g}"
        if self.key not in gold:
            return element("span", f"alike by {given}", kind="chip")
        return versus(f"{float(gold[self.key]):.3g}", given)

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        return texts_of(row)

    def charts(self, material: Material) -> list[Chart]:
        given = [float(one[self.key]) for one in material.answers]
        if not all(self.key in one for one in material.gold):
            told = "how alike texts that belong together are, by the model"
            return [histogram(given, "Similarity", told, "similarity")]
        right = [float(one[self.key]) for one in material.gold]
        mean = math.fsum(abs(a - b) for a, b in zip(right, given, strict=True)) / len(right)
        told = f"mean absolute difference {mean:.3g}"
        return [scatter(list(zip(right, given, strict=True)), told, ("right", "predicted"))]


class Values(Graded):
    """Values of a regression."""

    key = "value"


class Same(View):
    """Two texts that belong together, or do not."""

    def error(self, answer: Answer, gold: Answer) -> float:
        wrong = bool(answer.get("same")) != (float(gold["score"]) == 1.0)
        return abs(float(answer["score"]) - float(gold["score"])) if wrong else 0.0

    def said(self, answer: Answer, gold: Answer) -> str:
        words = ("apart", "same")
        right, given = words[float(gold["score"]) == 1.0], words[bool(answer.get("same"))]
        return versus(right, f"{given} ({float(answer['score']):.3g})")

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        return texts_of(row)

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        return None  # a cosine is no probability

    def ranked(self, material: Material) -> dict[str, Ranked]:
        right = [float(one["score"]) == 1.0 for one in material.gold]
        scores = [float(one["score"]) for one in material.answers]
        return {"same": Ranked(scores, right, sum(right))}
