"""The shell `seqeval`: entities read off tags, scored per type and overall, 0 to 1.

Without ``mode="strict"`` entities are read as conlleval does, whatever the scheme, and a broken
sequence of tags may still count as right; `scheme` matters in strict mode only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from hfkit.errors import InputError, did_you_mean
from hfkit.metrics.shells import Shell
from hfkit.spans import OUTSIDE, Scheme, Span, lenient_spans, split, strict_spans

SCHEMES: dict[str, Scheme] = {
    "IOB1": "iob1",
    "IOB2": "iob2",
    "IOBES": "bioes",
    "BILOU": "bilou",
}


class Seqeval(Shell):
    score = "seqeval: precision, recall and F1 of entities, per type and overall; tag accuracy."
    source = "https://github.com/chakki-works/seqeval"

    def _inputs(self) -> Mapping[str, Any]:
        tags = datasets.Sequence(datasets.Value("string"))
        return {"predictions": tags, "references": tags}

    def _compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        suffix: bool = False,
        scheme: str | None = None,
        mode: str | None = None,
        sample_weight: Any = None,
        zero_division: Any = "warn",
    ) -> dict[str, Any]:
        if scheme is not None and scheme not in SCHEMES:
            raise InputError(f"unknown scheme '{scheme}'", hint=did_you_mean(scheme, SCHEMES))
        if sample_weight is not None:
            raise InputError("entities cannot be weighted by example")
        if [len(one) for one in predictions] != [len(one) for one in references]:
            raise InputError("predictions and references differ in their numbers of tags")
        if suffix:
            predictions = [[_turned(tag) for tag in tags] for tags in predictions]
            references = [[_turned(tag) for tag in tags] for tags in references]
        strict = None
        if mode == "strict":
            strict = SCHEMES[scheme] if scheme else _detected([*predictions, *references])
        given, wanted = _entities(predictions, strict), _entities(references, strict)
        empty = 0.0 if zero_division == "warn" else float(zero_division)
        found: dict[str, Any] = {}
        for label in sorted({span.label for _, span in given | wanted}):
            own = {one for one in given if one[1].label == label}
            right = {one for one in wanted if one[1].label == label}
            found[label] = {**_scores(own, right, empty), "number": len(right)}
        overall = {f"overall_{name}": one for name, one in _scores(given, wanted, empty).items()}
        pairs = [
            one == other
            for tags, gold in zip(predictions, references, strict=True)
            for one, other in zip(tags, gold, strict=True)
        ]
        accuracy = sum(pairs) / len(pairs) if pairs else 0.0
        return {**found, **overall, "overall_accuracy": accuracy}


def _turned(tag: str) -> str:
    """``PER-B`` as ``B-PER``."""
    label, dash, prefix = tag.rpartition("-")
    return f"{prefix}-{label}" if dash else tag


def _detected(sequences: Sequence[Sequence[str]]) -> Scheme:
    """What seqeval takes the scheme for; it never takes it for IOB1."""
    letters = {split(tag)[0] for tags in sequences for tag in tags} - {OUTSIDE}
    known: tuple[Scheme, ...] = ("iob2", "bioes", "bilou")
    for scheme, own in zip(known, ("BI", "BIES", "BILU"), strict=True):
        if letters <= set(own):
            return scheme
    raise InputError(f"tags with prefixes {', '.join(sorted(letters))} are of no scheme")


def _entities(sequences: Sequence[Sequence[str]], scheme: Scheme | None) -> set[tuple[int, Span]]:
    return {
        (number, span)
        for number, tags in enumerate(sequences)
        for span in (strict_spans(tags, scheme) if scheme else lenient_spans(tags))
    }


def _scores(
    given: set[tuple[int, Span]], wanted: set[tuple[int, Span]], empty: float
) -> dict[str, float]:
    right = len(given & wanted)
    precision = right / len(given) if given else empty
    recall = right / len(wanted) if wanted else empty
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / both if both else 0.0,
    }
