"""Answers that are not sure enough are withheld, and are there all the same.

    {"label": None, "score": 0.61, "abstained": True, "withheld": "delivery"}
    {"labels": ["delivery"], "abstained": True, "withheld": ["complaint"]}
    {"entities": [...], "abstained": True, "withheld": [{"label": "PER", "score": 0.4, ...}]}
    {"answer": None, "start": None, "end": None, "abstained": True, "withheld": "under the mat"}

Each answer says whether it abstains, as the columns of a CSV file are the same in every row.
"""

from __future__ import annotations

from typing import Any

from hfkit.spans import OUTSIDE, lenient_spans

Answer = dict[str, Any]


def abstain(answer: Answer, below: float) -> Answer:
    """The answer with what is less sure than `below` withheld; other answers stay as they are.

    >>> abstain({"label": "spam", "score": 0.6}, 0.8)
    {'label': None, 'score': 0.6, 'abstained': True, 'withheld': 'spam'}
    >>> abstain({"label": "spam", "score": 0.9}, 0.8)
    {'label': 'spam', 'score': 0.9, 'abstained': False, 'withheld': None}
    """
    if "entities" in answer:
        return _without_entities(answer, below)
    if "labels" in answer:
        scores = answer["scores"]
        kept = [label for label in answer["labels"] if scores[label] >= below]
        withheld = [label for label in answer["labels"] if scores[label] < below]
        return {**answer, "labels": kept, "abstained": bool(withheld), "withheld": withheld}
    key = "label" if "label" in answer else "answer" if "answer" in answer else ""
    if not key:
        return answer
    if answer["score"] >= below:
        return {**answer, "abstained": False, "withheld": None}
    places = {"start": None, "end": None} if key == "answer" else {}
    return {**answer, key: None, **places, "abstained": True, "withheld": answer[key]}


def _without_entities(answer: Answer, below: float) -> Answer:
    """Leave out entities, and take back their tags."""
    sure = [entity["score"] >= below for entity in answer["entities"]]
    pairs = list(zip(answer["entities"], sure, strict=True))
    tags = list(answer.get("tags", ()))
    spans = lenient_spans(tags)
    if len(spans) == len(pairs):
        for span, kept in zip(spans, sure, strict=True):
            if not kept:
                tags[span.start : span.end] = [OUTSIDE] * (span.end - span.start)
    found = {**answer, "entities": [entity for entity, kept in pairs if kept]}
    if "tags" in answer:
        found["tags"] = tags
    withheld = [entity for entity, kept in pairs if not kept]
    return {**found, "abstained": bool(withheld), "withheld": withheld}


def restored(answer: Answer) -> Answer:
    """The answer as it was before anything was withheld, for scores.

    >>> restored({"label": None, "score": 0.6, "abstained": True, "withheld": "spam"})
    {'label': 'spam', 'score': 0.6, 'abstained': True, 'withheld': 'spam'}
    """
    withheld = answer.get("withheld")
    if not answer.get("abstained") or withheld in (None, ""):
        return answer
    if "entities" in answer:
        both = [*answer["entities"], *withheld]
        return {**answer, "entities": sorted(both, key=lambda one: (one["start"], one["end"]))}
    if "labels" in answer:
        return {**answer, "labels": [*answer["labels"], *withheld]}
    return {**answer, "label" if "label" in answer else "answer": withheld}
