"""Damaged files of every format: each is refused in one line with its place, or read unchanged."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from fuzzed import ROWS, make, parse

from hfkit.config import Columns, Reading, Strictness
from hfkit.data.dataset import load_rows
from hfkit.data.source import read
from hfkit.errors import HfkitError

ROLES = {"text": "the text", "label": "the label"}
ENTITIES = {"text?": "the text", "tokens?": "the words", "label": "the tags"}
ALONE = {"text": "the text"}
SKIP = Strictness(on_bad_row="skip")


@dataclass
class Seen:
    """What became of the files: counts, and the names of those that break a promise."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def breaks(self, promise: str, path: Path, why: object) -> None:
        self.counts[promise] += 1
        if len(self.broken) < 10:
            self.broken.append(f"{promise}: {path.name}: {why}")


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_refused_with_a_place_or_read_unchanged(
    seed: int, tmp_path: Path, counts: Callable[[int, int], int], measured: Callable[..., None]
) -> None:
    logging.getLogger("hfkit").setLevel(logging.CRITICAL)
    seen = Seen()
    files = counts(1000, 5000)
    for number in range(files):
        kind, data, good = make(Random(f"{seed}-{number}"))
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(data)
        _try(path, kind, data, good, seen)
        path.unlink()
    found = seen.counts
    measured(
        "D1, D2",
        f"damaged files of all formats, seed {seed}",
        files=files,
        rows=files * ROWS,
        refused=found["refused"],
        tracebacks=found["traceback"],
        without_place=found["no place"],
        changed=found["changed"],
        unaccounted=found["unaccounted"],
    )
    assert not seen.broken, "\n".join(seen.broken)
    assert found["refused"] > files / 4
    assert found["compared"] > files / 5


def _try(path: Path, kind: str, data: bytes, good: bool, seen: Seen) -> None:
    try:
        _read(path, kind, good, parse(kind, data), seen)
        refused = _load(path, kind, Strictness(), seen)
        seen.counts["refused"] += refused
        if good and refused:
            seen.breaks("a good file is refused", path, "")
        if not _load(path, kind, SKIP, seen):
            seen.counts["skipped"] += 1
    except Exception as error:
        seen.breaks("traceback", path, f"{type(error).__name__}: {error}")


def _reading(kind: str) -> Reading:
    return Reading(input_format="text") if kind == "txt" else Reading()


def _read(path: Path, kind: str, good: bool, expected: list[dict] | None, seen: Seen) -> None:
    """Compare the rows with those of an independent parser, field by field."""
    try:
        records = list(read(str(path), _reading(kind)))
    except HfkitError as error:
        _check_place(path, error, seen)
        if good:
            seen.breaks("a good file is refused", path, error)
        return
    bad = [record for record in records if record.error]
    for record in bad:
        if not record.place.startswith(str(path)) or "\n" in record.error:
            seen.breaks("no place", path, record.error)
    if good and expected is None:
        seen.breaks("the independent parser fails", path, "")
    if bad or expected is None:
        return
    seen.counts["compared"] += 1
    found = [_without_numbers(record.fields) for record in records]
    if json.dumps(found) != json.dumps(expected):
        seen.breaks("changed", path, f"{found[:2]} {expected[:2]}")


def _without_numbers(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if name != "document"}


def _load(path: Path, kind: str, strictness: Strictness, seen: Seen) -> bool:
    """Read a file as training does; tell whether it was refused."""
    roles, label_kind = ROLES, "labels"
    if kind == "conll":
        roles, label_kind = ENTITIES, "entities"
    elif kind == "txt":
        roles = ALONE
    try:
        data = load_rows(
            str(path), _reading(kind), Columns(), roles, label_kind=label_kind,
            strictness=strictness,
        )  # fmt: skip
    except HfkitError as error:
        _check_place(path, error, seen)
        return True
    if strictness.on_bad_row == "skip":
        _account(path, kind, data, seen)
    return False


def _check_place(path: Path, error: HfkitError, seen: Seen) -> None:
    line = str(error)
    if not error.place.startswith(str(path)):
        seen.breaks("no place", path, line)
    if not line.isprintable():
        seen.breaks("not one line", path, repr(line))


def _account(path: Path, kind: str, data: object, seen: Seen) -> None:
    """Every row is kept, or listed with its place and a reason."""
    records = read(str(path), _reading(kind))
    total = sum(
        bool(r.error) or any(v not in (None, "") for v in r.fields.values()) for r in records
    )
    listed = [json.loads(line) for line in data.bad.lines.decode().splitlines()]
    if len(data.rows) + data.bad.count != total or len(listed) != data.bad.count:
        kept = f"{len(data.rows)} kept, {data.bad.count} rejected"
        seen.breaks("unaccounted", path, f"{kept} of {total}")
    for one in listed:
        if one["file"] != str(path) or not one["reason"] or not (one.get("line") or one.get("row")):
            seen.breaks("no place", path, one)
