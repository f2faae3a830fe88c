"""Scores of a model that goes on with texts: of the right tokens, and of what it has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hfkit.metrics.base import Answer, Counts, Metric
from hfkit.metrics.language import NextTokens
from hfkit.metrics.text import Texts


class WrittenTexts(Metric):
    """The scores of `NextTokens` and those of `Texts`."""

    headline: ClassVar[str] = "rougeL"
    lower_is_better: ClassVar[frozenset[str]] = NextTokens.lower_is_better | Texts.lower_is_better
    packages: ClassVar[tuple[str, ...]] = Texts.packages

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self.tokens = NextTokens(answers, gold, labels)
        self.texts = Texts(answers, gold, labels)

    def weighted(self, counts: Counts) -> dict[str, float]:
        return {**self.tokens.weighted(counts), **self.texts.weighted(counts)}

    def tables(self) -> dict[str, Any]:
        return {**self.texts.tables(), **self.tokens.tables()}

    def baseline(self) -> dict[str, float]:
        """None: to copy a prompt is no way to go on with it."""
        return {}
