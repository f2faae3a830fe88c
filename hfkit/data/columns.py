"""Which column is what: from the columns of a file to the roles of a task, with a reason for each.

What the user says comes first, then the names of columns, then what the columns hold. A guess is
logged; where two columns fit equally well nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfkit.config import Columns
from hfkit.data import cells
from hfkit.data.column_names import LabelKind
from hfkit.data.column_search import Search
from hfkit.data.labels import is_missing
from hfkit.data.record import Fields
from hfkit.data.written import nested_names

Row = dict[str, Any]

NO_DOCUMENT = 0  # the document of rows before the first one of their file


@dataclass(frozen=True)
class ColumnMap:
    """Role -> column; for a label spread over several columns, role -> those columns.

    Several columns are switches, 0 or 1 each; for answers they are a text and its start.
    """

    columns: Mapping[str, str | list[str]]
    reasons: Mapping[str, str] = field(default_factory=dict)
    label_kind: LabelKind = "labels"

    def to_dict(self) -> dict[str, str | list[str]]:
        """Return plain data from which `from_dict` makes the same map."""
        return {role: c if isinstance(c, str) else list(c) for role, c in self.columns.items()}

    @classmethod
    def from_dict(
        cls, saved: Mapping[str, str | list[str]], label_kind: LabelKind = "labels"
    ) -> ColumnMap:
        """Return the map that `to_dict` wrote down."""
        return cls(dict(saved), label_kind=label_kind)

    def row(self, fields: Fields) -> Row:
        """Return role -> value; the label as it stands in the file, None where it is absent.

        Raises `InputError`, without a place, for a text that is missing, empty or no text.
        """
        row: Row = {}
        for role, column in self.columns.items():
            if role == "label":
                row[role] = self._label(column, fields)
            elif isinstance(column, str) and not _leaves_open(role, column, fields):
                row[role] = _value(role, column, fields)
        return row

    def _label(self, column: str | list[str], fields: Fields) -> Any:
        if self.label_kind == "texts":
            return cells.text(str(column), fields)
        if isinstance(column, str):
            needed = self.label_kind in ("entities", "answers")  # null says something there
            return cells.present(column, fields) if needed else fields.get(column)
        if self.label_kind == "answers":
            text, start = column
            return {"text": cells.present(text, fields), "answer_start": fields.get(start)}
        return cells.switched_on(column, fields)


def find_columns(
    names: Sequence[str],
    sample: Sequence[Fields],
    roles: Mapping[str, str],
    chosen: Columns,
    known: Mapping[str, str | list[str]] | None = None,
    *,
    need_label: bool = True,
    label_kind: LabelKind = "labels",
) -> ColumnMap:
    """Find the column of each role.

    `roles` are the keys of a task's `columns`: a ``?`` at the end marks one that may be absent.
    `known` is a map that an earlier run saved; it stands behind what is `chosen` and before every
    guess, as far as the file has its columns. `need_label` makes the label a needed role (training,
    evaluation); without it the map has no label (prediction). `label_kind` says what the label
    holds; a score may be absent in any case. Raises `InputError`.
    """
    inside = nested_names(sample) if label_kind == "texts" else []
    search = Search([*names, *inside], sample, chosen, need_label, label_kind)
    columns = search.run(list(roles), known or {})
    return ColumnMap(columns, search.reasons, label_kind)


def _leaves_open(role: str, column: str, fields: Fields) -> bool:
    """Whether a row brings no labels of its own: it chooses from those that are named for all."""
    return role == "candidates" and is_missing(fields.get(column))


def _value(role: str, column: str, fields: Fields) -> Any:
    if role == "tokens":
        return cells.tokens(column, fields)
    if role == "candidates":
        return cells.choices(column, fields)
    if role == "messages":
        return cells.messages(column, fields)
    if role == "document":
        value = fields.get(column)
        return value if isinstance(value, (str, int)) else NO_DOCUMENT
    # Published data have empty questions, and their scorers count them.
    return cells.text(column, fields, may_be_empty=role == "question")
