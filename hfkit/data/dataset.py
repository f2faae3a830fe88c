"""All rows of a source for training or scoring: strict, with the place of each and a hash of all.

Every row must be good here, because a score over the rows that happened to be readable would be
another score; unless the user asks for it, and then what was left out is counted and listed. The
validation and test data are read with the columns and label numbers of the training data.
"""

from __future__ import annotations

import hashlib
import json
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from hfkit.config import Columns, Reading, Strictness
from hfkit.data import cells
from hfkit.data.bad_rows import BadRows
from hfkit.data.column_names import LabelKind
from hfkit.data.columns import ColumnMap, find_columns
from hfkit.data.label_cells import BLANK, LabelCells, left_out
from hfkit.data.labels import LabelReader, check_near_duplicates
from hfkit.data.record import Fields, Record
from hfkit.data.rows import Row, StoredRows, gathered
from hfkit.data.source import read
from hfkit.data.split import types_of
from hfkit.errors import InputError, RowError

log = logging.getLogger(__name__)

STRICT = Strictness()
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
    bad: BadRows = field(default_factory=BadRows)
    paths: list[str] = field(default_factory=list)
    # Where a file has no lines, the number of the row, below 0.
    lines: array[int] = field(default_factory=lambda: array("q"))

    def record(self, row: int) -> Record:
        """A row's place in its file, as a record without fields."""
        line = self.lines[row]
        return Record({}, max(-line, 0), self.paths[row], max(line, 0))

    def place(self, row: int) -> str:
        """Where a row stands in its file."""
        return self.record(row).place

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
    bad: BadRows

    @property
    def names(self) -> list[str]:
        """The columns of the first records."""
        return list(dict.fromkeys(name for fields in self.sample for name in fields))

    @property
    def sample(self) -> list[Fields]:
        """The first good records, without their places."""
        return [record.fields for record in self.first if not record.error]


def peek(
    source: str, reading: Reading, *, offline: bool = False, strictness: Strictness = STRICT
) -> Peeked:
    """Open a source and read its first records.

    Raises `InputError` where one of them is bad and bad ones are not left out.
    """
    records = read(source, reading, offline=offline)
    first = list(islice(records, SAMPLE))
    if not first:
        raise InputError("no rows", place=source)
    bad = BadRows(source, strictness.on_bad_row == "skip", strictness is not STRICT)
    wrong = [record for record in first if record.error]
    if wrong and not bad.skip:
        for record in chain(wrong, records):
            bad.check(record)
        bad.refuse()
    if len(wrong) == len(first):
        raise InputError(wrong[0].error, place=wrong[0].place)
    return Peeked(source, first, records, bad)


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
    strictness: Strictness = STRICT,
) -> Dataset:
    """Read a whole source. Raises `InputError` with its place for the first bad row, unless
    `strictness` leaves bad rows out.

    `like` is the training data, whose columns and label numbers hold here too; `columns` and
    `label_base` are those that a run has saved. Without either they are found. `label_kind` says
    what the label column holds. `peeked` is the source, where it was opened before. Rows that an
    annotation tool marks as not to be used are left out and counted.
    """
    peeked = peeked or peek(source, reading, offline=offline, strictness=strictness)
    found = columns or (like.columns if like else None)
    if found is None or not _fits(found, peeked.sample[0]):
        found = _found(peeked, roles, chosen, label_kind)
    found = replace(found, label_kind=label_kind)
    labels = like.labels if like else LabelReader.from_settings(chosen, label_base or 0)
    labels.strict = strictness.strict_labels
    data = Dataset(source, [], found, labels, "", peeked.bad)
    unused: Counter[str] = Counter()
    data.rows = gathered(_rows(data, chain(peeked.first, peeked.records), unused))
    data.bad.refuse()
    for reason, count in unused.items():
        log.info("%s: rows %s skipped: %d", source, reason, count)
    if not data.rows and not data.bad.count:
        raise InputError("no rows", place=source)
    empty = sum(not row["question"].strip() for row in data.rows if "question" in row)
    if empty:
        log.warning("%s: rows with an empty question: %d", source, empty)
    learn = like is None and label_base is None
    if label_kind == "labels":
        _name_labels(data, learn=learn)
    elif "label" in found.columns:
        _read_labels(data, label_kind, learn=learn)
    data.bad.tell(len(data.rows))
    data.digest = _digest(data.rows)
    return data


def _rows(data: Dataset, records: Iterable[Record], unused: Counter[str]) -> Iterator[Row]:
    """The rows of the records, whose places go to `data`, as bad ones do; counts those not to be
    used. Texts without labels that name no document are of one until a row is blank, or the file
    ends."""
    numbered = data.columns.label_kind == "none" and "document" not in data.columns.columns
    document, path = 0, ""
    for record in records:
        if data.bad.check(record):
            continue
        reason = left_out(record.fields, data.columns.label_kind)
        if reason:
            unused[reason] += 1
            document += reason == BLANK
            continue
        try:
            row = data.columns.row(record.fields)
        except InputError as error:
            data.bad.add(record, error)
            continue
        if numbered:
            document += record.path != path
            row["document"], path = document, record.path
        data.paths.append(record.path)
        data.lines.append(record.line or -record.row)
        yield row


def _fits(columns: ColumnMap, fields: Fields) -> bool:
    """Whether the columns of another source exist here too."""
    names = chain.from_iterable(
        [column] if isinstance(column, str) else column for column in columns.columns.values()
    )
    return all(cells.has(name, fields) for name in names)


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
    _each_label(data, lambda row: data.labels.read(row["label"]))
    data.labels.tell()
    if learn:
        cells = (row["label"] for row in data.rows)
        _check_names(data, (cell if isinstance(cell, list) else [cell] for cell in cells))


def _read_labels(data: Dataset, kind: LabelKind, *, learn: bool) -> None:
    """Turn the cells of the label column into entities, answers or numbers, in place."""
    label_cells = LabelCells(kind, data.labels)
    if learn:
        label_cells.learn(row["label"] for row in data.rows)
    _each_label(data, label_cells.read)
    label_cells.tell(data.source)
    if learn and kind == "entities":
        _check_names(data, (types_of(row["label"] or ()) for row in data.rows))


def _each_label(data: Dataset, read_label: Callable[[Row], Any]) -> None:
    """Put what `read_label` makes of a row in the place of its label; take bad rows out."""
    kept = array("q")
    for number, row in enumerate(data.rows):
        try:
            label = read_label(row)
            kept.append(number)
        except InputError as error:
            data.bad.add(data.record(number), error)
            continue
        if label is not row["label"]:
            row["label"] = label
            data.rows[number] = row
    data.bad.refuse()
    if len(kept) < len(data.rows):
        data.rows = gathered(data.rows[number] for number in kept)
        data.paths = [data.paths[number] for number in kept]
        data.lines = array("q", (data.lines[number] for number in kept))


def _check_names(data: Dataset, names: Iterable[Iterable[str]]) -> None:
    """Warn of labels that may be one and the same; where labels are strict, raise `InputError`
    at the first row that has the second spelling."""
    first: dict[str, int] = {}
    for number, of_row in enumerate(names):
        for name in of_row:
            first.setdefault(name, number)
    if len(first) < 1000:  # more are numbers, not names
        check_near_duplicates(first, data.place if data.labels.strict else None)


def _digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the rows in their order: what is read, not how the file spells it."""
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode())
        hashed.update(b"\n")
    return hashed.hexdigest()
