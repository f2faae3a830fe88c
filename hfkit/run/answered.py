"""Answers beside the right answers, and answers that were read from a file of predictions.

Such a file needs no model to be scored: what its answers hold tells the task.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.config import Columns, EvaluateConfig, ExportConfig, FinetuneConfig, Strictness
from hfkit.errors import InputError, RowError

if TYPE_CHECKING:
    from hfkit.data.bad_rows import BadRows
    from hfkit.data.dataset import Dataset
    from hfkit.run.opening import Opened
    from hfkit.tasks.base import Answer, Task

log = logging.getLogger(__name__)

# What an answer holds -> the task that gives such answers; the first that fits.
TASK_OF_KEY = {
    "entities": "ner",
    "answer": "qa",
    "label": "classification",
    "labels": "classification",
    "value": "classification",
    "score": "similarity",
    "text": "text2text",
}
GOLD_KEYS = ("label", "labels", "value", "entities", "answers", "score", "text")
PROBLEM_OF_KEY = {"label": "single-label", "labels": "multi-label", "value": "regression"}


class Answered(NamedTuple):
    """Answers beside the right answers, the task that gave them, and the rows they are for; with
    what was opened, where that is a model."""

    task: Task[Any]
    answers: list[Answer]
    gold: list[Answer]
    data: Dataset
    opened: Opened | None = None

    @property
    def bad(self) -> BadRows:
        """What of the data was left out."""
        return self.data.bad


def columns_of(config: Columns) -> Columns:
    """The settings that say which column is what."""
    return Columns(**{name: getattr(config, name) for name in Columns.model_fields})


def gold_of(task: Task[Any], data: Dataset) -> list[Answer]:
    """The right answers. Raises `InputError` with its place for one that the task does not know."""
    try:
        return task.gold(data.rows)
    except RowError as error:
        raise data.located(error) from error


def load_labelled(
    source: str, config: EvaluateConfig | ExportConfig | FinetuneConfig, opened: Opened
) -> Dataset:
    """Read data as the run read its own: settings first, then the run's columns and labels."""
    from hfkit.data.columns import ColumnMap
    from hfkit.data.dataset import load_rows

    chosen, saved = columns_of(config), opened.settings
    known = ColumnMap.from_dict(opened.columns) if opened.columns else None
    if saved is not None:
        names = saved.label_names if Path(saved.label_names or "").is_file() else None
        chosen = Columns(
            **{
                **chosen.model_dump(),
                "label_names": chosen.label_names or names,
                "label_delimiter": chosen.label_delimiter or saved.label_delimiter,
            }
        )
    strictness = config if isinstance(config, Strictness) else saved or Strictness()
    if any(value for name, value in chosen.model_dump().items() if name.endswith("_column")):
        known = None
    return load_rows(
        source,
        config,
        chosen,
        opened.task.columns,
        offline=config.offline,
        columns=known,
        label_base=opened.label_base,
        label_kind=opened.task.label_kind,
        strictness=strictness,
    )


def answers_of(source: str, config: EvaluateConfig) -> Answered:
    """Take the answers from a file of predictions, or ask a model for them."""
    from hfkit.data.predictions import is_predictions

    return (from_predictions if is_predictions(source) else from_model)(source, config)


def from_model(model: str, config: EvaluateConfig) -> Answered:
    """Answer the rows of the data with a model. Raises `InputError` with its place for the first
    bad row, before the model is loaded."""
    from hfkit.metrics.base import check_packages
    from hfkit.registry import find_metric
    from hfkit.run.opening import open_run
    from hfkit.run.predicting import make_predictor

    if not config.data:
        raise InputError("no data", hint="name a file with the right answers after the model")
    opened = open_run(model, config)
    check_packages(find_metric(opened.task.metric))
    data = load_labelled(config.data, config, opened)
    gold = gold_of(opened.task, data)
    predictor = make_predictor(opened, config)
    try:
        answers = predictor.predict(data.rows)
    except RowError as error:
        raise data.located(error) from error
    cut = sum(bool(answer.get("truncated")) for answer in answers)
    if cut:
        log.warning("%d of %d texts are longer than the model reads and were cut", cut, len(gold))
    return Answered(opened.task, answers, gold, data, opened)


def from_predictions(source: str, config: EvaluateConfig) -> Answered:
    """Take the answers from a file, and the right ones from the data or from the same file.

    Raises `InputError` where the two are not about the same rows, and for answers of no task.
    """
    from hfkit.data.dataset import load_rows
    from hfkit.data.predictions import check_order, read_predictions
    from hfkit.registry import make_task

    if config.on_bad_row == "skip":
        unfit = "predictions and data are matched by their order, so no row can be left out"
        hint = "take the row out of both"
        raise InputError(unfit, place="--on-bad-row skip", hint=hint)
    answers = read_predictions(source, config.label_delimiter or "|")
    key = _telling(answers[0])
    problem = {"problem": PROBLEM_OF_KEY[key]} if key in PROBLEM_OF_KEY else {}
    name = config.task or TASK_OF_KEY[key]
    classes = TASK_OF_KEY[key] == "classification"
    task = make_task("classification" if classes else name, {**problem, **config.options})
    data = load_rows(
        config.data or source,
        config,
        columns_of(config),
        {"label": "the right answer"} if classes else task.columns,
        offline=config.offline,
        label_kind=task.label_kind,
        strictness=config,
    )
    if len(data.rows) != len(answers):
        raise InputError(
            f"{len(answers)} predictions for {len(data.rows)} rows",
            place=source,
            hint="predictions and data are matched by their order; give the data predicted on",
        )
    if config.data:
        check_order(source, config.data, config)
    if classes:
        _name_labels(task, PROBLEM_OF_KEY[key], answers, data)
    return Answered(task, answers, gold_of(task, data), data)


def check_same_gold(one: Answered, other: Answered, place: str) -> None:
    """Raise `InputError` unless both were asked the same rows: their right answers must agree."""
    if len(one.gold) != len(other.gold):
        raise InputError(f"{len(other.gold)} rows, not {len(one.gold)}", place=place)
    for row, (first, second) in enumerate(zip(one.gold, other.gold, strict=True)):
        keys = [key for key in GOLD_KEYS if key in first]
        if any(first[key] != second.get(key) for key in keys):
            raise InputError(
                "the right answer is read in another way",
                place=f"{other.data.place(row)} ({place})",
                hint="compare models of one task, with one set of columns",
            )


def _telling(answer: Mapping[str, Any]) -> str:
    """The key of an answer that tells its task."""
    for key in TASK_OF_KEY:
        if key in answer:
            return key
    known = ", ".join(TASK_OF_KEY)
    raise InputError("the predictions hold no answer of a known task", hint=f"known: {known}")


def _name_labels(task: Task[Any], problem: str, answers: Sequence[Answer], data: Dataset) -> None:
    """Give a classifier the labels of the answers and of the data."""
    if problem == "regression":
        return
    if "scores" in answers[0] and problem == "single-label":
        task.labels = list(answers[0]["scores"])  # all of them, in the order of the model
        return
    given = [answer[key] for answer in answers for key in ("label", "labels") if key in answer]
    names: set[str] = set()
    for cell in [*given, *(row["label"] for row in data.rows)]:
        names.update(cell if isinstance(cell, list) else [str(cell)])
    task.labels = sorted(names)
    if len(names) > 1 and problem == "single-label":
        task.learn([{"label": name} for name in task.labels])  # the order a model would have
