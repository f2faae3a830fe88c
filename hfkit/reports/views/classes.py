"""Answers that are labels: one, or any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hfkit.reports.charts import ALL
from hfkit.reports.curves import Ranked
from hfkit.reports.markup import element, isolated, table
from hfkit.reports.material import Answer, Material, Row
from hfkit.reports.views.base import Sure, View, texts_of

LARGEST_MATRIX = 40
SHADES = 8
BARS = 3  # most labels whose scores are listed


class SingleLabel(View):
    """One label: the worst error is the one that gives the right label the lowest score."""

    thresholds = ("share right", "share answered")

    def error(self, answer: Answer, gold: Answer) -> float:
        if answer["label"] == gold["label"]:
            return 0.0
        return 1.0 - float(answer.get("scores", {}).get(gold["label"], 0.0))

    def said(self, answer: Answer, gold: Answer) -> str:
        return versus(gold["label"], answer["label"])

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        return texts_of(row) + bars(answer.get("scores", {}), {gold["label"]})

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        if not all("score" in one for one in answers):
            return None
        right = [one["label"] == other["label"] for one, other in zip(answers, gold, strict=True)]
        return Sure([one["score"] for one in answers], right)

    def ranked(self, material: Material) -> dict[str, Ranked]:
        if not all("scores" in one for one in material.answers):
            return {}
        labels = list(material.labels)
        if len(labels) == 2:
            return {labels[1]: self._of(labels[1], material)}
        every = [self._of(label, material) for label in labels]
        together = Ranked(
            [score for one in every for score in one.scores],
            [right for one in every for right in one.right],
            sum(one.wanted for one in every),
        )
        some = sorted(zip(labels, every, strict=True), key=lambda pair: -pair[1].wanted)
        return {ALL: together, **{label: one for label, one in some if one.wanted}}

    def cut(self, material: Material) -> Ranked | None:
        """The score of the answer: below it a row would go to a person."""
        sure = self.sure(material.answers, material.gold)
        return Ranked(sure.confidences, sure.correct, len(material.gold)) if sure else None

    def _of(self, label: str, material: Material) -> Ranked:
        right = [one["label"] == label for one in material.gold]
        scores = [float(one["scores"].get(label, 0.0)) for one in material.answers]
        return Ranked(scores, right, sum(right))

    def tables(self, material: Material) -> str:
        return per_class(material) + confusion(material.scores.tables.get("confusion_matrix"))


class MultiLabel(View):
    """Any number of labels: an error is the share of labels that the two do not have in common."""

    def error(self, answer: Answer, gold: Answer) -> float:
        given, right = set(answer["labels"]), set(gold["labels"])
        return len(given ^ right) / len(given | right) if given | right else 0.0

    def confidence(self, answer: Answer) -> float | None:
        scores = [answer["scores"][one] for one in answer["labels"] if "scores" in answer]
        return max(scores, default=None)

    def said(self, answer: Answer, gold: Answer) -> str:
        return versus(", ".join(gold["labels"]) or "none", ", ".join(answer["labels"]) or "none")

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        return texts_of(row) + bars(answer.get("scores", {}), set(gold["labels"]))

    def sure(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> Sure | None:
        if not all("scores" in one for one in answers):
            return None
        pairs = [
            (score, label in other["labels"])
            for one, other in zip(answers, gold, strict=True)
            for label, score in one["scores"].items()
        ]
        return Sure([score for score, _ in pairs], [right for _, right in pairs], "labels of rows")

    def ranked(self, material: Material) -> dict[str, Ranked]:
        sure = self.sure(material.answers, material.gold)
        if sure is None:
            return {}
        together = Ranked(sure.confidences, sure.correct, sum(sure.correct))
        found = {}
        for label in material.labels:
            right = [label in one["labels"] for one in material.gold]
            scores = [float(one["scores"].get(label, 0.0)) for one in material.answers]
            found[label] = Ranked(scores, right, sum(right))
        some = sorted(found.items(), key=lambda pair: -pair[1].wanted)
        return {ALL: together, **{label: one for label, one in some if one.wanted}}

    def tables(self, material: Material) -> str:
        return per_class(material)


def versus(right: object, predicted: object) -> str:
    """The right one and the predicted one, in a line."""
    return (
        f"{element('span', isolated(right), kind='chip right')}"
        f'<span class="arrow"> predicted as </span>'
        f"{element('span', isolated(predicted), kind='chip wrong')}"
    )


def bars(scores: dict[str, float], right: set[str]) -> str:
    """The scores of the likeliest labels and of the right ones, as bars."""
    ranked = sorted(scores.items(), key=lambda pair: -pair[1])
    shown = [pair for place, pair in enumerate(ranked) if place < BARS or pair[0] in right]
    rows = "".join(
        f"<li>{element('span', isolated(label), kind='name right' if label in right else 'name')}"
        f'<meter min="0" max="1" value="{score:.4f}"></meter>'
        f"{element('span', f'{score:.3f}', kind='number')}</li>"
        for label, score in shown[: 3 * BARS]
    )
    return element("ul", rows, kind="bars") if rows else ""


def per_class(material: Material, counted: str = "rows") -> str:
    """Precision, recall and F1 of each label; `counted` is what has a label."""
    rows: list[dict[str, Any]] = material.scores.tables.get("per_class", [])
    if not rows:
        return ""
    cells = [
        [
            isolated(one["label"]),
            f"{one['support']:,}",
            f"{one['predicted']:,}",
            *(f"{one[name]:.4f}" for name in ("precision", "recall", "f1")),
        ]
        for one in rows
    ]
    head = ["label", counted, "predicted", "precision", "recall", "F1"]
    return element("h3", "By label") + table(head, cells, numbers=range(1, 6))


def confusion(found: dict[str, Any] | None) -> str:
    """The confusion matrix: a row for each right label, shaded by its share of that row."""
    if not found or len(found["labels"]) > LARGEST_MATRIX:
        return ""
    labels = found["labels"]
    head = "".join(f'<th scope="col">{isolated(label)}</th>' for label in labels)
    body = ""
    for number, (label, counts) in enumerate(zip(labels, found["matrix"], strict=True)):
        total = sum(counts) or 1
        cells = "".join(
            _cell(count, count / total, right=column == number)
            for column, count in enumerate(counts)
        )
        body += f'<tr><th scope="row">{isolated(label)}</th>{cells}</tr>'
    corner = "<td>right ↓ predicted →</td>"
    inner = f"<thead><tr>{corner}{head}</tr></thead><tbody>{body}</tbody>"
    note = element("p", "Shaded by the share of the row’s right label.", kind="note")
    box = element("div", element("table", inner, kind="matrix"), kind="scroll", tabindex="0")
    return element("h3", "Confusion matrix") + note + box


def _cell(count: int, share: float, *, right: bool) -> str:
    shade = min(SHADES, int(share * SHADES + 0.999)) if count else 0
    kind = f"{'hit' if right else 'miss'} shade-{shade}" if count else "nothing"
    return element("td", str(count) if count else "·", kind=kind)
