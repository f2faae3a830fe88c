"""All rows of a source for training or scoring: strict, with the place of each and a hash of all.

Every row must be good here, because a score over the rows that happened to be readable would be
another score. The validation and test data are read with the columns and label numbers of the
training data.
"""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from hfkit.config import Columns, Reading
from hfkit.data.column_names import LabelKind
from hfkit.data.columns import ColumnMap, find_columns
from hfkit.data.label_cells import LabelCells, left_out
from hfkit.data.labels import LabelReader, warn_near_duplicates
from hfkit.data.record import Fields, Record, strict
from hfkit.data.rows import Row, StoredRows, gathered
from hfkit.data.source import read
from hfkit.errors import InputError, RowError

log = logging.getLogger(__name__)

SAMPLE = 200  # rows looked at to find out which column is what


@dataclass
class Dataset:
    """Rows, on disk where they are many. `columns` and `labels` say how they came from the
    file's fields."""

    source: str
    rows: list[Row] | StoredRows
    columns: ColumnMap
    labels: LabelReader
    digest: str
    paths: list[str] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))

    def place(self, row: int) -> str:
        """Where a row stands in its file."""
        return Record({}, row + 1, self.paths[row], self.lines[row]).place

    def part(self, rows: Iterable[int]) -> Dataset:
        """Some of the rows, as a data set of their own."""
        chosen = list(rows)
        kept = gathered(self.rows[row] for row in chosen)
        return replace(
            self,
            rows=kept,
            digest=_digest(kept),
            paths=[self.paths[row] for row in chosen],
            lines=array("q", (self.lines[row] for row in chosen)),
        )

    def located(self, error: RowError) -> InputError:
        """The same error with the place of the row it is about."""
        return InputError(error.message, place=self.place(error.row), hint=error.hint)


@dataclass
class Peeked:
    """A source that was opened to look at its first records; they are not lost."""

    source: str
    first: list[Record]
    records: Iterator[Record]

    @property
    def names(self) -> list[str]:
        """The columns of the first records."""
        return list(dict.fromkeys(name for record in self.first for name in record.fields))

    @property
    def sample(self) -> list[Fields]:
        """The first records without their places."""
        return [record.fields for record in self.first]


def peek(source: str, reading: Reading, *, offline: bool = False) -> Peeked:
    """Open a source and read its first records. Raises `InputError` for a bad one."""
    records = iter(strict(read(source, reading, offline=offline)))
    first = list(islice(records, SAMPLE))
    if not first:
        raise InputError("no rows", place=source)
    return Peeked(source, first, records)


def load_rows(
    source: str,
    reading: Reading,
    chosen: Columns,
    roles: Mapping[str, str],
    *,
    offline: bool = False,
    like: Dataset | None = None,
    columns: ColumnMap | None = None,
    label_base: int | None = None,
    label_kind: LabelKind = "labels",
    peeked: Peeked | None = None,
) -> Dataset:
    """Read a whole source. Raises `InputError` with its place for the first bad row.

    `like` is the training data, whose columns and label numbers hold here too; `columns` and
    `label_base` are those that a run has saved. Without either they are found. `label_kind` says
    what the label column holds. `peeked` is the source, where it was opened before. Rows that an
    annotation tool marks as not to be used are left out and counted.
    """
    peeked = peeked or peek(source, reading, offline=offline)
    first = peeked.first
    found = columns or (like.columns if like else None)
    if found is None or not _fits(found, first[0]):
        found = _found(peeked, roles, chosen, label_kind)
    found = replace(found, label_kind=label_kind)
    labels = like.labels if like else LabelReader.from_settings(chosen, label_base or 0)
    data = Dataset(source, [], found, labels, "")
    unused: Counter[str] = Counter()
    data.rows = gathered(_rows(data, chain(first, peeked.records), unused))
    for reason, count in unused.items():
        log.info("%s: rows %s skipped: %d", source, reason, count)
    if not data.rows:
        raise InputError("no rows", place=source)
    empty = sum(not row["question"].strip() for row in data.rows if "question" in row)
    if empty:
        log.warning("%s: rows with an empty question: %d", source, empty)
    learn = like is None and label_base is None
    if label_kind == "labels":
        _name_labels(data, learn=learn)
    elif "label" in found.columns:
        _read_labels(data, label_kind, learn=learn)
    data.digest = _digest(data.rows)
    return data


def _rows(data: Dataset, records: Iterable[Record], unused: Counter[str]) -> Iterator[Row]:
    """The rows of the records, whose places go to `data`; counts those not to be used."""
    for record in records:
        reason = left_out(record.fields, data.columns.label_kind)
        if reason:
            unused[reason] += 1
            continue
        try:
            row = data.columns.row(record.fields)
        except InputError as error:
            raise InputError(error.message, place=record.place, hint=error.hint) from error
        data.paths.append(record.path)
        data.lines.append(record.line)
        yield row


def _fits(columns: ColumnMap, record: Record) -> bool:
    """Whether the columns of another source exist here too."""
    names = chain.from_iterable(
        [column] if isinstance(column, str) else column for column in columns.columns.values()
    )
    return all(name in record.fields for name in names)


def _found(peeked: Peeked, roles: Mapping[str, str], chosen: Columns, kind: LabelKind) -> ColumnMap:
    try:
        return find_columns(peeked.names, peeked.sample, roles, chosen, label_kind=kind)
    except InputError as error:
        place = error.place or peeked.source
        raise InputError(error.message, place=place, hint=error.hint) from error


def _name_labels(data: Dataset, *, learn: bool) -> None:
    """Turn the cells of the label column into names, in place."""
    column = data.columns.columns.get("label")
    if column is None or not isinstance(column, str):  # 0/1 columns are lists of names already
        return
    if learn:
        data.labels.learn_base(row["label"] for row in data.rows)
    for number, row in enumerate(data.rows):
        try:
            label = data.labels.read(row["label"])
        except InputError as error:
            raise InputError(error.message, place=data.place(number), hint=error.hint) from error
        _relabel(data, number, row, label)
    data.labels.tell()
    if learn:
        cells = (row["label"] for row in data.rows)
        names = {name for cell in cells for name in (cell if isinstance(cell, list) else [cell])}
        if len(names) < 1000:  # more are numbers, not names
            warn_near_duplicates(sorted(names))


def _read_labels(data: Dataset, kind: LabelKind, *, learn: bool) -> None:
    """Turn the cells of the label column into entities, answers or numbers, in place."""
    label_cells = LabelCells(kind, data.labels)
    if learn:
        label_cells.learn(row["label"] for row in data.rows)
    for number, row in enumerate(data.rows):
        try:
            label = label_cells.read(row)
        except InputError as error:
            raise InputError(error.message, place=data.place(number), hint=error.hint) from error
        _relabel(data, number, row, label)
    label_cells.tell(data.source)


def _relabel(data: Dataset, number: int, row: Row, label: Any) -> None:
    if label is not row["label"]:
        row["label"] = label
        data.rows[number] = row


def _digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the rows in their order: what is read, not how the file spells it."""
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())
        hashed.update(b"\n")
    return hashed.hexdigest()
