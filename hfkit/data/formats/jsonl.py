"""JSON Lines: one object a line. Values stay as JSON has them; a bad line is one bad row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hfkit.data.display import kind_of, shown
from hfkit.data.lines import unreadable, without_end
from hfkit.data.record import Fault, Fields, Record
from hfkit.errors import EmptyError


def read(lines: Iterator[str], path: str) -> Iterator[Record]:
    """Yield one record per line that is not blank. Raises `InputError` where there is none."""
    row = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row += 1
        fields, error = parsed(line)
        yield Record(fields, row, path, number, error)
    if not row:
        raise EmptyError("is empty", place=path)


def parsed(line: str) -> tuple[Fields, str]:
    """Return the object on a line, and what is wrong with it; one of the two is empty.

    >>> parsed('{"text": "fine"}')
    ({'text': 'fine'}, '')
    >>> parsed('["text"]')
    ({}, 'expected an object, got a list')
    """
    error = unreadable(line)
    if error:
        return {}, error
    try:
        value = loads(without_end(line))
    except json.JSONDecodeError as problem:
        message = f"not valid JSON: {problem.msg.lower()} (column {problem.colno})"
        return {}, Fault(message, problem.colno)
    except ValueError as problem:
        return {}, f"not valid JSON: {problem}"
    except RecursionError:
        return {}, "not valid JSON: nested too deep"
    if not isinstance(value, dict):
        return {}, f"expected an object, got {kind_of(value)}"
    return value, ""


def loads(text: str) -> Any:
    """Parse JSON strictly: no key twice, no NaN or infinity, no half of a surrogate pair.

    Raises `ValueError`.
    """
    value = _DECODER.decode(text)
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            code = ord(str(error.object)[error.start])
            raise ValueError(f"\\u{code:04x} is half of a surrogate pair") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} stands twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {shown(text)} is too large")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


# One decoder for all lines: json.loads would build one for every call with hooks.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
)
