"""What `hfkit calibrate` fits, and what it is worth on rows that it was not fitted on.

Decisions are fitted on all rows. What they are worth is measured on rows held out: the rows are
dealt into five parts, and each part is looked at with what was fitted on the other four.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hfkit.errors import InputError
from hfkit.metrics.calibration import reliability
from hfkit.run.judged import (
    Alike,
    AnswersFound,
    Array,
    Decided,
    EntitiesFound,
    Events,
    Judged,
    ManyLabels,
    OneLabel,
)
from hfkit.thresholds import PreciseCut, precise_cut

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row, Task

log = logging.getLogger(__name__)

FEWEST = 50  # rows, or entities: with fewer, what is held out says nothing
PARTS = 5
FEW_KEPT = 20  # answers: a precision of fewer is luck
NO_TRUST = "%s: none fits (every answer is right, or confidences tell nothing); none is taken"


@dataclass(frozen=True)
class Abstaining:
    """From which confidence on answers are given, how precise these are and what share of all they
    are; `held_out` says the same of rows that the confidence was not fitted on."""

    wanted: float
    confidence: float
    precision: float
    coverage: float
    held_out: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return what decisions.json keeps."""
        return dict(vars(self))


@dataclass(frozen=True)
class Fit:
    """Decisions, how far confidences were from the truth without them and are with them, and the
    curves of both; `events` counts what was judged."""

    decided: Decided
    before: dict[str, float]
    after: dict[str, float]
    events: int
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    abstaining: Abstaining | None = None


def judge(
    task: Task[Any],
    rows: Sequence[Row],
    answers: Sequence[Answer],
    gold: Sequence[Answer],
    candidates: Sequence[tuple[Sequence[Any], float]] = (),
) -> Judged:
    """Put answers beside what is right; `candidates` are those of a question answering task.

    Raises `InputError` for a task whose answers have nothing to calibrate.
    """
    first, right = answers[0], gold[0]
    if "entities" in first:
        return EntitiesFound(answers, gold)
    if "answers" in right:
        fixed = task.options.null_threshold is not None
        threshold: float | None = task.null_threshold  # type: ignore[attr-defined]
        return AnswersFound(answers, gold, candidates, threshold, fixed=fixed)
    if "labels" in right:
        return ManyLabels(answers, gold, task.options.threshold)
    if "label" in right:
        return OneLabel(answers, gold)
    if "score" in right and "score" in first:
        raw = np.array([answer.get("cosine", answer["score"]) for answer in answers])
        labels = np.array([one["score"] for one in gold], dtype=np.float64)
        same = task.metric == "binary-similarity"
        return Alike(raw, labels, task.decisions, same=same)
    what = "a number has no confidence" if "value" in right else "its answers have no confidence"
    raise InputError(f"nothing to calibrate: {what}")


def calibrate(judged: Judged, rows: int, precision: float | None = None) -> Fit:
    """Fit decisions, and measure them on rows held out. `precision` is what answers are to reach;
    what is less sure is then withheld.

    Raises `InputError` for too few rows, and where no confidence reaches the precision.
    """
    events = len(judged.rows)
    if rows < FEWEST or events < FEWEST:
        what = f"{rows} rows" if rows < FEWEST else f"{events} entities found"
        raise InputError(f"{what} are too few to calibrate on", hint=f"take {FEWEST} or more")
    if precision is not None and not judged.calibrated:
        raise InputError(
            "the scores of this model are no confidences", place="--precision-at-least",
            hint="leave it out",
        )  # fmt: skip
    decided = judged.fit(np.ones(events, dtype=bool))
    _tell(judged, decided)
    folds = list(_folds(judged, rows))
    before, after = judged.at({}), _held_out(judged, folds)
    curves = {}
    if judged.calibrated:
        pairs = {"before": before, "after": after}
        curves = {name: reliability(one.confidences, one.correct) for name, one in pairs.items()}
    abstaining = None
    if precision is not None:
        abstaining = _abstaining(judged, decided, folds, precision)
        decided["abstain_below"] = abstaining.confidence
    measures = judged.measure(before), judged.measure(after)
    worse = [name for name in ("nll", "mse") if measures[1].get(name, 0) > measures[0].get(name, 0)]
    if worse:
        log.warning("on rows held out this is no better than before; --reset takes it back")
    return Fit(decided, *measures, events, curves, abstaining)


def _tell(judged: Judged, decided: Mapping[str, Any]) -> None:
    """Say what could not be fitted."""
    if judged.calibrated and not {"temperature", "score_slope"} & set(decided):
        name = "line of confidences" if isinstance(judged, EntitiesFound) else "temperature"
        log.warning(NO_TRUST, name)
    if isinstance(judged, Alike) and not decided:
        log.warning("no threshold or scale fits; those that there are stay")
    if isinstance(judged, ManyLabels) and judged.few:
        names = ", ".join(f'"{name}"' for name in judged.few[:5])
        more = f" and {len(judged.few) - 5} more" if len(judged.few) > 5 else ""
        log.warning("too few rows with or without %s%s: the threshold of all labels", names, more)


def _folds(judged: Judged, rows: int) -> Iterator[tuple[Array, Decided]]:
    """The events of each part of the rows, and what was fitted on the others."""
    part = np.random.default_rng(0).permutation(rows) % PARTS
    few = getattr(judged, "few", None)
    for number in range(PARTS):
        inside = part[judged.rows] == number
        yield inside, judged.fit(~inside)
    if few is not None:  # what is told is told of all rows
        judged.few = few  # type: ignore[attr-defined]


def _held_out(judged: Judged, folds: Sequence[tuple[Array, Decided]]) -> Events:
    """All events, each with decisions that do not know it."""
    parts = [(inside, judged.at(decided)) for inside, decided in folds]
    merged = Events(*(np.empty_like(column) for column in parts[0][1]))
    for inside, events in parts:
        for column, found in zip(merged, events, strict=True):
            column[inside] = found[inside]
    return merged


def _abstaining(
    judged: Judged, decided: Decided, folds: Sequence[tuple[Array, Decided]], wanted: float
) -> Abstaining:
    """Find the confidence that gives the precision, on all rows and on rows held out."""
    events = judged.at(decided)
    cut = _cut(events.only(events.given), wanted)
    if cut is None:
        sure = events.only(events.given)
        best = f"; it is {sure.correct.mean():.1%} over all" if len(sure.correct) else ""
        raise InputError(
            f"no confidence gives a precision of {wanted:g} on these rows{best}",
            place="--precision-at-least",
            hint="ask for less",
        )
    kept = right = total = 0
    for inside, found in folds:
        own = judged.at(found)
        border = _cut(own.only(own.given & ~inside), wanted)
        looked = own.only(own.given & inside)
        total += len(looked.correct)
        if border is not None:
            sure_enough = looked.confidences >= border.confidence
            kept += int(sure_enough.sum())
            right += int(looked.correct[sure_enough].sum())
    held_out = {"precision": right / kept if kept else None, "coverage": kept / max(total, 1)}
    count = round(cut.coverage * int(events.given.sum()))
    if count < FEW_KEPT:
        log.warning("only %d answers are sure enough: the precision of so few is luck", count)
    elif kept and right / kept < wanted:
        log.warning(
            "on rows held out the precision is %.1f%%, not %.1f%%: ask for more, or take more rows",
            100 * right / kept, 100 * wanted,
        )  # fmt: skip
    return Abstaining(wanted, cut.confidence, cut.precision, cut.coverage, held_out)


def _cut(events: Events, wanted: float) -> PreciseCut | None:
    if not len(events.correct):
        return None
    return precise_cut(events.confidences, events.correct, wanted)
