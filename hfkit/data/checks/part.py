"""All checks of one part of the data: training, validation or test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hfkit.data.checks.characters import Characters
from hfkit.data.checks.duplicates import Duplicates
from hfkit.data.checks.findings import Findings
from hfkit.data.checks.labels import Labels
from hfkit.data.checks.lengths import Lengths, Measure
from hfkit.data.checks.near import NearDuplicates
from hfkit.data.checks.spans import Spans
from hfkit.data.checks.values import Values
from hfkit.data.checks.walk import Seen, Source
from hfkit.data.column_names import LabelKind


class Check(Protocol):
    """One kind of fault in one part."""

    def see(self, seen: Seen) -> None:
        """Look at a row."""

    def close(self) -> None:
        """Report what only all rows tell."""


@dataclass(frozen=True)
class Expected:
    """What the checks need to know of a task and a model. `limit` is the longest row in the units
    of `measure`; `long_code` says what happens to longer ones."""

    kind: LabelKind
    trainable: bool
    measure: Measure
    limit: int | None
    long_code: str


class Part:
    """The checks of one part, fed row by row; `before` are the parts that were read earlier, the
    training data first."""

    def __init__(
        self,
        source: Source,
        findings: Findings,
        expected: Expected,
        before: Sequence[Part],
        near: NearDuplicates | None,
    ) -> None:
        self.source, self._findings, self._near = source, findings, near
        name, kind = source.part, expected.kind
        self.usable = 0
        self.labels: Labels = Labels(
            kind, name, findings, before[0].labels if before else None, expected.trainable
        )
        self.spans = Spans(name, findings)
        self.characters = Characters(name, findings, label_is_text=kind == "texts")
        self.lengths = Lengths(name, findings, expected.measure, expected.limit, expected.long_code)
        self.duplicates: Duplicates = Duplicates(
            name,
            findings,
            [part.duplicates for part in before],
            apart=kind in ("texts", "none"),
            alone=kind == "none"
            and list(source.columns.columns) in (["text"], ["text", "document"]),
        )
        self._values = Values(name, findings)

    def read(self) -> None:
        """Read the source to its end."""
        kind = self.source.columns.label_kind
        checks: list[Check] = [self.characters, self.lengths, self.duplicates]
        if kind in ("labels", "entities", "scores"):
            checks.append(self.labels)
        if kind == "entities":
            checks.append(self.spans)
        if self._near:
            self._near.begin(self.source.part)
        for seen in self.source.walk(self._findings, self._values.scan):
            self.usable += 1
            for check in checks:
                check.see(seen)
            if self._near:
                self._near.see(seen)
        for check in checks:
            check.close()

    def to_json(self) -> dict[str, Any]:
        """What the part is like: rows, columns, labels, lengths, scripts."""
        columns = self.source.columns
        return {
            "part": self.source.part,
            "source": self.source.name,
            "rows": self.source.rows,
            "usable": self.usable,
            "left_out": dict(self.source.left_out),
            "columns": {
                role: {"column": column, "reason": columns.reasons.get(role, "as in training")}
                for role, column in columns.columns.items()
            },
            "labels": self.labels.summary(),
            "scheme": self.spans.scheme or None,
            "lengths": self.lengths.summary(),
            "scripts": self.characters.summary(),
        }
