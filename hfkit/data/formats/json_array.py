"""A JSON file that holds one array of objects, or an object with one list of objects in it.

SQuAD's nested form is recognised and made flat. The file is read whole, so rows have no line; large
data belongs into JSON Lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hfkit.data.display import kind_of, listed
from hfkit.data.formats import squad
from hfkit.data.formats.jsonl import loads
from hfkit.data.lines import unreadable
from hfkit.data.record import Record
from hfkit.errors import EmptyError, InputError

LARGEST = 1 << 29  # characters; parsed objects take several times as much memory


def read(lines: Iterator[str], path: str) -> Iterator[Record]:
    """Yield the objects of the array. Raises `InputError` where the file is no such thing."""
    content = _parsed(_text(lines, path), path)
    if squad.is_squad(content):
        yield from squad.records(content, path)
        return
    rows = _rows(content, path)
    if not rows:
        raise InputError("holds no rows", place=path)
    for number, value in enumerate(rows, 1):
        error = "" if isinstance(value, dict) else f"expected an object, got {kind_of(value)}"
        yield Record({} if error else value, number, path, 0, error)


def is_json_lines(first: list[str]) -> bool:
    """Whether the first two lines of a file that are not blank are objects of their own."""
    if not first or not first[0].lstrip().startswith("{"):
        return False
    if len(first) == 2 and not first[1].lstrip().startswith("{"):
        return False
    try:
        value = json.loads(first[0])
    except ValueError:
        return False
    return len(first) == 2 or not _lists(value)


def _text(lines: Iterator[str], path: str) -> str:
    parts: list[str] = []
    size = 0
    for number, line in enumerate(lines, 1):
        error = unreadable(line)
        if error:
            raise InputError(error, place=Record({}, 0, path, number, error).place)
        size += len(line)
        if size > LARGEST:
            raise InputError("is too large for a JSON array", place=path, hint="use JSON Lines")
        parts.append(line)
    return "".join(parts)


def _parsed(text: str, path: str) -> Any:
    if not text.strip():
        raise EmptyError("is empty", place=path)
    try:
        return loads(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise InputError(f"not valid JSON: {error.msg.lower()}", place=place) from error
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", place=path) from error
    except RecursionError as error:
        raise InputError("not valid JSON: nested too deep", place=path) from error


def _rows(value: Any, path: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise InputError(f"expected an array of objects, got {kind_of(value)}", place=path)
    lists = _lists(value)
    if len(lists) == 1:
        rows: list[Any] = value[lists[0]]
        return rows
    if not lists:
        return [value]
    raise InputError(
        f"holds several lists of objects ({listed(lists)})",
        place=path,
        hint="put the rows into one array",
    )


def _lists(value: dict[str, Any]) -> list[str]:
    return [
        key
        for key, items in value.items()
        if isinstance(items, list) and items and all(isinstance(item, dict) for item in items)
    ]
