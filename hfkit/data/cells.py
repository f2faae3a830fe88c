"""From the cell of a column to the value of a role: a text, words, a number, a list of choices.

A cell comes as a file has it. In CSV everything is text, so a list stands there as JSON. What does
not fit raises `InputError` without a place; whoever knows the row adds it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from hfkit.data.display import kind_of, listed, shown
from hfkit.data.labels import is_missing
from hfkit.data.record import Fields
from hfkit.errors import InputError

ON, OFF = ("1", 1, True), ("0", 0, False)
# Class names of pairs in data sets that are published with names for 0 and 1.
TWO_WORDS = {
    **dict.fromkeys(("duplicate", "equivalent", "true", "yes"), 1.0),
    **dict.fromkeys(("not_duplicate", "not_equivalent", "false", "no"), 0.0),
}


def present(column: str, fields: Fields) -> Any:
    """Return the cell, or a part of one: ``translation.en``. Raises `InputError` for a row without
    the column."""
    if column in fields:
        return fields[column]
    outer, _, key = column.partition(".")
    inside = structured(fields.get(outer))
    if isinstance(inside, dict) and key in inside:
        return inside[key]
    raise InputError(f"no column {shown(column)}; the row has {listed(fields) or 'none'}")


def has(column: str, fields: Fields) -> bool:
    """Whether a row has a column, or a part of one.

    >>> has("translation.en", {"translation": {"en": "cat"}}), has("text", {})
    (True, False)
    """
    try:
        present(column, fields)
    except InputError:
        return False
    return True


def text(column: str, fields: Fields, *, may_be_empty: bool = False) -> str:
    """Return a text, with something in it unless it may be empty."""
    value = present(column, fields)
    if not isinstance(value, str):
        raise InputError(f"column {shown(column)}: expected text, got {kind_of(value)}")
    if not value.strip() and not may_be_empty:
        problem = f"column {shown(column)}: the text is empty"
        raise InputError(problem, hint="fill it in, or take the row out")
    return value


def tokens(column: str, fields: Fields) -> list[str]:
    """Return the words of a text, at least one. A word may be any text but the empty one."""
    value = structured(present(column, fields))
    if not isinstance(value, (list, tuple)):
        what = f"expected a list of words, got {kind_of(value)}"
        raise InputError(f"column {shown(column)}: {what}")
    for number, word in enumerate(value, 1):
        if not isinstance(word, str) or not word:
            what = "an empty text" if word == "" else kind_of(word)
            raise InputError(f"column {shown(column)}: word {number} is {what}")
    if not value:
        problem = f"column {shown(column)}: there are no words"
        raise InputError(problem, hint="take the row out")
    return list(value)


def choices(column: str, fields: Fields) -> list[str]:
    """Return the labels to choose from: a list, or a text with commas between them.

    Whether one stands there twice is for the task to say."""
    value = structured(present(column, fields))
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)):
        what = f"expected a list of labels, got {kind_of(value)}"
        raise InputError(f"column {shown(column)}: {what}")
    names = [name.strip() if isinstance(name, str) else name for name in found]
    wrong = next((name for name in names if not isinstance(name, str) or not name), None)
    if wrong is not None or not names:
        what = "is empty" if not wrong else f"holds {kind_of(wrong)}"
        raise InputError(f"column {shown(column)}: the list of labels {what}")
    return names


def messages(column: str, fields: Fields) -> list[dict[str, str]]:
    """Return the messages of a conversation, at least one: who speaks (``role``), and the text
    (``content``). What else a message holds is left out."""
    value = structured(present(column, fields))
    if not isinstance(value, (list, tuple)):
        what = f"expected a list of messages, got {kind_of(value)}"
        raise InputError(f"column {shown(column)}: {what}")
    if not value:
        problem = f"column {shown(column)}: there are no messages"
        raise InputError(problem, hint="take the row out")
    found = []
    for number, message in enumerate(value, 1):
        parts = [message.get(n) if isinstance(message, dict) else None for n in ("role", "content")]
        if not all(isinstance(part, str) for part in parts):
            what = 'expected "role" and "content", both of them text'
            raise InputError(f"column {shown(column)}: message {number}: {what}")
        found.append({"role": str(parts[0]), "content": str(parts[1])})
    return found


def are_messages(cell: Any) -> bool:
    """Whether a cell is a list of messages, as far as its first one tells.

    >>> are_messages([{"role": "user", "content": "Hi"}]), are_messages([{"text": "Hi"}])
    (True, False)
    """
    value = structured(cell)
    first = value[0] if isinstance(value, (list, tuple)) and value else None
    return isinstance(first, dict) and "role" in first and "content" in first


def switched_on(columns: Sequence[str], fields: Fields) -> list[str]:
    """Return the columns whose cell is 1; the others are 0."""
    found: list[str] = []
    for column in columns:
        value = fields.get(column)
        value = value.strip() if isinstance(value, str) else value
        if value in ON:
            found.append(column)
        elif value not in OFF:
            what = shown(value) if isinstance(value, str) else kind_of(value)
            raise InputError(f"column {shown(column)}: expected 0 or 1, got {what}")
    return found


def structured(value: Any) -> Any:
    """Return the list or object that a text spells as JSON; anything else as it is.

    >>> structured('["a", "b"]'), structured("[sic]"), structured(3)
    (['a', 'b'], '[sic]', 3)
    """
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    if hasattr(value, "tolist"):  # an array, from Python
        return value.tolist()
    return value


def number(cell: Any) -> float:
    """Return a score: a number, a text that spells one, true, false, or a name of 0 or 1.

    >>> number("3.8"), number(True), number("not_duplicate")
    (3.8, 1.0, 0.0)
    """
    if is_missing(cell):
        raise InputError("the score is missing", hint="fill it in, or take the row out")
    if isinstance(cell, str) and cell.strip().lower() in TWO_WORDS:
        return TWO_WORDS[cell.strip().lower()]
    if not isinstance(cell, (str, int, float)) or (isinstance(cell, str) and "_" in cell):
        raise InputError(f"expected a number, got {_what(cell)}")
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        raise InputError(f"expected a number, got {_what(cell)}") from None
    if not math.isfinite(value):
        raise InputError(f"expected a finite number, got {shown(cell)}")
    return value


def _what(cell: Any) -> str:
    return shown(cell) if isinstance(cell, str) else kind_of(cell)


def is_number(cell: Any) -> bool:
    """Whether `number` reads a cell."""
    try:
        number(cell)
    except InputError:
        return False
    return True


def are_words(cell: Any) -> bool:
    """Whether a cell is a list of texts.

    >>> are_words(["a", "b"]), are_words('["a"]'), are_words([{"text": "a"}]), are_words("a")
    (True, True, False, False)
    """
    value = structured(cell)
    return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)
