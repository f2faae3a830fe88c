"""From the cell of a label column to label names.

A cell comes as a file has it: text, a number, true or false, a list. What leaves here is one name,
or a list of names where a row can have several; nothing is a number any more. With a file of label
names, numbers are looked up in it, counted from 0 or from 1 as the data show.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfkit.config import Columns
from hfkit.data.display import kind_of, listed, shown
from hfkit.data.lines import physical_lines, unreadable, without_end
from hfkit.data.record import Record
from hfkit.errors import InputError, did_you_mean

log = logging.getLogger(__name__)

INTEGER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class LabelNames:
    """What a file of label names says. `ids` holds the number of each name where the file gives
    them; else the names are counted."""

    names: tuple[str, ...]
    ids: tuple[int, ...] | None = None


@dataclass
class LabelReader:
    """Turns cells into names. `base` is the number of the first name of a file without numbers;
    `learn_base` finds it, and it belongs to what a run saves. `strict`: white space around a name
    is an error."""

    label_names: LabelNames | None = None
    delimiter: str | None = None
    base: int = 0
    stripped: int = 0
    strict: bool = False
    _by_id: dict[int, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._number()

    @classmethod
    def from_settings(cls, chosen: Columns, base: int = 0) -> LabelReader:
        """Return a reader for the settings. Raises `InputError` for a bad file of names."""
        names = read_label_names(chosen.label_names) if chosen.label_names else None
        delimiter = chosen.label_delimiter
        return cls(names, {"tab": "\t", "space": " "}.get(delimiter or "", delimiter), base)

    def learn_base(self, cells: Iterable[Any]) -> int:
        """Decide over the labels of all training rows whether numbers count from 0 or from 1."""
        if self.label_names is None or self.label_names.ids is not None:
            return self.base
        base = self.learn_numbers(number for cell in cells for number in self._numbers(cell))
        self.stripped = 0  # the same cells are read again
        return base

    def learn_numbers(self, numbers: Iterable[int]) -> int:
        """Decide whether numbers that stand for labels count from 0 or from 1."""
        if self.label_names is None or self.label_names.ids is not None:
            return self.base
        self.base = label_base(numbers, len(self.label_names.names))
        first = shown(self.label_names.names[0])
        log.info("label %d is %s, the first of the label names", self.base, first)
        self._number()
        return self.base

    def read(self, cell: Any) -> str | list[str]:
        """Return the name, or the names of a list or of a cell with the delimiter.

        Raises `InputError`, without a place, for a label that is missing or not known.
        """
        if is_missing(cell) and not (self.delimiter and isinstance(cell, str)):
            raise InputError("the label is missing", hint="fill it in, or take the row out")
        names = [self._named(part) for part in self._parts(cell)]
        if isinstance(cell, (list, tuple)) or self.delimiter:
            return list(dict.fromkeys(names))
        return names[0]

    def name_of(self, number: int) -> str:
        """Return the name of a number. Raises `InputError` for one without a name."""
        return self._named(str(number))

    def tell(self) -> None:
        """Log how many labels had white space around them."""
        if self.stripped:
            log.info("white space around %d labels was removed", self.stripped)

    def _parts(self, cell: Any) -> list[str]:
        """Return the labels of a cell as text, before any look-up."""
        if is_missing(cell):
            return []
        if isinstance(cell, (list, tuple)):
            return [self._one(item) for item in cell]
        if self.delimiter and isinstance(cell, str):
            parts = cell.split(self.delimiter)
            return [self._one(part.strip() if self.strict else part) for part in parts]
        return [self._one(cell)]

    def _numbers(self, cell: Any) -> list[int]:
        """The numbers in a cell; what is wrong with it is told when it is read."""
        try:
            return [int(part) for part in self._parts(cell) if INTEGER.fullmatch(part)]
        except InputError:
            return []

    def _one(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, (int, float)) and not is_missing(value):
            return str(value)
        if not isinstance(value, str):
            raise InputError(f"expected a label, got {kind_of(value)}")
        name = value.strip()
        if not name:
            raise InputError("one of the labels is empty")
        if name != value and self.strict:
            hint = "take it out, or leave --strict-labels out"
            raise InputError(f"white space around the label {shown(value)}", hint=hint)
        self.stripped += name != value
        return name

    def _named(self, label: str) -> str:
        if self.label_names is None:
            return label
        if INTEGER.fullmatch(label):
            name = self._by_id.get(int(label))
            if name is None:
                low, high = min(self._by_id), max(self._by_id)
                raise InputError(f"label {label} has no name; the names are for {low} to {high}")
            return name
        if label in self.label_names.names:
            return label
        hint = did_you_mean(label, self.label_names.names)
        problem = f"label {shown(label)} is not one of the label names"
        raise InputError(problem, hint=hint if hint.startswith("did") else "")

    def _number(self) -> None:
        if self.label_names is not None:
            names = self.label_names.names
            ids = self.label_names.ids or range(self.base, self.base + len(names))
            self._by_id = dict(zip(ids, names, strict=True))


def is_missing(cell: Any) -> bool:
    """Whether a cell holds no label: null, NaN, or nothing but white space.

    >>> is_missing(None), is_missing("  "), is_missing(0), is_missing([])
    (True, True, False, False)
    """
    return (
        cell is None
        or (isinstance(cell, str) and not cell.strip())
        or (isinstance(cell, float) and cell != cell)
    )


def label_base(numbers: Iterable[int], count: int) -> int:
    """Return the number of the first of `count` names: 1 where 0 never occurs and `count` does.

    >>> label_base([1, 4, 2], 4), label_base([0, 1], 4), label_base([1, 2], 4)
    (1, 0, 0)
    """
    seen = set(numbers)
    return 1 if 0 not in seen and count in seen else 0


def read_label_names(path: str) -> LabelNames:
    """Read one name a line, or a number, a tab and a name. Raises `InputError` with the line."""
    if not Path(path).expanduser().is_file():
        raise InputError("no such file", place=path, hint="--label-names takes a file of names")
    lines = physical_lines(str(Path(path).expanduser()), "utf-8")
    numbered = [(number, without_end(line).strip()) for number, line in enumerate(lines, 1)]
    while numbered and not numbered[-1][1]:
        numbered.pop()
    if not numbered:
        raise InputError("is empty", place=path)
    pairs = [name.split("\t", 1) for _, name in numbered]
    with_ids = all(len(pair) == 2 and INTEGER.fullmatch(pair[0].strip()) for pair in pairs)
    names: dict[str, int] = {}
    ids: dict[int, int] = {}
    for (line, text), pair in zip(numbered, pairs, strict=True):
        name = pair[1].strip() if with_ids else text
        error = unreadable(name) or ("a name is missing" if not name else "")
        if name in names:
            error = f"{shown(name)} stands on line {names[name]} already"
        elif with_ids and int(pair[0]) in ids:
            error = f"number {pair[0]} stands on line {ids[int(pair[0])]} already"
        if error:
            raise InputError(error, place=Record({}, 0, path, line, error).place)
        names[name] = line
        if with_ids:
            ids[int(pair[0])] = line
    return LabelNames(tuple(names), tuple(ids) if with_ids else None)


def near_duplicates(names: Iterable[str]) -> list[list[str]]:
    """Return groups of names that differ only in case, width or white space.

    >>> near_duplicates(["pos", "neg", "Pos"])
    [['pos', 'Pos']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        groups.setdefault(plain, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_near_duplicates(
    first: Mapping[str, int], place: Callable[[int], str] | None = None
) -> None:
    """Log a warning for each group of names that look like one label written in several ways.

    `first` has the row in which each name stands first. With the `place` of a row they are an
    error: raises `InputError` at the spelling that comes later.
    """
    for group in near_duplicates(sorted(first)):
        problem = f"labels that may be one and the same: {listed(group)}"
        if place:
            later = place(max(first[name] for name in group))
            hint = "write them in one way, or leave --strict-labels out"
            raise InputError(problem, place=later, hint=hint)
        log.warning("%s", problem)
