"""`hfkit compare`: two or more systems on the same rows, with what may be said of their difference.

Each system is a run, a model or a file of predictions, as `hfkit evaluate` takes it. All answer all
rows, and are compared row by row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.config import CompareConfig, EvaluateConfig
from hfkit.data.output import open_output
from hfkit.errors import InputError, did_you_mean
from hfkit.registry import make_task
from hfkit.run.answered import Answered, answers_of, check_same_gold
from hfkit.run.opening import kind_of, read_settings

if TYPE_CHECKING:
    from hfkit.metrics.comparing import Comparison, Pair

log = logging.getLogger(__name__)

OWN = ("output", "overwrite", "json_output", "data")  # settings that mean something else elsewhere


@dataclass(frozen=True)
class Compared:
    """How systems compare. `flips` holds what flipped, pair by pair, as it is written; `shown` the
    scores whose differences were asked for; `examples` how many flips of a pair are shown."""

    comparison: Comparison
    models: list[str]
    data: str
    metric: str
    shown: list[str]
    flips: list[dict[str, Any]]
    examples: int

    def flips_of(self, pair: Pair) -> list[dict[str, Any]]:
        """The examples of a pair that are shown."""
        own = [f for f in self.flips if (f["first"], f["second"]) == (pair.first, pair.second)]
        return own[: self.examples]

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: the first flips of each pair among it."""
        found = self.comparison.to_json()
        for pair, saved in zip(self.comparison.pairs, found["pairs"], strict=True):
            saved["flips"] = self.flips_of(pair)
        head = {"models": self.models, "data": self.data, "metric": self.metric}
        return {**head, **found}


def compare(config: CompareConfig) -> Compared:
    """Compare ``config.models`` on ``config.data``, by default the last of the names.

    Every flipped example is also written to ``config.output`` where that is set. Raises
    `InputError` for fewer than two systems, for systems of different tasks, and as evaluating does.
    """
    models, data = _named(config)
    if config.task is None:
        _check_tasks(models)
    if not config.output:
        return _compared(models, data, config)
    with open_output(config.output, config.overwrite) as output:
        compared = _compared(models, data, config)
        for flip in compared.flips:
            output.write(json.dumps(flip, ensure_ascii=False, allow_nan=False, default=str) + "\n")
    return compared


def _named(config: CompareConfig) -> tuple[list[str], str]:
    """The systems and the data; without --data the last name is the data's."""
    models, data = list(config.models), config.data
    if data is None and models:
        if kind_of(models[-1]):
            hint = f"hfkit compare {' '.join(models)} DATA: a file with the right answers"
            raise InputError(
                f"no data file was named: {models[-1]} is a {kind_of(models[-1])}", hint=hint
            )
        data = models.pop()
    if data is None or len(models) < 2:
        hint = "hfkit compare MODEL MODEL DATA: runs, models or files of predictions"
        raise InputError(f"{len(models)} to compare; two or more are needed", hint=hint)
    twice = next((name for name in models if models.count(name) > 1), None)
    if twice is not None:
        raise InputError("named twice", place=twice)
    return models, data


def _check_tasks(models: Sequence[str]) -> None:
    """Refuse runs of different tasks before any of them answers."""
    known: dict[str, tuple[str, str]] = {}
    for name in models:
        saved = read_settings(Path(name).expanduser()) if kind_of(name) == "run" else None
        if saved and saved.task and ":" not in saved.task:  # which would be code to run
            known[name] = (saved.task, make_task(saved.task, saved.options).metric)
    first = next(iter(known), "")
    for name, (task, metric) in known.items():
        if metric != known[first][1]:
            raise InputError(
                f"they cannot be compared: {first} is {known[first][0]}, {name} is {task}",
                hint="compare models of one task",
            )


def _compared(models: Sequence[str], data: str, config: CompareConfig) -> Compared:
    from hfkit.metrics.comparing import System
    from hfkit.metrics.comparing import compare as compare_systems
    from hfkit.registry import find_metric

    values = config.model_dump(exclude=set(OWN))
    shared = {name: values[name] for name in EvaluateConfig.model_fields if name in values}
    answered = [
        answers_of(name, EvaluateConfig(**shared, model=name, data=data)) for name in models
    ]
    first = answered[0]
    metric = first.task.metric
    for name, other in zip(models[1:], answered[1:], strict=True):
        if other.task.metric != metric:
            raise InputError(
                f"is scored as {other.task.metric}, {models[0]} as {metric}",
                place=name,
                hint="compare models of one task",
            )
        check_same_gold(first, other, name)
    _warn_of_tokens(answered)
    systems = [
        System(name, one.answers, one.gold) for name, one in zip(models, answered, strict=True)
    ]
    found = compare_systems(
        find_metric(metric), systems, first.task.labels, resamples=config.resamples
    )
    shown = _shown(found, config.score)
    flips = list(_flips(found, dict(zip(models, answered, strict=True))))
    return Compared(found, list(models), data, metric, shown, flips, config.examples)


def _shown(found: Comparison, wanted: Sequence[str]) -> list[str]:
    """The scores to show the differences of: those asked for; all of two systems, else the first.

    Raises `InputError` for a score that is not there.
    """
    names = list(found.pairs[0].differences)
    for name in wanted:
        if name not in names:
            raise InputError(f"no score '{name}'", place="--score", hint=did_you_mean(name, names))
    if wanted:
        return list(wanted)
    first = [found.headline, *(name for name in names if name != found.headline)]
    return first if len(found.pairs) == 1 else first[:1]


def _warn_of_tokens(answered: Sequence[Answered]) -> None:
    """Losses of models that cut texts into other tokens are about other things."""
    for key in ("tokens", "masked"):
        counts = {
            sum(answer[key] for answer in one.answers)
            for one in answered
            if all(isinstance(answer.get(key), int | float) for answer in one.answers)
        }
        if len(counts) > 1:
            log.warning(
                "the models predict different numbers of tokens (%s): their losses and "
                "perplexities are not comparable",
                ", ".join(f"{count:g}" for count in sorted(counts)),
            )


def _flips(found: Comparison, answered: Mapping[str, Answered]) -> Iterator[dict[str, Any]]:
    """Every example that one of two systems has right and the other wrong; first what got worse."""
    for pair in found.pairs:
        first, second = answered[pair.first], answered[pair.second]
        kinds = {"right to wrong": pair.to_wrong, "wrong to right": pair.to_right}
        for kind, rows in kinds.items():
            for row in rows or ():
                yield {
                    "first": pair.first,
                    "second": pair.second,
                    "flip": kind,
                    "row": row + 1,
                    "place": first.data.place(row),
                    **_texts(first, second, row),
                    "gold": _plain(first.gold[row]),
                    "first_answer": _plain(first.task.brief(first.answers[row])),
                    "second_answer": _plain(second.task.brief(second.answers[row])),
                }


def _texts(first: Answered, second: Answered, row: int) -> dict[str, Any]:
    """What was read, where a system has read it: a file of predictions may have no texts."""
    for one in (first, second):
        fields = {name: value for name, value in one.data.rows[row].items() if name != "label"}
        if fields:
            return fields
    return {}


def _plain(answer: Mapping[str, Any]) -> Any:
    """An answer of one value as that value."""
    for key in ("label", "labels", "answer", "text", "value"):
        if key in answer:
            return answer[key]
    if "entities" in answer:
        return [
            {name: one[name] for name in ("text", "label", "start", "end") if name in one}
            for one in answer["entities"]
        ]
    if "answers" in answer:
        return [one["text"] if isinstance(one, Mapping) else one for one in answer["answers"]]
    return dict(answer)
