"""What a report is made from: plain data, gathered by `hfkit.run.reporting`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfkit.metrics.statistics import Scores

Row = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Slice:
    """The headline score of some of the rows. `value` is None where it is undefined on them."""

    of: str  # what the rows were divided by: "length", a column
    name: str
    count: int
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Material:
    """One model on one set of labelled rows; `rows`, `answers`, `gold`, `places` and `lengths` have
    one entry per row, `lengths` in characters. `origin` says why it is these data, `events` are
    those of metrics.jsonl, `decisions` what decisions.json has for the task, `withheld` the rows of
    which `predict` would withhold something, `sealed` is the run's manifest without its files.
    `events`, `sealed` and `settings` are empty for a model that is no run."""

    name: str
    task: str
    metric: str
    data: str
    origin: str
    digest: str
    rows: Sequence[Row]
    answers: Sequence[Answer]
    gold: Sequence[Answer]
    places: Sequence[str]
    lengths: Sequence[int]
    labels: Sequence[str]
    scores: Scores
    lower_is_better: bool
    slices: Sequence[Slice] = ()
    by_length: Sequence[Slice] = ()
    events: Sequence[Mapping[str, Any]] = ()
    settings: str = ""
    sealed: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, Any] = field(default_factory=dict)
    withheld: int = 0
    truncated: int = 0
    most_errors: int = 50
    examples: bool = True
