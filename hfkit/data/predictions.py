"""Reading what `hfkit predict` wrote: the answers in a JSON Lines, CSV or TSV file.

In JSON Lines an answer is the value of ``prediction``. In CSV it is spread over columns:
``prediction.label``, ``prediction.labels`` (joined by a separator), ``prediction.value``,
``prediction.text``,
``prediction.answer`` with its place, and the scores, each in a column of its own or joined like the
labels; ``prediction.entities`` is JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hfkit.abstaining import restored
from hfkit.config import Reading
from hfkit.data.record import Fields, strict
from hfkit.errors import InputError

Answer = dict[str, Any]

NAME = "prediction"
SCORES = f"{NAME}.scores."
NUMBERS = ("score", "value")
LISTS = ("entities", "tags")
PLACES = ("start", "end")


def is_predictions(source: str) -> bool:
    """Whether this names a file, and so predictions; a model is a folder or a name of the Hub."""
    from hfkit.data.source import format_of

    return bool(format_of(source)) or Path(source).is_file()


def read_predictions(source: str, separator: str = "|") -> list[Answer]:
    """Return the answers of a file, in its order.

    Raises `InputError` with its place for the first row without one.
    """
    from hfkit.data.source import read

    answers = []
    for record in strict(read(source, Reading())):
        try:
            answers.append(answer_of(record.fields, separator))
        except InputError as error:
            raise InputError(error.message, place=record.place, hint=error.hint) from error
    return answers


def check_order(source: str, data: str, reading: Reading) -> None:
    """Raise `InputError` where a row of the predictions is not the row of the data at its place.

    Predictions and data are matched by their order; the fields that both have must agree.
    """
    from hfkit.data.source import read

    for predicted, record in zip(read(source, Reading()), read(data, reading), strict=False):
        for name, value in record.fields.items():
            other = predicted.fields.get(name)
            plain = isinstance(value, str | int | float) and isinstance(other, str | int | float)
            if plain and str(value) != str(other):
                raise InputError(
                    f"not the row predicted at {predicted.place} (column '{name}' differs)",
                    place=record.place,
                    hint="give the data in the order in which they were predicted",
                )


def answer_of(fields: Fields, separator: str = "|") -> Answer:
    """Return the answer that a row holds. Raises `InputError`, without a place, for none.

    >>> answer_of({"text": "x", "prediction.label": "pos", "prediction.score": "0.9"})
    {'label': 'pos', 'score': 0.9}
    """
    answer = fields.get(NAME)
    if isinstance(answer, dict):
        return restored(answer)
    flat = {
        name.removeprefix(f"{NAME}."): value
        for name, value in fields.items()
        if name.startswith(f"{NAME}.") and isinstance(value, str)
    }
    failure = fields.get("error")
    if failure or not ("text" in flat or any(flat.values())):
        if failure:
            raise InputError(f"no prediction: {failure}")
        hint = "give what `hfkit predict MODEL DATA -o FILE.jsonl` wrote"
        if "tags" in fields:
            hint += "; a CoNLL file does not tell predicted tags from right ones"
        raise InputError("no prediction", hint=hint)
    return _unflattened(flat, separator)


def _unflattened(flat: dict[str, str], separator: str) -> Answer:
    answer: Answer = {}
    spread = {
        name.removeprefix("scores."): _number(value)
        for name, value in flat.items()
        if name.startswith("scores.")
    }
    if "label" in flat:
        answer["label"] = flat["label"] or flat.get("withheld", "")
    if "labels" in flat:
        joined = flat.get("scores", "")
        if "|" in joined:  # what hfkit itself joins with; the flag is about the right answers
            separator = "|"
        answer["labels"] = flat["labels"].split(separator) if flat["labels"] else []
        numbers = [_number(part) for part in joined.split(separator)] if joined else []
        if numbers and len(numbers) == len(answer["labels"]):
            answer["scores"] = dict(zip(answer["labels"], numbers, strict=True))
    if "text" in flat:
        answer["text"] = flat["text"]
    if "answer" in flat:
        places = {key: _place(flat[key], key) if flat.get(key) else None for key in PLACES}
        answer |= {"answer": flat["answer"], **places}
    answer |= {key: _list(flat[key]) for key in LISTS if flat.get(key)}
    answer |= {
        key: _number(flat[key]) for key in NUMBERS if flat.get(key) not in (None, "", "null")
    }
    return answer | ({"scores": spread} if spread else {})


def _list(cell: str) -> list[Any]:
    """A list, which a cell holds as JSON."""
    try:
        value = json.loads(cell)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise InputError(f"expected a list, got {cell[:40]!r}")
    return value


def _place(text: str, what: str) -> int:
    number = _number(text, what)
    if not number.is_integer():
        raise InputError(f"expected a whole number as {what}, got {text[:40]!r}")
    return int(number)


def _number(text: str, what: str = "score") -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected a number as {what}, got {text[:40]!r}") from None
