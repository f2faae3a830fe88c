"""`hfkit audit`: labels that are probably wrong, found by models that have not seen them.

The rows are cut into folds; each row is judged by what was fitted on the others, and confident
learning (`hfkit.metrics.confident`) says which labels to doubt, and how many there may be.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.config import Columns
from hfkit.config.report import AuditConfig
from hfkit.data.output import check_apart, open_output
from hfkit.errors import InputError, RowError

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

OUTSIDE = "O"
AUDITED = ("classification", "ner")


@dataclass(frozen=True)
class Audited:
    """What came of it: the likeliest errors first, how many labels were looked at, and how many of
    them are wrong by the estimate (`estimated`), which may be more than were found."""

    issues: list[dict[str, Any]]
    labels: int
    estimated: float
    task: str
    counts: dict[str, int] = field(default_factory=dict)


def audit(config: AuditConfig) -> Audited:
    """Find probable label errors in ``config.train``.

    Raises `InputError` for data without labels, for a task whose labels are not classes, and for
    fewer texts than folds.
    """
    from hfkit.data.checks.texts import joined_texts
    from hfkit.model.defaults import default_model

    if not config.train:
        raise InputError("no data", hint="name labelled rows: hfkit audit train.csv")
    data, task, name = _read(config)
    if config.model is None:
        texts = [str(joined_texts(row)[0]) for row in data.rows[:500]]
        model, reason = default_model(name, texts)
        log.info("the encoder is %s (%s); override with -m", model, reason)
        config = config.model_copy(update={"model": model})
    if name == "ner":
        return _of_words(config, data, task)
    if getattr(task, "problem", "") == "multi-label":
        return _of_several(config, data, task)
    return _of_texts(config, data, task)


def write_audit(config: AuditConfig) -> Audited:
    """Write the records of `audit`, JSON Lines, to ``config.output`` or standard output."""
    check_apart(config.output, [config.train or ""])
    with open_output(config.output, config.overwrite) as output:
        audited = audit(config)
        for issue in audited.issues:
            output.write(json.dumps(issue, ensure_ascii=False) + "\n")
    tell(audited)
    return audited


def tell(audited: Audited) -> None:
    """Say how many labels look wrong, and which are taken for which."""
    found, labels = len(audited.issues), audited.labels
    what = "words" if audited.task == "ner" else "labels"
    log.info(
        "%d of %d %s look wrong (%.1f%%); the estimate is %.0f",
        found, labels, what, 100 * found / max(labels, 1), audited.estimated,
    )  # fmt: skip
    for pair, count in list(audited.counts.items())[:5]:
        log.info("%s: %d", pair, count)


def _read(config: AuditConfig) -> tuple[Dataset, Task[Any], str]:
    """The rows, and the task that their labels are for."""
    from hfkit.data.dataset import load_rows, peek
    from hfkit.data.shape import infer_task
    from hfkit.registry import find_task, make_task

    source = config.train or ""
    peeked = peek(source, config, offline=config.offline, strictness=config)
    chosen = config.task
    if chosen is None:
        chosen, reason = infer_task(peeked.names, peeked.sample, config)
        log.info("the task is %s (%s); override with -t", chosen, reason)
    name, _, implied = find_task(chosen)
    if name not in AUDITED:
        known = " and ".join(AUDITED)
        raise InputError(f"labels of {name} are no classes; {known} can be audited", place=source)
    task = make_task(name, {**implied, **config.options})
    columns = Columns(**{field: getattr(config, field) for field in Columns.model_fields})
    roles = {role.replace("label?", "label"): what for role, what in task.columns.items()}
    data = load_rows(
        source, config, columns, roles, offline=config.offline, label_kind=task.label_kind,
        peeked=peeked, strictness=config,
    )  # fmt: skip
    try:
        task.learn(data.rows)
    except RowError as error:
        raise data.located(error) from error
    if getattr(task, "problem", "") == "regression":
        raise InputError("numbers are no classes, and cannot be audited", place=source)
    return data, task, name


def _of_texts(config: AuditConfig, data: Dataset, task: Task[Any]) -> Audited:
    import numpy as np

    from hfkit.metrics.confident import find_issues
    from hfkit.run.auditing import groups_of, out_of_fold, text_vectors

    numbers = {label: number for number, label in enumerate(task.labels)}
    given = np.array([numbers[one["label"]] for one in task.gold(data.rows)], dtype=np.intp)
    vectors = text_vectors(config, data)
    chances = out_of_fold(vectors, given, groups_of(data), len(numbers), config)
    found = find_issues(chances, given)
    issues = []
    for row, suggested, margin in zip(*map(list, found[:3]), strict=True):
        issues.append({
            **_place(data, row),
            "label": task.labels[given[row]],
            "suggested": task.labels[suggested],
            "confidence": round(float(chances[row, suggested]), 4),
            "margin": round(float(margin), 4),
            "text": _text(data, row),
        })  # fmt: skip
    estimated = float(found.joint.sum() - np.trace(found.joint))
    return _audited(config, issues, len(given), estimated, "classification")


def _of_several(config: AuditConfig, data: Dataset, task: Task[Any]) -> Audited:
    """Several labels a row: each is a question of its own, whether the row has it."""
    import numpy as np

    from hfkit.metrics.confident import find_issues
    from hfkit.run.auditing import groups_of, out_of_fold, text_vectors

    gold = task.gold(data.rows)
    vectors, groups, issues, estimated = text_vectors(config, data), groups_of(data), [], 0.0
    for label in task.labels:
        given = np.array([label in one["labels"] for one in gold], dtype=np.intp)
        chances = out_of_fold(vectors, given, groups, 2, config)
        found = find_issues(chances, given)
        estimated += float(found.joint.sum() - np.trace(found.joint))
        for row, suggested, margin in zip(*map(list, found[:3]), strict=True):
            have = gold[row]["labels"]
            better = [*have, label] if suggested else [one for one in have if one != label]
            issues.append({
                **_place(data, row),
                "label": have,
                "suggested": sorted(better),
                "add" if suggested else "remove": label,
                "confidence": round(float(chances[row, suggested]), 4),
                "margin": round(float(margin), 4),
                "text": _text(data, row),
            })  # fmt: skip
    issues.sort(key=lambda one: (one["margin"], str(one["row"])))
    return _audited(config, issues, len(gold) * len(task.labels), estimated, "classification")


def _of_words(config: AuditConfig, data: Dataset, task: Task[Any]) -> Audited:
    """Words: whether each is part of an entity, and of which type; where one begins is not."""
    import numpy as np

    from hfkit.metrics.confident import find_issues
    from hfkit.run.auditing import out_of_fold, word_vectors
    from hfkit.spans import split
    from hfkit.words import Passage

    words = word_vectors(config, data, task)
    types = [split(tag)[1] or OUTSIDE for tag in task.labels]
    names = list(dict.fromkeys(types))
    of_tag = np.array([names.index(name) for name in types], dtype=np.intp)
    given = of_tag[words.tags]
    chances = out_of_fold(words.vectors, given, words.rows, len(names), config)
    found = find_issues(chances, given)
    issues = []
    for one, suggested, margin in zip(*map(list, found[:3]), strict=True):
        row, place = int(words.rows[one]), int(words.places[one])
        passage = Passage.of(data.rows[row])
        start, end = passage.places[place]
        issues.append({
            **_place(data, row),
            "word": place,
            "start": start,
            "end": end,
            "text": passage.text[start:end],
            "label": names[given[one]],
            "suggested": names[suggested],
            "confidence": round(float(chances[one, suggested]), 4),
            "margin": round(float(margin), 4),
        })  # fmt: skip
    estimated = float(found.joint.sum() - np.trace(found.joint))
    return _audited(config, issues, len(given), estimated, "ner")


def _audited(
    config: AuditConfig, issues: list[dict[str, Any]], labels: int, estimated: float, task: str
) -> Audited:
    """The result, with the most frequent pairs of given and suggested label."""
    counts: dict[str, int] = {}
    for pair in _pairs(issues):
        counts[pair] = counts.get(pair, 0) + 1
    ranked = dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
    return Audited(issues[: config.top], labels, estimated, task, ranked)


def _pairs(issues: list[dict[str, Any]]) -> Iterator[str]:
    for one in issues:
        if "add" in one or "remove" in one:
            yield f"add {one['add']}" if "add" in one else f"remove {one['remove']}"
        else:
            yield f"{one['label']} that seems {one['suggested']}"


def _place(data: Dataset, row: int) -> dict[str, Any]:
    """The file, and the line or else the number of the row in it."""
    record = data.record(int(row))
    where = {"line": record.line} if record.line else {}
    return {"file": Path(record.path).as_posix(), **where, "row": int(row) + 1}


def _text(data: Dataset, row: int) -> str:
    return str(data.rows[int(row)]["text"])
