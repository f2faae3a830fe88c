"""One pass over a source: its rows as training reads them, what cannot be read as findings.

The readers are those of training, and so are their words for what is wrong with a row; only, the
first bad row ends nothing here, and what stands in quotation marks in their messages is left out,
because it may be a text of the data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from hfkit.config import Columns, Reading
from hfkit.data.checks.findings import Findings
from hfkit.data.checks.texts import joined_texts
from hfkit.data.column_names import LabelKind
from hfkit.data.columns import ColumnMap, find_columns
from hfkit.data.dataset import SAMPLE
from hfkit.data.label_cells import LabelCells, left_out
from hfkit.data.labels import LabelReader, is_missing
from hfkit.data.record import Fields, Record
from hfkit.data.rows import Row
from hfkit.data.source import read
from hfkit.errors import InputError

VALUE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass(slots=True)
class Seen:
    """A row that can be used. `number` counts the usable rows of its part from 0, `texts` are what
    a model reads of it, in the order of the roles."""

    number: int
    record: Record
    row: Row
    texts: tuple[str, ...]

    @property
    def label(self) -> Any:
        """The label as training reads it; None where there is none."""
        return self.row.get("label")


@dataclass
class Source:
    """A source that was opened: which column is what, and its records from the first on."""

    name: str
    part: str
    columns: ColumnMap
    records: Iterator[Record]
    labels: LabelReader
    label_cells: LabelCells
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def walk(self, findings: Findings, scan: Callable[[Record], None]) -> Iterator[Seen]:
        """Yield the usable rows; report the others. `scan` is shown every record that is read."""
        kind, usable = self.columns.label_kind, 0
        for record in self.records:
            self.rows += 1
            if record.error:
                findings.add(
                    "row-unreadable", self.part, record, reason=without_values(record.error)
                )
                continue
            scan(record)
            reason = left_out(record.fields, kind)
            if reason:
                self.left_out[reason] += 1
                continue
            row = self._row(record, findings)
            if row is not None:
                yield Seen(usable, record, row, joined_texts(row))
                usable += 1

    def _row(self, record: Record, findings: Findings) -> Row | None:
        """The row of a record; None, and a finding, where it cannot be used."""
        try:
            row = self.columns.row(record.fields)
        except InputError as error:
            findings.add(
                self._text_code(record.fields), self.part, record,
                reason=without_values(error.message, self.columns),
            )  # fmt: skip
            return None
        if "label" not in row:
            return row
        before = self.label_cells.repairs()
        try:
            row["label"] = self._label(row)
        except InputError as error:
            code = self._label_code(row["label"])
            findings.add(
                code, self.part, record, reason=without_values(error.message, self.columns)
            )
            return None
        for code, count in self.label_cells.repairs().items():
            if count > before[code]:
                findings.add(code, self.part, record, count - before[code])
        return row

    def _label(self, row: Row) -> Any:
        if self.columns.label_kind != "labels":
            return self.label_cells.read(row)
        switched = isinstance(self.columns.columns["label"], list)  # names already
        return row["label"] if switched else self.labels.read(row["label"])

    def _text_code(self, fields: Fields) -> str:
        """The code for a row whose texts cannot be used."""
        for role, column in self.columns.columns.items():
            if isinstance(column, list):
                continue
            value = fields.get(column)
            if role == "label":
                if self.columns.label_kind == "texts" and not str(value or "").strip():
                    return "label-missing"
                continue
            if "." in column and column not in fields:
                continue
            if is_missing(value) or (isinstance(value, (str, list)) and not _filled(value)):
                return "text-missing"
        return "text-bad"

    def _label_code(self, cell: Any) -> str:
        if is_missing(cell):
            return "label-missing"
        return {"entities": "entity-bad", "answers": "answer-bad"}.get(
            self.columns.label_kind, "label-bad"
        )


def open_source(
    name: str,
    part: str,
    reading: Reading,
    chosen: Columns,
    roles: Mapping[str, str],
    kind: LabelKind,
    *,
    offline: bool,
    like: Source | None = None,
    peeked: tuple[list[Record], Iterator[Record]] | None = None,
) -> Source:
    """Open a source and find its columns: those of the training data, `like`, where it has them.

    Raises `InputError` for a source that cannot be read, has no good row among the first ones, or
    not the columns that the task needs.
    """
    first, records = peeked or peek(name, reading, offline=offline)
    sample = [record.fields for record in first if not record.error]
    columns = like.columns if like and fits(like.columns, sample[0]) else None
    if columns is None:
        columns = _found(name, sample, chosen, roles, kind)
    columns = replace(columns, label_kind=kind)
    labels = like.labels if like else LabelReader.from_settings(chosen)
    source = Source(name, part, columns, chain(first, records), labels, LabelCells(kind, labels))
    if like is None and labels.label_names is not None:
        _learn_numbers(source, sample, reading, offline)
    return source


def peek(name: str, reading: Reading, *, offline: bool) -> tuple[list[Record], Iterator[Record]]:
    """The first records of a source, and those behind them. Raises `InputError` where none of the
    first ones is good."""
    records = read(name, reading, offline=offline)
    first = list(islice(records, SAMPLE))
    if not first:
        raise InputError("no rows", place=name)
    if all(record.error for record in first):
        raise InputError(without_values(first[0].error), place=first[0].place)
    return first, records


def fits(columns: ColumnMap, fields: Fields) -> bool:
    """Whether the columns of another source exist here too."""
    names = chain.from_iterable([c] if isinstance(c, str) else c for c in columns.columns.values())
    return all(name.split(".")[0] in fields for name in names)


def _found(
    name: str, sample: list[Fields], chosen: Columns, roles: Mapping[str, str], kind: LabelKind
) -> ColumnMap:
    names = list(dict.fromkeys(column for fields in sample for column in fields))
    try:
        return find_columns(names, sample, roles, chosen, label_kind=kind)
    except InputError as error:
        raise InputError(error.message, place=error.place or name, hint=error.hint) from error


def _learn_numbers(source: Source, sample: list[Fields], reading: Reading, offline: bool) -> None:
    """Decide whether labels that are numbers count from 0 or 1: over the whole file, which is read
    once more; over the first rows of a pipe."""
    column = source.columns.columns.get("label")
    if not isinstance(column, str):
        return
    again: Iterable[Fields] = sample
    if source.name != "-":
        again = (record.fields for record in read(source.name, reading, offline=offline))
    cells = (fields.get(column) for fields in again)
    if source.columns.label_kind == "labels":
        source.labels.learn_base(cells)
    else:
        source.label_cells.learn(cells)


def without_values(message: str, columns: ColumnMap | None = None) -> str:
    """A reader's message without what it quotes, unless that is the name of a column.

    >>> without_values("the answer 'in May' does not stand in the context")
    'the answer … does not stand in the context'
    """
    names = columns.columns.values() if columns else ()
    known = set(chain.from_iterable([name] if isinstance(name, str) else name for name in names))
    return VALUE.sub(lambda found: found[0] if found[0][1:-1] in known else "…", message)


def _filled(value: str | list[Any]) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)
