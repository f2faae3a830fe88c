"""Tell how loud a text is: the share of its letters that are capital.

    in    {"text": "STOP it"}
    out   {"loudness": 0.67}

The target needs no label column: it is in the text. That is the one detail to get right here: a
tokenizer that lowercases cannot learn it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.config import Section, setting
from hfkit.metrics.base import Counts, Metric, field
from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row, Task

if TYPE_CHECKING:
    from hfkit.text import Tokenizer


class ShoutingOptions(Section):
    """Options of the task."""

    scale: float = setting(1.0, "Loudness of a text in capitals", changes_result=True, gt=0)


class Shouting(Task[ShoutingOptions]):
    """How loud a text is."""

    columns: ClassVar[Mapping[str, str]] = {"text": "the text"}
    auto_class = "AutoModelForSequenceClassification"
    Options = ShoutingOptions
    metric = "loudness"
    best = "-error"
    loss = "mean_squared_error"

    def learn(self, rows: Sequence[Row]) -> None:
        """Nothing depends on the rows."""

    def head(self) -> dict[str, Any]:
        """One number."""
        return {"num_labels": 1, "problem_type": "regression"}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """Nothing to take from the model."""

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row per text, cut at the window."""
        encoded = tokenizer.encode([row["text"] for row in rows], on_long="truncate")
        return [{**parts[0], "_row": number} for number, parts in enumerate(encoded)]

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """The loudness is in the text."""
        for part, answer in zip(encoded, self.gold(rows), strict=True):
            part["labels"] = answer["loudness"]

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """The logit is the answer."""
        return [{"loudness": float(output["logits"][0])} for output in outputs]

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """Share of capitals among the letters."""
        answers = []
        for row in rows:
            letters = [letter for letter in row["text"] if letter.isalpha()]
            share = sum(letter.isupper() for letter in letters) / max(len(letters), 1)
            answers.append({"loudness": self.options.scale * share})
        return answers


class Loudness(Metric):
    """Mean absolute error of the loudness."""

    headline = "error"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        import numpy as np

        super().__init__(answers, gold, labels)
        self.truth = np.array(field(gold, "loudness", who="gold"))
        self.off = np.abs(np.array(field(answers, "loudness", who="answer")) - self.truth)

    def weighted(self, counts: Counts) -> dict[str, float]:
        """The mean over the examples, as often as each is counted."""
        return {"error": float((self.off * counts).sum() / counts.sum())}

    def tables(self) -> dict[str, Any]:
        """Nothing more to tell."""
        return {}

    def baseline(self) -> dict[str, float]:
        """Always answering the mean."""
        return {"error": float(abs(self.truth - self.truth.mean()).mean())}
