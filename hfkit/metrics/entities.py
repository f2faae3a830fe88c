"""Scores of entities in texts: found exactly, found leniently, found in part.

The one fact to know: an entity counts as found only with its exact borders and its label, and an
entity that was lost on the way (cut off with a long text, without a token) is still one to find.
`f1` is that strict score, over all entities; seqeval's strict mode gives the same. Its *default*
mode, which most papers report, forgives tags that break their scheme; `f1_lenient` is that one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, field
from hfkit.metrics.confusion import ClassCounts, averages, precision_recall_f1
from hfkit.metrics.overlaps import OUTCOMES, WAYS, overlap_counts, overlap_f1
from hfkit.spans import OUTSIDE, Span, lenient_spans, split

NO_TAGS = "the answers hold no tags: the texts did not come as words"


class Entities(Metric):
    """Entities per text: precision, recall and F1 over all of them (micro) and over types (macro).

    Reads ``entities`` (each with start, end and label; the same one twice counts once) and, where
    both sides have them, ``tags``, one per word: for `accuracy`, the share of words with the right
    tag, and for `f1_lenient`. `f1_partial`, `f1_type` and `f1_boundary` count overlaps
    (metrics/overlaps.py). Examples of one ``document`` of the gold answers are drawn together for
    the intervals. Macro averages run over the types that occur in gold or predicted entities.
    """

    headline: ClassVar[str] = "f1"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        predicted = [_spans(one) for one in field(answers, "entities", who="answer")]
        expected = [_spans(one) for one in field(gold, "entities", who="gold answer")]
        self.gold = gold
        self.clusters = _documents(gold)
        declared = {split(label)[1] for label in labels} - {""}
        seen = {span.label for span in chain(*predicted, *expected)}
        self.types = sorted(declared | seen)
        self._right = np.array([a == b for a, b in zip(predicted, expected, strict=True)])
        both = [one & other for one, other in zip(predicted, expected, strict=True)]
        self._found = [_table(one, self.types) for one in (both, predicted, expected)]
        pairs = zip(expected, predicted, strict=True)
        self._overlaps = np.stack([overlap_counts(list(one), list(two)) for one, two in pairs])
        self._tags = _tag_counts(answers, gold)

    def weighted(self, counts: Counts) -> dict[str, float]:
        strict = averages(self._class_counts(counts))
        scores = {name: strict[f"{name}_micro"] for name in ("precision", "recall", "f1")}
        scores["f1_macro"] = strict["f1_macro"]
        scores |= dict.fromkeys(("f1_lenient", "accuracy"), np.nan)
        if self._tags is not None:
            right, words, found, answered, expected = counts @ self._tags
            scores["f1_lenient"] = 2 * found / max(answered + expected, 1)
            scores["accuracy"] = right / words if words else np.nan
        shares = overlap_f1(np.tensordot(counts, self._overlaps, 1))
        scores |= {f"f1_{way}": one for way, one in zip(WAYS, shares, strict=True)}
        del scores["f1_strict"]  # f1, but for entities that lie in each other
        return scores

    def tables(self) -> dict[str, Any]:
        every = np.ones(self.count, dtype=np.int64)
        found = self._class_counts(every)
        precision, recall, f1 = precision_recall_f1(found)
        rows = [
            {
                "label": label,
                "support": int(found.support[number]),
                "predicted": int(found.predicted[number]),
                "precision": float(precision[number]),
                "recall": float(recall[number]),
                "f1": float(f1[number]),
            }
            for number, label in enumerate(self.types)
        ]
        overlaps = {
            way: dict(zip(OUTCOMES, row, strict=True))
            for way, row in zip(WAYS, self._overlaps.sum(axis=0).tolist(), strict=True)
        }
        undefined = (
            {} if self._tags is not None else dict.fromkeys(("f1_lenient", "accuracy"), NO_TAGS)
        )
        return {"per_class": rows, "overlaps": overlaps, "undefined": undefined}

    def baseline(self) -> dict[str, float]:
        """No entity anywhere: 0 but for `accuracy`, where most words are outside."""
        nothing = [
            {"entities": [], **({"tags": [OUTSIDE] * len(one["tags"])} if "tags" in one else {})}
            for one in self.gold
        ]
        return Entities(nothing, self.gold, []).values()

    def is_right(self) -> NDArray[np.bool_]:
        """Whether every entity of a text is found, and nothing else."""
        return self._right

    def _class_counts(self, counts: Counts) -> ClassCounts:
        size = len(self.types)
        right, predicted, support = (
            np.bincount(label, counts[example], minlength=size) for example, label in self._found
        )
        return ClassCounts(right, predicted, support)


def _spans(entities: Sequence[Mapping[str, Any]]) -> set[Span]:
    return {Span(one["start"], one["end"], one["label"]) for one in entities}


def _documents(gold: Sequence[Answer]) -> list[Hashable] | None:
    """What the examples are drawn by: their document, else each on its own.

    A single document says nothing of how documents differ; its examples are drawn then.
    """
    names = [one.get("document", ("alone", number)) for number, one in enumerate(gold)]
    return names if 1 < len(set(names)) < len(names) else None


def _table(entities: Sequence[set[Span]], types: Sequence[str]) -> NDArray[np.intp]:
    """Example and type of every entity, shape ``[2, entities]``."""
    index = {label: number for number, label in enumerate(types)}
    pairs = [(row, index[span.label]) for row, spans in enumerate(entities) for span in spans]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2).T


def _tag_counts(answers: Sequence[Answer], gold: Sequence[Answer]) -> NDArray[np.int64] | None:
    """Per example: right tags, words; entities read leniently: found, predicted, right.

    None unless all answers and gold answers have tags.
    """
    if not all("tags" in one for one in chain(answers, gold)):
        return None
    rows = []
    for number, (answer, expected) in enumerate(zip(answers, gold, strict=True), start=1):
        given, wanted = answer["tags"], expected["tags"]
        if len(given) != len(wanted):
            raise InputError(f"{len(given)} tags for {len(wanted)} words", place=f"answer {number}")
        found, right = set(lenient_spans(given)), set(lenient_spans(wanted))
        same = sum(one == other for one, other in zip(given, wanted, strict=True))
        rows.append([same, len(wanted), len(found & right), len(found), len(right)])
    return np.array(rows, dtype=np.int64)
