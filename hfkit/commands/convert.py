"""`hfkit convert`: from one format of labelled data to another, counting what does not fit.

Every row must be good, as in training. Rows that an annotation tool has marked as not to be used
are left out and counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.config import ConvertConfig
from hfkit.data.output import check_apart, open_output
from hfkit.errors import InputError, RowError

if TYPE_CHECKING:
    from hfkit.data.column_names import LabelKind
    from hfkit.data.columns import ColumnMap
    from hfkit.data.dataset import Peeked
    from hfkit.data.exports import Item
    from hfkit.data.record import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Converted:
    """What was written: rows, in which format, and how many things it had no place for."""

    rows: int
    format: str
    losses: dict[str, int] = field(default_factory=dict)


def convert(config: ConvertConfig) -> Converted:
    """Read ``config.input`` and write it to ``config.output`` in another format.

    Raises `InputError` with its place for the first bad row, and for a format that cannot hold such
    rows.
    """
    from hfkit.data.containers import make_container
    from hfkit.data.dataset import peek
    from hfkit.data.exports import FORMATS

    if not config.input:
        raise InputError("nothing to convert", hint="hfkit convert IN -o OUT")
    peeked = peek(config.input, config, offline=config.offline)
    kind = _kind(config, peeked)
    target = _target(config, kind)
    shape, container_kind = FORMATS[kind][target]
    losses: Counter[str] = Counter()
    rows = 0
    check_apart(config.output, [config.input or ""])
    with open_output(config.output, config.overwrite) as output:
        container = make_container(container_kind, output, losses)
        for record, item in _items(config, peeked, kind):
            fields = shape(item, config.scheme, losses)
            if fields is not None:
                rows += 1
                try:
                    container.write(fields)
                except InputError as error:
                    place, hint = record.place, error.hint
                    raise InputError(error.message, place=place, hint=hint) from error
        container.close()
    log.info("%s: %d rows written as %s", config.output or "standard output", rows, target)
    found = {what: count for what, count in losses.items() if count}
    for what, count in found.items():
        log.warning("%s: %d", what, count)
    return Converted(rows, target, found)


def _kind(config: ConvertConfig, peeked: Peeked) -> LabelKind:
    """What the labels are, by the task that is named or that the columns show."""
    from hfkit.data.shape import infer_task
    from hfkit.registry import TASKS, find_task

    task = config.task
    if task is None:
        task, reason = infer_task(peeked.names, peeked.sample, config)
        log.info("these are rows for %s (%s); override with -t", task, reason)
    name = find_task(task)[0]
    kind = TASKS[name].label_kind if name in TASKS else "labels"
    return "labels" if kind == "none" else kind  # texts alone are a table too


def _target(config: ConvertConfig, kind: LabelKind) -> str:
    """The format that was asked for, or that the name of the output stands for."""
    from hfkit.data.exports import FORMATS
    from hfkit.data.source import format_of

    formats = FORMATS[kind]
    target: str = config.to
    if target == "auto":
        if config.output in (None, "-"):
            raise InputError("no format", place="--to", hint=f"one of {', '.join(formats)}")
        target = format_of(config.output or "")
        if not target:
            problem = f"the name {Path(config.output or '').name} stands for no format"
            raise InputError(problem, place="--to", hint=f"one of {', '.join(formats)}")
        if target == "json" and kind == "answers":
            target = "squad"
    if target not in formats:
        held = {"entities": "entities", "answers": "questions with answers"}.get(kind, "a table")
        problem = f"{target} does not hold such rows, which are {held}"
        raise InputError(problem, place="--to", hint=f"one of {', '.join(formats)}")
    return target


def _items(config: ConvertConfig, peeked: Peeked, kind: LabelKind) -> Iterator[tuple[Record, Item]]:
    """Read the rows, each with the fields that are none of its roles."""
    from hfkit.data.exports import Item
    from hfkit.data.label_cells import LabelCells, left_out
    from hfkit.data.labels import LabelReader
    from hfkit.data.record import strict

    records = strict(chain(peeked.first, peeked.records))
    if kind in ("labels", "scores", "texts"):  # a table stays what it is
        yield from ((record, Item({}, record.fields)) for record in records)
        return
    columns = _columns(config, peeked, kind)
    used = {n for c in columns.columns.values() for n in ([c] if isinstance(c, str) else c)}
    label_cells = LabelCells(kind, LabelReader.from_settings(config))
    labels = [fields.get(str(columns.columns["label"])) for fields in peeked.sample]
    label_cells.learn(labels)
    if kind == "entities" and "tokens" in columns.columns:
        _say_scheme(labels, peeked)
    unused: Counter[str] = Counter()
    for record in records:
        reason = left_out(record.fields, kind)
        if reason:
            unused[reason] += 1
            continue
        try:
            row = columns.row(record.fields)
            row["label"] = label_cells.read(row)
        except InputError as error:
            raise InputError(error.message, place=record.place, hint=error.hint) from error
        rest = {name: value for name, value in record.fields.items() if name not in used}
        yield record, Item(row, rest)
    label_cells.tell(peeked.source)
    for reason, count in unused.items():
        log.info("%s: rows %s skipped: %d", peeked.source, reason, count)


def _say_scheme(labels: Sequence[Any], peeked: Peeked) -> None:
    """Log the scheme of the first tags. Raises `InputError` where they are of none."""
    from hfkit.data.cells import structured
    from hfkit.spans import recognise

    tags = [structured(cell) for cell in labels]
    texts = [
        row if isinstance(row, list) and row and isinstance(row[0], str) else [] for row in tags
    ]
    try:
        found = recognise(texts)
    except RowError as error:
        place = peeked.first[error.row].place
        raise InputError(error.message, place=place, hint=error.hint) from error
    log.info("the tags are %s (%s)", found.scheme, found.reason)


def _columns(config: ConvertConfig, peeked: Peeked, kind: LabelKind) -> ColumnMap:
    from hfkit.data.columns import find_columns
    from hfkit.registry import TASKS

    task = next(entry for entry in TASKS.values() if entry.label_kind == kind)
    try:
        return find_columns(peeked.names, peeked.sample, task.columns, config, label_kind=kind)
    except InputError as error:
        place = error.place or peeked.source
        raise InputError(error.message, place=place, hint=error.hint) from error
