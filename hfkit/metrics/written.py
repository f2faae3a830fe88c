"""Scores of a model that goes on with texts: of the right tokens, and of what it has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.metrics.base import Answer, Counts, Metric
from hfkit.metrics.language import NextTokens
from hfkit.metrics.text import Texts


class WrittenTexts(Metric):
    """The scores of `NextTokens` and those of `Texts`."""

    headline: ClassVar[str] = "rougeL"
    lower_is_better: ClassVar[frozenset[str]] = NextTokens.lower_is_better | Texts.lower_is_better
    packages: ClassVar[tuple[str, ...]] = Texts.packages
    right_share: ClassVar[str] = Texts.right_share

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

    def is_right(self) -> NDArray[np.bool_]:
        """Whether a text is the right one."""
        return self.texts.is_right()

    def baseline(self) -> dict[str, float]:
        """None: to copy a prompt is no way to go on with it."""
        return {}
