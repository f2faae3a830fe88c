"""Base models worth a try: what they are, for whom, and what is published about them.

`models.yaml` beside this file is the table; everything in it has a public source, and what is not
known is left out. Nothing here imports torch or opens a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("models.yaml")
MULTILINGUAL = "multilingual"
# Tasks by the kind of model that learns them best; the first kind is preferred.
KINDS: dict[str, tuple[str, ...]] = {
    "classification": ("encoder",),
    "ner": ("encoder",),
    "qa": ("encoder",),
    "mlm": ("encoder",),
    "nsp": ("encoder",),
    "similarity": ("vectors", "encoder"),
    "zero-shot": ("judge", "vectors"),
    "text2text": ("writer",),
    "generation": ("causal",),
}
# What models of a language are compared by; an encoder of vectors by another.
BENCHMARKS = {"en": "mnli", "zh": "xnli-zh", "de": "germeval14", MULTILINGUAL: "xnli"}
VECTORS = {"en": "mteb-en"}
NOT_COMMERCIAL = ("-nc",)


@dataclass(frozen=True)
class Score:
    """A published figure and where it is from."""

    benchmark: str
    value: float
    source: str


@dataclass(frozen=True)
class Entry:
    """A base model. `parameters` counts all of them; `shape` is layers, width and heads."""

    name: str
    kind: str
    languages: tuple[str, ...]
    parameters: int
    shape: tuple[int, int, int]
    context: int
    year: int
    licence: str | None = None
    count: int | None = None
    purpose: str | None = None
    unfit: tuple[str, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)

    @property
    def commercial(self) -> bool | None:
        """Whether the licence allows commercial use; None where it is not known here."""
        if self.licence is None:
            return None
        return not any(mark in self.licence for mark in NOT_COMMERCIAL)

    @property
    def multilingual(self) -> bool:
        """Whether it was made for many languages."""
        return MULTILINGUAL in self.languages

    def covers(self, language: str) -> bool:
        """Whether it reads a language; of many languages it is taken to read any."""
        return language in self.languages or self.multilingual

    def score(self, language: str) -> Score | None:
        """The published figure that models of this language are compared by."""
        table = VECTORS if self.kind == "vectors" else BENCHMARKS
        return self.scores.get(table.get(language, ""))


@cache
def entries() -> tuple[Entry, ...]:
    """The table."""
    import yaml

    content = yaml.safe_load(TABLE.read_text("utf-8"))
    return tuple(_entry(row, content["sources"]) for row in content["models"])


def _entry(row: dict[str, Any], sources: Mapping[str, Mapping[str, str]]) -> Entry:
    scores = {
        name: Score(name, value, sources[name][source])
        for name, (value, source) in row.pop("scores", {}).items()
    }
    layers, width, heads = row.pop("shape")
    return Entry(
        **{
            **row,
            "parameters": row["parameters"] * 1_000_000,
            "languages": tuple(row["languages"]),
            "unfit": tuple(row.get("unfit", ())),
            "shape": (layers, width, heads),
            "scores": scores,
        }
    )
