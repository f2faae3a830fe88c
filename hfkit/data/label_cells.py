"""The cells of a label column that holds entities, answers or numbers, read row by row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hfkit.data import cells
from hfkit.data.answers import AnswerReader
from hfkit.data.column_names import LabelKind
from hfkit.data.entities import EntityReader
from hfkit.data.formats import label_studio
from hfkit.data.labels import LabelReader
from hfkit.data.record import Fields

BLANK = "without anything in them"  # what spreadsheets leave behind


class LabelCells:
    """Reads the labels of one source and counts what there is to tell of them."""

    def __init__(self, kind: LabelKind, labels: LabelReader) -> None:
        self.kind = kind
        self.labels = labels
        self._entities = EntityReader(labels)
        self._answers = AnswerReader()

    def learn(self, found: Iterable[Any]) -> None:
        """Decide by these cells whether tags that are numbers count from 0 or from 1."""
        if self.kind == "entities":
            self.labels.learn_numbers(self._entities.numbers(found))

    def read(self, row: dict[str, Any]) -> Any:
        """Return the label of a row: tags or entities, answers, a number, a text. Raises
        `InputError`."""
        if self.kind == "entities":
            return self._entities.read(row["label"], row.get("text"), row.get("tokens"))
        if self.kind == "answers":
            return self._answers.read(row["label"], row["context"])
        return row["label"] if self.kind == "texts" else cells.number(row["label"])

    def repairs(self) -> dict[str, int]:
        """How often a label was mended so far, by the codes of `hfkit check`."""
        return {
            "entity-twice": self._entities.twice,
            "answer-moved": self._answers.moved,
            "answer-absent": self._answers.absent,
        }

    def tell(self, source: str) -> None:
        """Log what was recognised, repaired and left out."""
        self._entities.tell(source)
        self._answers.tell(source)


def left_out(fields: Fields, kind: LabelKind) -> str:
    """Why a row is not to be used: empty where it is. Not a bad row: a tool's word about it.

    >>> left_out({"text": "a", "spans": [], "answer": "reject"}, "entities")
    "with the answer 'reject'"
    """
    if all(value is None or value == "" for value in fields.values()):
        return BLANK
    if kind == "none" and not any(str(value).strip() for value in fields.values()):
        return BLANK
    if kind == "entities" and "text" in fields:
        if "spans" in fields and fields.get("answer") in ("reject", "ignore"):
            return f"with the answer '{fields['answer']}'"
        if label_studio.was_skipped(fields):
            return "without an annotation"
    return ""
