"""The shells `rouge`, `sacrebleu`, `chrf`, `ter` and `exact_match`: keys and scales of the Hub.

`rouge` gives means over the texts, where the Hub's module gives the middle of resampled means,
which are drawn anew each time.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import numpy as np

from hfkit.errors import InputError
from hfkit.metrics.shells import Shell
from hfkit.metrics.text import ROUGE

ROUGE_SOURCE = "https://github.com/google-research/google-research/tree/master/rouge"
SACREBLEU = "https://github.com/mjpost/sacrebleu"


class TextShell(Shell):
    """One text beside one right text, or beside several."""

    def _inputs(self) -> Mapping[str, Any]:
        text = datasets.Value("string")
        return {"predictions": text, "references": text}

    def _info(self) -> Any:
        info = super()._info()
        text = datasets.Value("string")
        several = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        info.features = [several, info.features]  # evaluate takes the first that fits
        return info


class Rouge(TextShell):
    score = "ROUGE: F1 of the words, pairs of words, and longest common subsequences, 0 to 1."
    source = ROUGE_SOURCE

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[Any],
        rouge_types: Sequence[str] | None = None,
        use_aggregator: bool = True,
        use_stemmer: bool = False,
        tokenizer: Any = None,
    ) -> dict[str, Any]:
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        given = Tokenized(tokenizer) if tokenizer else DefaultTokenizer(use_stemmer)
        kinds = list(rouge_types or ROUGE)
        scorer = RougeScorer(kinds, tokenizer=given)
        scores = [
            scorer.score_multi([right] if isinstance(right, str) else right, text)
            for text, right in zip(predictions, references, strict=True)
        ]
        found = {kind: [one[kind].fmeasure for one in scores] for kind in kinds}
        if not use_aggregator:
            return found
        return {kind: float(np.mean(values)) for kind, values in found.items()}


class Tokenized:
    """A function that cuts texts, as rouge-score asks for it."""

    def __init__(self, tokenize: Any) -> None:
        self.tokenize = tokenize


def scored(
    scorer: Any, predictions: Sequence[str], references: Sequence[Any], names: Sequence[str]
) -> dict[str, Any]:
    """What sacreBLEU finds over all texts, as far as the module on the Hub tells it."""
    found = scorer.corpus_score(predictions, turned(references))
    return {name: getattr(found, name) for name in names}


class Sacrebleu(TextShell):
    score = "BLEU of sacreBLEU: how many runs of one to four words are right, 0 to 100."
    source = SACREBLEU

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[Any],
        smooth_method: str = "exp",
        smooth_value: float | None = None,
        force: bool = False,
        lowercase: bool = False,
        tokenize: str | None = None,
        use_effective_order: bool = False,
    ) -> dict[str, Any]:
        from sacrebleu.metrics import BLEU

        scorer = BLEU(
            lowercase=lowercase,
            force=force,
            tokenize=tokenize,
            smooth_method=smooth_method,
            smooth_value=smooth_value,
            effective_order=use_effective_order,
        )
        names = ("score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len")
        return scored(scorer, predictions, references, names)


class Chrf(TextShell):
    score = "chrF: F score of the runs of one to six characters, 0 to 100; word_order=2: chrF++."
    source = SACREBLEU

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[Any],
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
    ) -> dict[str, Any]:
        from sacrebleu.metrics import CHRF

        scorer = CHRF(char_order, word_order, beta, lowercase, whitespace, eps_smoothing)
        names = ("score", "char_order", "word_order", "beta")
        return scored(scorer, predictions, references, names)


class Ter(TextShell):
    score = "TER: edits per 100 right words; lower is better."
    source = SACREBLEU

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[Any],
        normalized: bool = False,
        ignore_punct: bool = False,
        support_zh_ja_chars: bool = False,
        case_sensitive: bool = False,
    ) -> dict[str, Any]:
        from sacrebleu.metrics import TER

        scorer = TER(normalized, ignore_punct, support_zh_ja_chars, case_sensitive)
        names = ("score", "num_edits", "ref_length")
        return scored(scorer, predictions, references, names)


class ExactMatch(Shell):
    score = "Exact match: the share of texts that are the right text, 0 to 1."
    source = "https://huggingface.co/spaces/evaluate-metric/exact_match"
    dtype = "string"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        regexes_to_ignore: Sequence[str] | None = None,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        ignore_numbers: bool = False,
    ) -> dict[str, Any]:
        left_out = string.punctuation if ignore_punctuation else ""
        left_out += string.digits if ignore_numbers else ""

        def plain(text: str) -> str:
            for pattern in regexes_to_ignore or ():
                text = re.sub(pattern, "", text)
            text = text.lower() if ignore_case else text
            return text.translate(str.maketrans("", "", left_out))

        pairs = zip(predictions, references, strict=True)
        same = [plain(text) == plain(right) for text, right in pairs]
        return {"exact_match": float(np.mean(same))}


def turned(references: Sequence[Any]) -> list[list[str]]:
    """Right texts by text, as a list for each of them that a text has. Raises `InputError` where
    texts have different numbers of them.

    >>> turned([["a", "b"], ["c", "d"]]), turned(["a", "c"])
    ([['a', 'c'], ['b', 'd']], [['a', 'c']])
    """
    lists = [[one] if isinstance(one, str) else list(one) for one in references]
    if len({len(one) for one in lists}) > 1:
        raise InputError("every text needs as many right texts as the first")
    return [list(one) for one in zip(*lists, strict=True)]
