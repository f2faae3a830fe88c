"""When two answers are the same: exact match and F1 after normalising, per language.

What is normalised away depends on the language. `Rules` holds the choices; `rules_for` takes them
from a language that was named, else from the script that most words of the gold answers are written
in (a CJK character is a word). Latin script is compared by the official rules of SQuAD 2.0
(Rajpurkar et al. 2018), digit for digit. `Sweep` finds the threshold above which a question is best
left unanswered.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# German and Spanish as in the scorer of MLQA (Lewis et al. 2020).
ARTICLES = {
    "en": ("a", "an", "the"),
    "de": (
        *("ein", "eine", "einen", "einem", "eines", "einer"),
        *("der", "die", "das", "den", "dem", "des"),
    ),
    "es": ("un", "una", "unos", "unas", "el", "la", "los", "las"),
}
BY_CHARACTER = ("zh", "ja", "ko")
# Han, kana and Hangul; one token each. Korean is scored by characters as in KorQuAD.
CHARACTER = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class Rules:
    """What does not count when two answers are compared."""

    name: str
    articles: tuple[str, ...] = ()
    characters: bool = False  # each CJK character is a token
    ascii_only: bool = False  # only ASCII punctuation is dropped, as SQuAD has it

    def normalize(self, text: str) -> str:
        """Lower case, no punctuation, no articles, single spaces.

        >>> OFFICIAL.normalize("The  Beatles' album")
        'beatles album'
        """
        kept = "".join(mark for mark in text.lower() if not self._is_punctuation(mark))
        if self.articles:
            kept = re.sub(rf"\b({'|'.join(self.articles)})\b", " ", kept)
        return " ".join(kept.split())

    def tokens(self, text: str) -> list[str]:
        """The words of a text after normalising; in CJK text each character.

        >>> CHARACTERS.tokens("北京大学 (PKU)。")
        ['北', '京', '大', '学', 'pku']
        """
        normal = self.normalize(text)
        return (CHARACTER.sub(r" \g<0> ", normal) if self.characters else normal).split()

    def _is_punctuation(self, mark: str) -> bool:
        if mark in string.punctuation:
            return True
        return not self.ascii_only and unicodedata.category(mark).startswith("P")


OFFICIAL = Rules("squad", ARTICLES["en"], ascii_only=True)
CHARACTERS = Rules("characters", characters=True)
WORDS = Rules("words")


def rules_for(language: str | None, texts: Iterable[str]) -> Rules:
    """The rules for a language (``en``, ``de``, ``zh``, …), or for the script of most words.

    Latin script, and text without letters, is scored as English; CJK by characters; any other
    script by words without articles. Other languages than those of `ARTICLES` have none.

    >>> rules_for(None, ["北京", "in 2008"]).name, rules_for("fr-CA", ["le chat"]).name
    ('characters', 'words')
    """
    if language:
        code = re.split("[-_]", language.lower())[0]
        if code in BY_CHARACTER:
            return CHARACTERS
        return OFFICIAL if code == "en" else Rules("words", ARTICLES.get(code, ()))
    words = CHARACTER.sub(r" \g<0> ", " ".join(texts)).split()
    scripts = Counter(map(_script, words))
    scripts.pop("", None)
    most = max(scripts, key=lambda script: scripts[script], default="latin")
    return {"latin": OFFICIAL, "cjk": CHARACTERS}.get(most, WORDS)


def _script(word: str) -> str:
    """The script of the first letter; "" where there is none."""
    if CHARACTER.match(word):
        return "cjk"
    letter = next(filter(str.isalpha, word), "")
    if not letter:
        return ""
    return "latin" if "LATIN" in unicodedata.name(letter, "") else "other"


def token_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """F1 of two bags of tokens; 1 where both are empty, 0 where one is.

    >>> token_f1(["new", "york"], ["york", "city"])
    0.5
    """
    if not gold or not predicted:
        return float(gold == predicted)
    common = sum((Counter(gold) & Counter(predicted)).values())
    return _harmonic(common, len(predicted), len(gold))


def run_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """F1 over the longest common run of neighbouring tokens, as CMRC 2018 scores.

    >>> round(run_f1("北京市", "北市京市"), 3)  # the longest run is 京市
    0.571
    """
    longest, before = 0, [0] * (len(predicted) + 1)
    for one in gold:
        row = [0]
        for number, other in enumerate(predicted):
            row.append(before[number] + 1 if one == other else 0)
        longest, before = max(longest, *row), row
    return _harmonic(longest, len(predicted), len(gold))


def _harmonic(common: int, predicted: int, gold: int) -> float:
    """The harmonic mean of common / predicted and common / gold."""
    if not common:
        return 0.0
    precision, recall = common / predicted, common / gold
    return 2 * precision * recall / (precision + recall)


class Compared:
    """Predicted texts compared with their gold answers: one number per question.

    `exact` and `f1` are the best over the gold answers. A gold answer that normalises to nothing
    does not count; with none left, only an answer that is nothing is right (SQuAD 2.0).
    """

    def __init__(
        self, predicted: Sequence[str], gold: Sequence[Sequence[str]], rules: Rules
    ) -> None:
        exact, f1 = [], []
        for text, golds in zip(predicted, gold, strict=True):
            right = [rules.tokens(one) for one in golds if rules.normalize(one)] or [[]]
            wanted = {rules.normalize(one) for one in golds} - {""} or {""}
            tokens = rules.tokens(text)
            exact.append(rules.normalize(text) in wanted)
            f1.append(max(token_f1(one, tokens) for one in right))
        self.exact: Floats = np.array(exact, dtype=np.float64)
        self.f1: Floats = np.array(f1, dtype=np.float64)


class Sweep:
    """What the scores would be if a question went unanswered above a threshold.

    Questions are taken in the order of `scores`; up to the threshold each has its answer (with its
    part in `given`), above it none, which is right where there is no answer.
    """

    def __init__(
        self,
        scores: Floats,
        given: Mapping[str, Floats],
        answerable: NDArray[np.bool_],
        told: NDArray[np.bool_],
    ) -> None:
        self.order = np.argsort(scores, kind="stable")
        self.scores = scores[self.order]
        self.unanswerable = ~answerable
        # An answer gains its part where there is one, and loses the point where there is none.
        self.gains = {
            name: np.where(answerable, part, -told.astype(float))[self.order]
            for name, part in given.items()
        }
        # A threshold cannot fall between equal scores.
        self.ends = np.append(self.scores[1:] > self.scores[:-1], True)

    def best(self, name: str, counts: NDArray[np.int64]) -> tuple[float, float]:
        """The best score over all thresholds, and the middle of the gap that gives it.

        A threshold below (above) all scores means that no (every) question is best answered.
        """
        ordered = counts[self.order]
        reached = np.cumsum(self.gains[name] * ordered)[self.ends]
        start = float(self.unanswerable @ counts)
        values = self.scores[self.ends]
        place = int(reached.argmax())
        if reached[place] <= 0:
            return start / counts.sum(), float(values[0] - 1) if np.isfinite(values[0]) else 0.0
        after = values[place + 1] if place + 1 < len(values) else np.inf
        lower = values[place]
        threshold = (lower + after) / 2 if np.isfinite(after) else lower + 1
        return (start + float(reached[place])) / counts.sum(), float(threshold)


def best_threshold(
    answers: Sequence[Mapping[str, Any]], gold: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """The best F1 over all thresholds of ``no_answer_score``, and the threshold that gives it."""
    golds = texts_of(gold)
    sweep = sweep_of(answers, golds, rules_of(gold, golds))
    return sweep.best("f1", np.ones(len(answers), dtype=np.int64))


def texts_of(gold: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The right answers to each question, without their places."""
    return [
        [one if isinstance(one, str) else one["text"] for one in right["answers"]] for right in gold
    ]


def rules_of(gold: Sequence[Mapping[str, Any]], texts: Sequence[Sequence[str]]) -> Rules:
    """The rules for gold answers, by the ``language`` they name or by their texts."""
    language = next((one["language"] for one in gold if one.get("language")), None)
    return rules_for(language, (text for right in texts for text in right))


def sweep_of(
    answers: Sequence[Mapping[str, Any]], golds: Sequence[Sequence[str]], rules: Rules
) -> Sweep:
    """The sweep over ``no_answer_score``, with the ``best_answer`` given below a threshold."""
    # None: there is no answer to compare with, at any threshold.
    scores = [one["no_answer_score"] for one in answers]
    texts = [one.get("best_answer") or one["answer"] for one in answers]
    given = Compared(texts, golds, rules)
    return Sweep(
        np.array([np.inf if one is None else float(one) for one in scores]),
        {"exact_match": given.exact, "f1": given.f1},
        np.array([bool(right) for right in golds]),
        np.array([bool(text) for text in texts]),
    )
