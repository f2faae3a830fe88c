"""Answers to a question, from the ways in which files write them to one form.

    {"text": ["a", "b"], "answer_start": [0, 9]}     the Hub's SQuAD
    [{"text": "a", "answer_start": 0}]               SQuAD's own JSON
    "a", and its start in a column beside it         CSV
    ["a", "b"]                                       texts alone

What leaves here is a list of ``{"text", "start"}``, empty where there is no answer, such that the
text stands in the context at its start. Where the file gives another place, or none, the text is
searched in the context: the occurrence nearest to the place given. That is counted and told. An
answer that stands nowhere, beside one that does, is kept for scoring: last, with the start -1.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hfkit.data.cells import structured
from hfkit.data.display import kind_of, shown
from hfkit.data.labels import is_missing
from hfkit.errors import InputError

log = logging.getLogger(__name__)

Answer = dict[str, Any]

STARTS = ("answer_start", "start", "answer_starts")
ELSEWHERE = "%s: answers that were not at their offset and were found by searching: %d"
NO_OFFSET = "%s: answers without an offset, taken where they stand first: %d"
ABSENT = "%s: answers that do not stand in their context, kept for scoring alone: %d (%d questions have another one)"  # noqa: E501
NOWHERE = -1  # the start of such an answer


@dataclass
class AnswerReader:
    """Turns the label cells of one file into answers, and counts what it had to search."""

    moved: int = 0  # not at the place given
    searched: int = 0  # no place given
    absent: int = 0  # nowhere in the context, beside one that was found
    questions: int = 0  # with such an answer

    def read(self, cell: Any, context: str) -> list[Answer]:
        """Return the answers of a cell; those that stand nowhere in the context come last.

        Raises `InputError`, without a place, for a cell that is none of the above, and where no
        answer of a question stands in the context.
        """
        found: list[Answer] = []
        absent: list[str] = []
        for text, start in _each(structured(cell)):
            place = self._place(text, start, context)
            if place is None:
                absent.append(text)
            else:
                found.append({"text": text, "start": place})
        if absent and not found:
            problem = f"the answer {shown(absent[0])} does not stand in the context"
            raise InputError(problem, hint="mend it, or take the row out")
        self.absent += len(absent)
        self.questions += bool(absent)
        return found + [{"text": text, "start": NOWHERE} for text in absent]

    def tell(self, source: str) -> None:
        """Log what was counted; a loss is a warning."""
        if self.moved:
            log.warning(ELSEWHERE, source, self.moved)
        if self.searched:
            log.info(NO_OFFSET, source, self.searched)
        if self.absent:
            log.warning(ABSENT, source, self.absent, self.questions)

    def _place(self, text: str, start: int | None, context: str) -> int | None:
        if start is not None and start >= 0 and context.startswith(text, start):
            return start
        place = nearest(context, text, start or 0)
        if place is not None and start is None:
            self.searched += 1
        elif place is not None:
            self.moved += 1
        return place


def nearest(context: str, text: str, start: int) -> int | None:
    """Return where `text` stands nearest to `start`, the earlier of two; None where it does not.

    >>> nearest("an ox, an ox", "ox", 8), nearest("an ox", "ox", -1), nearest("an ox", "a fox", 0)
    (10, 3, None)
    """
    start = min(max(start, 0), len(context))
    after = context.find(text, start)
    before = context.rfind(text, 0, start + len(text))
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: abs(place - start), default=None)


def is_answers(cell: Any) -> bool:
    """Whether a cell is answers with their places, and nothing else.

    >>> is_answers({"text": ["a"], "answer_start": [0]}), is_answers(["a"])
    (True, False)
    """
    value = structured(cell)
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, Mapping) and _has_start(one) for one in value)
    return isinstance(value, Mapping) and _has_start(value)


def _has_start(value: Mapping[str, Any]) -> bool:
    return "text" in value and any(name in value for name in STARTS)


def _each(value: Any) -> Iterator[tuple[str, int | None]]:
    """Yield each answer with its start; an empty text is no answer."""
    if isinstance(value, Mapping):
        value = _unzipped(value)
    if is_missing(value):
        return
    if isinstance(value, str):
        yield value, None
        return
    if not isinstance(value, (list, tuple)):
        raise InputError(f"expected answers, got {kind_of(value)}")
    for number, item in enumerate(value, 1):
        text, start = item, None
        if isinstance(item, Mapping):
            if "text" not in item:
                raise InputError(f"answer {number} has no 'text'")
            text = item["text"]
            start = next((item[name] for name in STARTS if name in item), None)
        if is_missing(text) and isinstance(item, Mapping):
            continue  # how some files say that there is no answer
        if not isinstance(text, str) or not text.strip():
            what = "an empty text" if isinstance(text, str) else kind_of(text)
            raise InputError(f"answer {number}: expected text, got {what}")
        yield text, _start(start, number)


def _unzipped(value: Mapping[str, Any]) -> Any:
    """Turn ``{"text": [...], "answer_start": [...]}`` into a list of objects."""
    if "text" not in value:
        raise InputError("the answers have no 'text'")
    texts = value["text"]
    starts = next((value[name] for name in STARTS if name in value), None)
    if texts is None or texts == "":
        return None
    if isinstance(texts, str):
        starts = starts[0] if isinstance(starts, list) and len(starts) == 1 else starts
        return [{"text": texts, "start": starts}]
    if not isinstance(texts, (list, tuple)):
        raise InputError(f"expected answers, got {kind_of(texts)}")
    if starts is None:
        return list(texts)
    if not isinstance(starts, (list, tuple)) or len(starts) != len(texts):
        many = len(starts) if isinstance(starts, (list, tuple)) else kind_of(starts)
        raise InputError(f"{len(texts)} answers, and for their starts {many}")
    return [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]


def _start(value: Any, number: int) -> int | None:
    """Read an offset; a text that spells one comes from CSV."""
    if is_missing(value):
        return None
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        what = shown(value) if isinstance(value, str) else kind_of(value)
        raise InputError(f"answer {number}: expected a whole number as its start, got {what}")
    return value
