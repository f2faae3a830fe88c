"""What Label Studio exports as JSON, a task at a time: a text and the spans marked in it.

    {"id": 1, "data": {"text": "Anna sings"}, "annotations": [{"was_cancelled": false, "result": [
        {"type": "labels", "value": {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}}]}]}

becomes ``{"id": 1, "text": "Anna sings", "entities": [{"start": 0, …}]}``. Of several annotations
the first that was not cancelled counts. A task without one has null as its entities.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from hfkit.data.display import kind_of, shown
from hfkit.data.record import Fields, Record
from hfkit.errors import InputError

log = logging.getLogger(__name__)

KEYS = ("annotations", "completions")  # the second one in exports of old versions
ENTITIES = "entities"


def is_task(value: Any) -> bool:
    """Whether an object of a JSON file is a task of Label Studio.

    >>> is_task({"data": {"text": "a"}, "annotations": []}), is_task({"text": "a"})
    (True, False)
    """
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("data"), Mapping)
        and any(isinstance(value.get(key), list) for key in KEYS)
    )


def was_skipped(fields: Fields) -> bool:
    """Whether a record is a task of Label Studio without an annotation."""
    return fields.get(ENTITIES, "") is None and "annotations" in fields


def flattened(records: Iterator[Record]) -> Iterator[Record]:
    """Turn tasks into records with a text and its entities; other records pass as they are. The
    first good record says which they are."""
    several = 0
    tasks: bool | None = None
    for record in records:
        if not record.error and tasks is None:
            tasks = is_task(record.fields)
        if tasks and not record.error:
            try:
                record.fields, count = flat(record.fields)
                several += count > 1
            except InputError as error:
                record.error = error.message
        yield record
    if several:
        log.info("tasks with several annotations, of which the first counts: %d", several)


def flat(task: Mapping[str, Any]) -> tuple[Fields, int]:
    """Return a task as a record, and how many annotations count. Raises `InputError`."""
    if not is_task(task):
        raise InputError("is no task of Label Studio, as the first row is")
    key = next(key for key in KEYS if isinstance(task.get(key), list))
    kept = []
    for annotation in task[key]:
        if not isinstance(annotation, Mapping):
            raise InputError(f"an annotation is {kind_of(annotation)}, expected an object")
        if not annotation.get("was_cancelled"):
            kept.append(annotation)
    fields: Fields = {"id": task["id"]} if "id" in task else {}
    fields |= task["data"]
    if ENTITIES in fields:
        raise InputError(f"the data has a field {ENTITIES!r} of its own")
    result = kept[0].get("result") if kept else None
    fields[ENTITIES] = _spans(result) if kept else None
    fields["annotations"] = len(kept)
    return fields, len(kept)


def _spans(result: Any) -> list[Any]:
    """Return the marked spans of an annotation; choices and ratings are about the whole text."""
    if not isinstance(result, list):
        raise InputError(f"the result of an annotation is {kind_of(result)}, expected a list")
    values = [item.get("value") if isinstance(item, Mapping) else None for item in result]
    for item, value in zip(result, values, strict=True):
        relation = isinstance(item, Mapping) and item.get("type") == "relation"
        if not isinstance(value, Mapping) and not relation:
            raise InputError(f"an entry of the result has no value: {shown(item)}")
    return [
        {name: value[name] for name in ("start", "end", "text", "labels") if name in value}
        for value in values
        if isinstance(value, Mapping) and "labels" in value
    ]
