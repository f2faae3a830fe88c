"""What a report is made from: a model's answers to labelled rows, scored whole and in slices.

Without data that are named, a run is asked on its own: its test file, else its validation data,
and only if they are still what they were, by their hash.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.abstaining import abstain
from hfkit.config import EvaluateConfig, FinetuneConfig, Reading
from hfkit.config.report import ReportConfig
from hfkit.data.checks.texts import joined_texts
from hfkit.data.dataset import Dataset
from hfkit.data.source import read
from hfkit.errors import HfkitError, InputError, RowError, did_you_mean
from hfkit.metrics.statistics import Scores, score
from hfkit.redaction import redacted
from hfkit.registry import find_metric, find_task, make_task
from hfkit.reports.material import Answer, Material, Slice
from hfkit.reports.views import view_of
from hfkit.run.answered import gold_of, load_labelled
from hfkit.run.decisions import part_of, read_content
from hfkit.run.machine import machine
from hfkit.run.opening import SETTINGS, Opened, open_run
from hfkit.run.parts import read_other, read_training, read_validation
from hfkit.run.predicting import make_predictor

if TYPE_CHECKING:
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

METRICS = "metrics.jsonl"
RESAMPLES = 200  # for a slice: a line shows its interval, and nobody compares its last digit
MOST_VALUES = 12  # of a column, as slices; the rest are one
LENGTHS = 8  # groups of rows in the plot of lengths
FEWEST = 10  # rows in one of them


def gather(config: ReportConfig) -> Material:
    """Answer the rows and score them. Raises `InputError` where there are no data to report on,
    and what opening a model and reading data raise."""
    from hfkit.metrics.base import check_packages

    asked = as_evaluation(config)
    opened = open_run(config.model or "", asked)
    metric = find_metric(opened.task.metric)
    check_packages(metric)
    data, origin = data_of(asked, opened)
    columns = {name: _column(data, name, asked, opened) for name in config.slice}
    task = opened.task
    gold = gold_of(task, data)
    try:
        answers = [_plain(one) for one in make_predictor(opened, asked).predict(data.rows)]
    except RowError as error:
        raise data.located(error) from error
    metric = find_metric(task.metric)  # it may go by the gold answers
    scores: Scores = score(metric(answers, gold, task.labels))
    decided = _decisions(opened)
    below = (decided.get("decisions") or {}).get("abstain_below")
    part = _scorer(task, answers, gold, scores.headline)
    lengths = [sum(map(len, joined_texts(row))) for row in data.rows]
    divided = {"length": _quarters(lengths), "kind": _kinds(task.metric, gold)}
    divided |= {f"column {name}": _groups(cells) for name, cells in columns.items()}
    return Material(
        name=Path(config.model or "").name or opened.name,
        task=_task_name(opened),
        metric=task.metric,
        data=redacted(Path(data.source).name),
        origin=origin,
        digest=data.digest,
        rows=data.rows,
        answers=answers,
        gold=gold,
        places=[_short_place(data, row) for row in range(len(data.rows))],
        lengths=lengths,
        labels=task.labels,
        scores=scores,
        lower_is_better=scores.headline in metric.lower_is_better,
        slices=[
            part(of, name, rows) for of, parts in divided.items() for name, rows in parts.items()
        ],
        by_length=[part("length", *one) for one in _by_length(lengths).items()],
        decisions=decided,
        withheld=0
        if below is None
        else sum(bool(abstain(dict(answer), below).get("abstained")) for answer in answers),
        truncated=sum(bool(answer.get("truncated")) for answer in answers),
        most_errors=config.errors,
        examples=not config.no_examples,
        versions=machine()["versions"],
        **_of_run(opened.folder),
    )


def _decisions(opened: Opened) -> dict[str, Any]:
    """What was decided for the task that is asked, and on which rows: those of the decisions that
    are in force."""
    content = read_content(opened.folder)
    asked = type(opened.task).__module__.rpartition(".")[2].replace("_", "-")
    trained = opened.settings.task if opened.settings else None
    own = trained is not None and find_task(trained)[0] == asked
    part = part_of(content, None if own else asked)
    names = opened.task.decisions
    kept = {name: one for name, one in (part.get("decisions") or {}).items() if name in names}
    return {**part, "decisions": kept}


def as_evaluation(config: ReportConfig) -> EvaluateConfig:
    """The settings that a report shares with an evaluation, which it is first of all."""
    shared = {name for name in EvaluateConfig.model_fields if name in ReportConfig.model_fields}
    return EvaluateConfig(**{name: getattr(config, name) for name in shared - {"output"}})


def data_of(config: EvaluateConfig, opened: Opened) -> tuple[Dataset, str]:
    """The rows to report on, and why these."""
    if config.data:
        return load_labelled(config.data, config, opened), "the data that were named"
    if opened.settings is not None:
        found = _own_data(opened, opened.settings)
        if found is not None:
            data, part = found
            log.info(
                "no data named; taking the run's own %s data, %s, which has the hash it had then",
                part, data.source,
            )  # fmt: skip
            return data, f"the run’s own {part} data, unchanged since"
    raise InputError(
        "no data to report on: the run's own are not there as they were"
        if opened.settings is not None
        else "no data",
        hint=f"name a file with the right answers: hfkit report {config.model} DATA",
    )


def _own_data(opened: Opened, saved: FinetuneConfig) -> tuple[Dataset, str] | None:
    """The run's test or validation data, if they are there with the hash they had."""
    sealed = sealing.read_json(opened.folder / sealing.MANIFEST).get("data", {})
    for part in ("test", "validation"):
        wanted = sealed.get(part, {}).get("sha256")
        try:
            data = _read_part(saved, part) if wanted else None
        except HfkitError as error:
            log.info("the run's own %s data cannot be read: %s", part, error)
            continue
        if data is not None and data.digest == wanted:
            return data, part
        if data is not None:
            log.info("the run's own %s data are not what they were", part)
    return None


def _read_part(saved: FinetuneConfig, part: str) -> Dataset | None:
    """Read the test or validation data as the training did, cut off again where they were."""
    task = make_task(saved.task or "", saved.options)
    train = read_training(saved, task, None)
    if part == "validation":
        return read_validation(saved, task, train)[0]
    return read_other(saved, task, train, saved.test) if saved.test else None


def _of_run(folder: Path) -> dict[str, Any]:
    """What a run's folder tells of its training; nothing where it is not a run."""
    if not (folder / SETTINGS).is_file():
        return {}
    sealed = sealing.read_json(folder / sealing.MANIFEST)
    sealed.pop("files", None)
    events = []
    if (folder / METRICS).is_file():
        lines = (folder / METRICS).read_text("utf-8").splitlines()
        events = [one for line in lines if isinstance(one := json.loads(line), dict)]
    settings = redacted((folder / SETTINGS).read_text("utf-8"))
    return {"events": events, "settings": settings, "sealed": sealed}


def _plain(answer: Mapping[str, Any]) -> Answer:
    """An answer without the vectors it was made of, which may take more than all the rest."""
    return {key: value for key, value in answer.items() if key != "vectors"}


def _task_name(opened: Opened) -> str:
    return (opened.settings.task if opened.settings else None) or type(opened.task).__name__.lower()


def _short_place(data: Dataset, row: int) -> str:
    """Where a row stands, without the folders above the file."""
    record = data.record(row)
    record.path = Path(record.path).name
    return redacted(record.place)


# Slices


def _scorer(
    task: Task[Any], answers: Sequence[Answer], gold: Sequence[Answer], headline: str
) -> Callable[[str, str, Sequence[int]], Slice]:
    """A function that scores some of the rows."""

    def part(of: str, name: str, rows: Sequence[int]) -> Slice:
        some, right = [answers[row] for row in rows], [gold[row] for row in rows]
        try:
            metric = find_metric(task.metric)(some, right, task.labels)
            found: Scores = score(metric, resamples=RESAMPLES)
        except InputError:  # nothing is defined on these rows
            return Slice(of, name, len(rows), None)
        low, high = found.intervals.get(headline, (None, None))
        return Slice(of, name, len(rows), found.values.get(headline), low, high)

    return part


def _quarters(values: Sequence[float], parts: int = 4) -> dict[str, list[int]]:
    """Rows in groups of about one size by a number, named by its range; equal numbers together.

    >>> _quarters([5, 1, 7, 3, 3, 9, 2, 8])
    {'1–2': [1, 6], '3': [3, 4], '5–7': [0, 2], '8–9': [5, 7]}
    """
    order = sorted(range(len(values)), key=lambda row: (values[row], row))
    groups: list[list[int]] = []
    for place, row in enumerate(order):
        full = len(groups) <= place * parts // len(order)
        if not groups or (full and values[row] != values[groups[-1][-1]]):
            groups.append([])
        groups[-1].append(row)
    found: dict[str, list[int]] = {}
    for rows in groups:
        low, high = values[rows[0]], values[rows[-1]]
        found[f"{low:,.6g}" if low == high else f"{low:,.6g}–{high:,.6g}"] = sorted(rows)
    return found


def _by_length(lengths: Sequence[int]) -> dict[str, list[int]]:
    return _quarters(lengths, max(1, min(LENGTHS, len(lengths) // FEWEST)))


def _kinds(metric: str, gold: Sequence[Answer]) -> dict[str, list[int]]:
    """The rows by their kind, where there are several."""
    view = view_of(metric)
    found = _in_groups(view.group(one) for one in gold)
    return found if len(found) > 1 else {}


def _groups(cells: Sequence[Any]) -> dict[str, list[int]]:
    """The rows by what a column says: numbers by their range, else the most frequent values."""
    numbers = [float(cell) for cell in cells if _is_number(cell)]
    if len(numbers) == len(cells) and len(set(numbers)) > MOST_VALUES:
        return _quarters(numbers)
    found = _in_groups("(empty)" if cell in (None, "") else str(cell) for cell in cells)
    ranked = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    kept = dict(ranked[:MOST_VALUES])
    rest = [rows for _, rows in ranked[MOST_VALUES:]]
    if rest:
        kept[f"{len(rest)} other values"] = sorted(row for rows in rest for row in rows)
    return kept


def _in_groups(names: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(name, []).append(row)
    return found


def _is_number(cell: Any) -> bool:
    try:
        return cell is not None and abs(float(cell)) != float("inf")
    except (TypeError, ValueError):
        return False


def _column(data: Dataset, name: str, config: EvaluateConfig, opened: Opened) -> list[Any]:
    """A column of the file, for the rows that were read. Raises `InputError` for one there is
    not."""
    reading = config if config.data or opened.settings is None else opened.settings
    places = {
        (record.path, record.line or -record.row): record.fields
        for record in read(data.source, _all(reading), offline=config.offline)
    }
    fields = [places.get((data.paths[row], data.lines[row]), {}) for row in range(len(data.rows))]
    known = dict.fromkeys(column for one in fields for column in one)
    if name not in known:
        raise InputError(
            f"{data.source} has no column '{name}'", place="--slice", hint=did_you_mean(name, known)
        )
    return [one.get(name) for one in fields]


def _all(reading: EvaluateConfig | FinetuneConfig) -> Reading:
    return reading.model_copy(update={"limit": None})
