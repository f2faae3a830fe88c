"""The official scorer of SQuAD 2.0, written from its description: the oracle of our scores."""

from __future__ import annotations

import re
import string
from collections import Counter

import numpy as np

WORDS = [
    "the",
    "a",
    "An",
    "New",
    "York",
    "new-york",
    "1,000",
    "an",
    "U.S.",
    "THE",
    "café",
    "!",
    "é",
]


def normal(text):
    text = "".join(mark for mark in text.lower() if mark not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def official_f1(gold, predicted):
    ours, theirs = normal(predicted).split(), normal(gold).split()
    if not ours or not theirs:
        return int(ours == theirs)
    same = sum((Counter(ours) & Counter(theirs)).values())
    if same == 0:
        return 0
    precision, recall = same / len(ours), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def official(predicted, golds, scores):
    """Raw scores per question and the best score over thresholds, as fractions."""
    exact, f1 = [], []
    for text, gold in zip(predicted, golds, strict=True):
        right = [one for one in gold if normal(one)] or [""]
        exact.append(max(int(normal(one) == normal(text)) for one in right))
        f1.append(max(official_f1(one, text) for one in right))
    found = {"exact_match": np.mean(exact), "f1": np.mean(f1)}
    has = np.array([bool(gold) for gold in golds])
    for name, values in (("exact_match", exact), ("f1", f1)):
        if not has.all():
            if has.any():
                found[f"has_answer_{name}"] = np.mean(np.array(values)[has])
            current = best = int((~has).sum())
            for number in sorted(range(len(golds)), key=lambda one: scores[one]):
                current += values[number] if has[number] else -bool(predicted[number])
                best = max(best, current)
            found[f"best_{name}"] = best / len(golds)
    if not has.all():
        found["no_answer_accuracy"] = np.mean(np.array(exact)[~has])
    return found


def random_case(random, count):
    def text(low):
        return " ".join(random.choice(WORDS, size=random.integers(low, 5)))

    predicted = [text(0) if random.random() < 0.8 else "" for _ in range(count)]
    golds = []
    for one in predicted:
        kind = random.random()
        golds.append([] if kind < 0.3 else [text(1) for _ in range(random.integers(1, 4))])
        if kind > 0.7:
            golds[-1].append(one or "x")
    return predicted, golds, random.permutation(count) / 7 - 3
