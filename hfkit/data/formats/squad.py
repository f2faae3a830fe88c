"""SQuAD's own JSON: articles, in them paragraphs, in them questions. XQuAD and CMRC are written so.

    {"data": [{"title": …, "paragraphs": [{"context": …, "qas": [
        {"id": …, "question": …, "answers": [{"text": …, "answer_start": …}]}]}]}]}

A question is a record: id, title, question, context, answers. One that is marked as impossible has
no answers. The file is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfkit.data.display import kind_of
from hfkit.data.record import Fields, Record
from hfkit.errors import InputError


def is_squad(value: Any) -> bool:
    """Whether parsed JSON is of this form.

    >>> is_squad({"data": [{"paragraphs": []}]}), is_squad({"data": [{"question": "?"}]})
    (True, False)
    """
    nested = isinstance(value, Mapping)
    articles = value.get("data") if nested else value
    if not isinstance(articles, list):
        return False
    found = [
        one["paragraphs"] for one in articles if isinstance(one, Mapping) and "paragraphs" in one
    ]
    if nested:
        return bool(found)
    return any(isinstance(one, list) and one and _is_paragraph(one[0]) for one in found)


def _is_paragraph(value: Any) -> bool:
    return isinstance(value, Mapping) and "qas" in value


def records(value: Any, path: str) -> Iterator[Record]:
    """Yield one record a question. What is wrong is told with the article and paragraph."""
    row = 0
    for fields, error in _questions(value["data"] if isinstance(value, Mapping) else value):
        row += 1
        yield Record(fields, row, path, 0, error)
    if not row:
        raise InputError("holds no questions", place=path)


def _questions(articles: list[Any]) -> Iterator[tuple[Fields, str]]:
    for number, article in enumerate(articles, 1):
        place = f"article {number}"
        paragraphs, error = _list(article, "paragraphs", place)
        if error:
            yield {}, error
        for index, paragraph in enumerate(paragraphs, 1):
            inner = f"{place}, paragraph {index}"
            questions, error = _list(paragraph, "qas", inner)
            if error:
                yield {}, error
            for which, question in enumerate(questions, 1):
                yield _record(article, paragraph, question, f"{inner}, question {which}")


def _record(article: Any, paragraph: Any, question: Any, place: str) -> tuple[Fields, str]:
    if not isinstance(question, Mapping):
        return {}, f"{place}: expected an object, got {kind_of(question)}"
    for owner, name in ((paragraph, "context"), (question, "question")):
        if not isinstance(owner.get(name), str):
            found = f"got {kind_of(owner[name])}" if name in owner else "there is none"
            return {}, f"{place}: expected a text as its {name}, {found}"
    impossible = question.get("is_impossible", False)
    if not isinstance(impossible, bool):
        return {}, f"{place}: 'is_impossible' is {kind_of(impossible)}, expected true or false"
    fields: Fields = {"id": question["id"]} if "id" in question else {}
    if "title" in article:
        fields["title"] = article["title"]
    fields |= {"question": question["question"], "context": paragraph["context"]}
    if "answers" in question or impossible:  # a test set has none
        answers = question.get("answers")
        if not impossible and not isinstance(answers, list):
            return {}, f"{place}: expected a list of answers, got {kind_of(answers)}"
        fields["answers"] = [] if impossible else answers
    return fields, ""


def _list(owner: Any, name: str, place: str) -> tuple[list[Any], str]:
    if not isinstance(owner, Mapping):
        return [], f"{place}: expected an object, got {kind_of(owner)}"
    found = owner.get(name)
    if isinstance(found, list):
        return found, ""
    return [], f"{place}: expected a list '{name}', got {kind_of(found)}"
