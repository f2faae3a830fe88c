"""The official rules of SQuAD 2.0, written anew: what both sides of the QA benchmark go by."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normal(text: str) -> str:
    """
    >>> normal("The  Battle, of a Bridge!")
    'battle of bridge'
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact(gold: str, given: str) -> float:
    return float(normal(gold) == normal(given))


def overlap(gold: str, given: str) -> float:
    """F1 over the bags of words; 1 where both are empty.

    >>> overlap("the red fox", "red"), overlap("", ""), overlap("", "fox")
    (0.6666666666666666, 1.0, 0.0)
    """
    wanted, words = normal(gold).split(), normal(given).split()
    if not wanted or not words:
        return float(wanted == words)
    common = (Counter(wanted) & Counter(words)).total()
    return 2 * common / (len(wanted) + len(words))


def scores(
    golds: list[list[str]], best: list[str], null_scores: list[float], threshold: float = 0.0
) -> dict[str, float]:
    """EM and F1 where a question whose null score is above the threshold gets the answer "".

    `best` is the best answer that is not empty; `golds` has no text for what has no answer. The
    figures `best_*` are those of the threshold that is best on these very questions, `*_span` those
    of the questions with an answer where each is given its best text.
    """
    golds = [[text for text in texts if normal(text)] or [""] for texts in golds]
    points = {
        "exact": [
            max(exact(gold, text) for gold in texts)
            for texts, text in zip(golds, best, strict=True)
        ],
        "f1": [
            max(overlap(gold, text) for gold in texts)
            for texts, text in zip(golds, best, strict=True)
        ],
    }
    nothing = [float(texts == [""]) for texts in golds]
    found: dict[str, float] = {"questions": len(golds)}
    for name, kept in points.items():
        at = [empty if null > threshold else point
              for point, null, empty in zip(kept, null_scores, nothing, strict=True)]  # fmt: skip
        found[name] = mean(at)
        found[f"{name}_has"] = mean(
            point for point, empty in zip(at, nothing, strict=True) if not empty
        )
        found[f"{name}_no"] = mean(point for point, empty in zip(at, nothing, strict=True) if empty)
        found[f"{name}_span"] = mean(
            point for point, empty in zip(kept, nothing, strict=True) if not empty
        )
        found[f"best_{name}"] = best_mean(kept, nothing, null_scores)
    return found


def best_mean(points: list[float], nothing: list[float], null_scores: list[float]) -> float:
    """The best mean over all thresholds: questions are answered in the order of their null score.

    >>> best_mean([1.0, 0.0], [0.0, 1.0], [-2.0, 3.0])
    1.0
    """
    total = top = sum(nothing)
    ranked = sorted(range(len(points)), key=lambda index: null_scores[index])
    for place, index in enumerate(ranked):
        total += points[index] - nothing[index]
        last = place + 1 == len(ranked)
        if last or null_scores[ranked[place + 1]] != null_scores[index]:  # ties stand together
            top = max(top, total)
    return top / len(points)


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
