"""A line of JSON with personal data masked: its strings are found where they stand, so that all
that is not masked stays as it was written, spaces and escapes included."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from hfkit.data.answers import STARTS as ANSWER_STARTS
from hfkit.data.checks.personal import Masked
from hfkit.data.entities import ENDS, STARTS, shape_of
from hfkit.data.formats.jsonl import parsed
from hfkit.data.formats.label_studio import is_task
from hfkit.errors import InputError

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
OFFSETS = "mend it, or convert the file: hfkit convert FILE --to jsonl -o COPY"

Path = tuple[str | int, ...]


class Leaf(NamedTuple):
    """A text, number or null, with its path from the top and where its characters stand."""

    path: Path
    start: int
    end: int
    value: Any


def redacted_line(line: str, text: str, label: str, counts: Counter[str], place: str) -> str:
    """Return the line masked; `text` is the column that offsets in the column `label` count in.

    Counts the values by kind. Raises `InputError` where offsets could not be kept right.
    """
    body = line.removeprefix("\ufeff")
    fields, error = parsed(body)
    if not body.strip() or error:
        return line
    leaves = list(leaves_of(body))
    new = dict(_masked_texts(leaves, counts))
    moved = fields.get(text)
    if new and isinstance(moved, str):
        masked = Masked(moved)
        offsets = _offsets(fields.get(label), masked, label, place) if masked.found else {}
        new |= {number: offsets[leaf.path] for number, leaf in enumerate(leaves)
                if leaf.path in offsets}  # fmt: skip
    if new and is_task(fields):
        raise InputError("offsets of Label Studio cannot be moved", place=place, hint=OFFSETS)
    parts, end = [], 0
    for number, value in sorted(new.items()):
        leaf = leaves[number]
        ascii_only = body[leaf.start : leaf.end].isascii()
        parts += [body[end : leaf.start], json.dumps(value, ensure_ascii=ascii_only)]
        end = leaf.end
    return line[: len(line) - len(body)] + "".join([*parts, body[end:]])


def _masked_texts(leaves: list[Leaf], counts: Counter[str]) -> Iterator[tuple[int, Any]]:
    """Yield the number of each string that changes, with the string masked."""
    seen: set[str] = set()
    groups: dict[Path, list[int]] = {}
    for number, leaf in enumerate(leaves):
        in_list = bool(leaf.path) and isinstance(leaf.path[-1], int)
        groups.setdefault(leaf.path[:-1] if in_list else leaf.path, []).append(number)
    for numbers in groups.values():
        values = [leaves[number].value for number in numbers]
        if all(isinstance(value, str) for value in values):
            yield from zip(numbers, _words(values, counts, seen), strict=True)
        else:
            for number, value in zip(numbers, values, strict=True):
                if isinstance(value, str):
                    yield from zip([number], _words([value], counts, seen), strict=True)


def _words(values: list[str], counts: Counter[str], seen: set[str]) -> list[str]:
    from hfkit.data.redact import masked_words

    def mask(text: str) -> str:
        if text not in seen:
            seen.add(text)
            counts.update(one.kind for one in Masked(text).found)
        return text

    return (
        [Masked(values[0]).text]
        if len(values) == 1 and mask(values[0])
        else masked_words(values, mask)
    )


def _offsets(cell: Any, masked: Masked, label: str, place: str) -> dict[Path, Any]:
    """Path -> new value, for the offsets and surfaces of entities or answers."""
    if cell is None or cell == [] or isinstance(cell, (str, int, float)):
        return {}  # a label that counts no characters
    if isinstance(cell, dict) and "text" in cell:
        return dict(_zipped_answers(cell, masked, label, place))
    if not isinstance(cell, list):
        raise InputError("offsets of this form cannot be moved", place=place, hint=OFFSETS)
    if all(isinstance(one, str) for one in cell):
        return {}  # names, or texts of answers
    found: dict[Path, Any] = {}
    shape = shape_of(cell)
    for number, one in enumerate(cell):
        path: Path = (label, number)
        if isinstance(one, dict) and "text" in one and not _key(one, ENDS):
            key = _key(one, ANSWER_STARTS)
            start, end = _span(one.get(key), one["text"], masked, place)
            found |= {(*path, key): start, (*path, "text"): masked.text[start:end]}
        elif shape == "triples":
            found |= {(*path, 0): masked.place(_whole(one[0], place), end=False),
                      (*path, 1): masked.place(_whole(one[1], place), end=True)}  # fmt: skip
        elif shape == "objects" and isinstance(one, dict):
            first, last = _key(one, STARTS), _key(one, ENDS)
            start = masked.place(_whole(one.get(first), place), end=False)
            end = masked.place(_whole(one.get(last), place), end=True)
            found |= {(*path, first): start, (*path, last): end}
            if isinstance(one.get("text"), str):
                found[*path, "text"] = masked.text[start:end]
        else:
            raise InputError("offsets of this form cannot be moved", place=place, hint=OFFSETS)
    return found


def _zipped_answers(
    cell: dict[str, Any], masked: Masked, label: str, place: str
) -> Iterator[tuple[Path, Any]]:
    """The answers of the Hub: a list of texts, and a list of starts."""
    key = _key(cell, ANSWER_STARTS)
    texts, starts = cell["text"], cell.get(key)
    if isinstance(texts, str):
        start, end = _span(starts, texts, masked, place)
        yield from [((label, key), start), ((label, "text"), masked.text[start:end])]
        return
    for number, text in enumerate(texts or []):
        start, end = _span((starts or {number: None})[number], text, masked, place)
        yield (label, key, number), start
        yield (label, "text", number), masked.text[start:end]


def _span(start: Any, text: Any, masked: Masked, place: str) -> tuple[int, int]:
    """Where an answer is in the masked text; it must have been where the file says."""
    begin = _whole(start, place)
    if not isinstance(text, str) or not masked.before.startswith(text, begin):
        raise InputError("an answer is not at its offset", place=place, hint=OFFSETS)
    return masked.place(begin, end=False), masked.place(begin + len(text), end=True)


def _whole(value: Any, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InputError("an offset is no whole number", place=place, hint=OFFSETS)


def _key(item: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if item.get(name) is not None), "")


def leaves_of(line: str) -> Iterator[Leaf]:
    """Yield the leaves of a line that is valid JSON, in their order.

    >>> [(leaf.path, leaf.value) for leaf in leaves_of('{"a": [1, "x"], "b": null}')]
    [(('a', 0), 1), (('a', 1), 'x'), (('b',), None)]
    """
    path: list[str | int] = []
    opened: list[str] = []
    key = False  # whether the next string is a key
    for token in TOKEN.finditer(line):
        text = token[0]
        if text in "{[":
            opened.append(text)
            path.append(0 if text == "[" else "")
            key = text == "{"
        elif text in "}]":
            opened.pop()
            path.pop()
            key = False
        elif text == ",":
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            key = opened[-1] == "{"
        elif text == ":":
            key = False
        elif key:
            path[-1] = json.loads(text)
        else:
            yield Leaf(tuple(path), *token.span(), json.loads(text))
