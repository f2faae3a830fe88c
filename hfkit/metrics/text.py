"""Scores of written texts: ROUGE for summaries; BLEU, chrF++ and TER for translations; exact match.

The arithmetic is that of rouge-score and sacreBLEU. What is decided here is what counts as a word
(`text_words`): their tokenizers for English find no word in Chinese or Russian. Which one was taken
is said, and stands beside the scores as the signature under which others can repeat them.

ROUGE and exact match are means over the texts, 0 to 1. BLEU, chrF++ and TER are of all texts
together, from counts that are added up first: a mean of BLEUs is another number. They are given as
everybody quotes them: 0 to 100, and TER, the edits per 100 right words, above 100 where it is bad.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.metrics.base import Answer, Counts, Metric, field
from hfkit.metrics.text_words import bleu_tokenizer, language_of, rouge_tokenizer

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
NORMALIZED = ("zh", "ja")  # TER sees their characters as words, once it is asked to


class Corpus:
    """A score of sacreBLEU: counts of each text, which make one score when they are added up."""

    def __init__(self, scorer: Any, predicted: Sequence[str], right: Sequence[str]) -> None:
        self._scorer = scorer
        # sacreBLEU's own bootstrap and paired tests go through these two methods.
        self.counts = np.array(scorer._extract_corpus_statistics(predicted, [right]))
        self.signature = f"{scorer.get_signature()}"

    def score(self, times: Counts) -> float:
        """The score where each text is taken so many times."""
        added = (times @ self.counts).tolist()
        return float(self._scorer._compute_score_from_stats(added).score)


class Texts(Metric):
    """How like the right texts the written ones are.

    Reads ``text``, and of the gold answer ``text``, ``language`` where it is known, and ``source``,
    what was read: the baseline is to copy it.
    """

    headline: ClassVar[str] = "rougeL"
    right_share: ClassVar[str] = "exact_match"
    lower_is_better = frozenset({"ter"})
    packages: ClassVar[tuple[str, ...]] = ("rouge_score", "sacrebleu")
    parts: ClassVar[tuple[str, ...]] = (*ROUGE, "bleu", "chrf++", "ter", "exact_match")

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        self.predicted = [str(text) for text in field(answers, "text", who="answer")]
        self.right = [str(text) for text in field(gold, "text", who="gold answer")]
        self._gold = gold
        named = next((one["language"] for one in gold if one.get("language")), None)
        self.language = language_of(named, self.right)
        self.of_each: dict[str, Floats] = {}
        self.of_all: dict[str, Corpus] = {}
        self.signatures: dict[str, str] = {}
        if set(ROUGE) & set(self.parts):
            self._add_rouge()
        for name in ("bleu", "chrf++", "ter"):
            if name in self.parts:
                self._add(name)
        same = [a.strip() == b.strip() for a, b in zip(self.predicted, self.right, strict=True)]
        self.of_each["exact_match"] = np.array(same, dtype=np.float64)

    def _add_rouge(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        tokenizer, name = rouge_tokenizer(self.language)
        scorer = RougeScorer(ROUGE, tokenizer=tokenizer)
        pairs = zip(self.right, self.predicted, strict=True)
        scores = [scorer.score(right, predicted) for right, predicted in pairs]
        for kind in ROUGE:
            self.of_each[kind] = np.array([one[kind].fmeasure for one in scores])
        self.signatures["rouge"] = f"F1, {name}, rouge-score {version('rouge-score')}"

    def _add(self, name: str) -> None:
        from sacrebleu.metrics import BLEU, CHRF, TER

        if name == "bleu":
            scorer: Any = BLEU(tokenize=bleu_tokenizer(self.language), force=True)
        elif name == "chrf++":
            scorer = CHRF(word_order=2)
        else:
            asian = self.language in NORMALIZED
            scorer = TER(normalized=asian, asian_support=asian)
        self.of_all[name] = Corpus(scorer, self.predicted, self.right)
        self.signatures[name] = self.of_all[name].signature

    def weighted(self, counts: Counts) -> dict[str, float]:
        scores = {name: _mean(self.of_each[name], counts) for name in self.of_each}
        scores |= {name: part.score(counts) for name, part in self.of_all.items()}
        return {name: scores[name] for name in self.parts}

    def tables(self) -> dict[str, Any]:
        for name, signature in self.signatures.items():
            log.info("%s: %s", name, signature)
        return {
            "language": self.language or "not known",
            "signatures": self.signatures,
            "characters": {
                "written": float(np.mean([len(text) for text in self.predicted])),
                "right": float(np.mean([len(text) for text in self.right])),
            },
            "undefined": {},
        }

    def baseline(self) -> dict[str, float]:
        """The scores of copying what was read; none where that is not known."""
        sources = [one.get("source") for one in self._gold]
        if any(source is None for source in sources):
            return {}
        answers = [{"text": text} for text in self._copied([str(one) for one in sources])]
        return type(self)(answers, self._gold, self.labels).values()

    def _copied(self, sources: Sequence[str]) -> list[str]:
        return list(sources)

    def is_right(self) -> NDArray[np.bool_]:
        """Whether a text is the right one, white space around it aside."""
        return np.asarray(self.of_each["exact_match"] == 1)


class Summaries(Texts):
    """ROUGE of summaries; the baseline is the beginning of the text, as long as summaries are."""

    packages: ClassVar[tuple[str, ...]] = ("rouge_score",)
    parts: ClassVar[tuple[str, ...]] = (*ROUGE, "exact_match")

    def _copied(self, sources: Sequence[str]) -> list[str]:
        length = round(sum(map(len, self.right)) / len(self.right))
        return [beginning(source, length) for source in sources]


class Translations(Texts):
    """BLEU, chrF++ and TER of translations; the baseline is the text as it was."""

    headline: ClassVar[str] = "chrf++"
    packages: ClassVar[tuple[str, ...]] = ("sacrebleu",)
    parts: ClassVar[tuple[str, ...]] = ("bleu", "chrf++", "ter", "exact_match")


def beginning(text: str, length: int) -> str:
    """The first `length` characters of a text, without the word that is cut.

    >>> beginning("The cat sat on the mat", 9), beginning("他坐在垫子上", 3)
    ('The cat', '他坐在')
    """
    cut = text[:length]
    if len(text) <= length or text[length].isspace() or " " not in cut:
        return cut
    return cut[: cut.rindex(" ")]


def _mean(values: Floats, counts: Counts) -> float:
    total = counts.sum()
    return float(values @ counts / total) if total else float("nan")
