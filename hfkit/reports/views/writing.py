"""Answers that are texts, and language models: what was written beside what is right."""

from __future__ import annotations

from hfkit.answers import rules_for, token_f1
from hfkit.reports.markup import element, passage
from hfkit.reports.material import Answer, Row
from hfkit.reports.views.base import View, sides, texts_of


class Written(View):
    """Texts: the fewer words two of them share, the worse."""

    graded = True

    def error(self, answer: Answer, gold: Answer) -> float:
        rules = rules_for(gold.get("language"), [gold["text"]])
        return 1.0 - token_f1(rules.tokens(gold["text"]), rules.tokens(str(answer["text"])))

    def said(self, answer: Answer, gold: Answer) -> str:
        share = 1.0 - self.error(answer, gold)
        return element("span", f"{share:.0%} of the words shared", kind="chip")

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        written = str(answer.get("text", ""))
        return texts_of(row) + sides(
            {"right": passage(gold["text"]), "predicted": passage(written)}
        )


class Language(View):
    """Texts a language model reads: the less probable their tokens, the worse."""

    graded = True
    counted: tuple[str, ...] = ("tokens", "masked", "pairs")
    losses: tuple[str, ...] = ("loss", "next_loss")

    def error(self, answer: Answer, gold: Answer) -> float:
        number = next((answer[name] for name in self.counted if answer.get(name)), 0)
        loss = next((answer[name] for name in self.losses if answer.get(name) is not None), 0.0)
        return max(0.0, float(loss) / number) if number else 0.0

    def confidence(self, answer: Answer) -> float | None:
        return None

    def said(self, answer: Answer, gold: Answer) -> str:
        return element("span", f"loss {self.error(answer, gold):.3f} a token", kind="chip")

    def drawn(self, row: Row, answer: Answer, gold: Answer) -> str:
        return texts_of(row)


class Pairs(Language):
    """Pairs of texts of next-sentence prediction, scored before anything else of the answer."""

    counted = ("pairs", "masked")
    losses = ("next_loss", "loss")
