"""`hfkit evaluate`: score a model, or a file of predictions, against the right answers.

Every row must be good: a score over the rows that happened to be readable would be another score.
All rows are therefore read, and their labels checked, before the model is loaded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.config import EvaluateConfig
from hfkit.data.bad_rows import REJECTED
from hfkit.data.output import open_output
from hfkit.data.source import is_file
from hfkit.errors import InputError
from hfkit.run import gate
from hfkit.run.answered import Answered, answers_of, gold_of, load_labelled
from hfkit.run.gate import Against
from hfkit.run.opening import kind_of

if TYPE_CHECKING:
    from hfkit.metrics.statistics import Scores
    from hfkit.metrics.user import UserMetric

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """The scores of one evaluation. `missed` tells of each threshold that was not met, `rejected`
    how many rows were left out as bad, `against` how it compares with `no_worse_than`."""

    scores: Scores
    metric: str
    model: str
    data: str
    missed: list[str] = field(default_factory=list)
    rejected: int = 0
    against: Against | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `-o` and `--json` write."""
        head = {"model": self.model, "data": self.data, "metric": self.metric}
        found = {"missed": self.missed, "rejected": self.rejected}
        against = {"no_worse_than": asdict(self.against)} if self.against else {}
        return {**head, **self.scores.to_json(), **found, **against}


def evaluate(config: EvaluateConfig) -> Evaluated:
    """Score ``config.model``, a model or a file of predictions, on ``config.data``.

    Without data, a file of predictions is scored against its own label column. The scores are
    also written to ``config.output`` where that is set, and rows that are left out to the same name
    with ``.rejected.jsonl``. Raises `InputError` with its place for the
    first bad row and for a label that the model does not know, and for an unknown score or metric.
    """
    if not config.model:
        raise InputError("no model", hint="name a run, a model or a file of predictions")
    kind = kind_of(config.data or "")
    if kind and not kind_of(config.model):
        hint = f"the model comes first: hfkit evaluate {config.data} {config.model}"
        raise InputError(f"is a {kind}, and not data", place=str(config.data), hint=hint)
    if not config.output:
        return _evaluated(config.model, config)
    with open_output(config.output, config.overwrite) as output, _rejects(config) as write:
        evaluated = _evaluated(config.model, config, write)
        text = json.dumps(evaluated.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        output.write(text + "\n")
    return evaluated


@contextmanager
def _rejects(config: EvaluateConfig) -> Iterator[Callable[[bytes], None]]:
    """Open what lists the rows that are left out, beside the scores."""
    if config.on_bad_row == "error" or config.output in (None, "-"):
        yield lambda lines: None
        return
    path = str(Path(str(config.output)).with_suffix(f".{REJECTED}"))
    with open_output(path, config.overwrite) as output:
        yield output.write_bytes


def _evaluated(
    model: str, config: EvaluateConfig, write: Callable[[bytes], None] = lambda lines: None
) -> Evaluated:
    from hfkit.registry import find_metric

    limits = [gate.limit(text) for text in config.fail_under]
    more = _more_metrics(config)
    answered = answers_of(model, config)
    scores = _scored(answered, more)
    if config.baselines:
        scores = replace(scores, baselines=_baselines(answered, config))
    lower = find_metric(answered.task.metric).lower_is_better
    missed = [text for limit in limits for text in gate.missed(scores, *limit, lower)]
    against = gate.against(answered, scores.headline, config) if config.no_worse_than else None
    if against and against.worse:
        missed.append(against.told())
    write(answered.bad.lines)
    source, rejected = config.data or model, answered.bad.count
    return Evaluated(scores, answered.task.metric, model, source, missed, rejected, against)


def _baselines(answered: Answered, config: EvaluateConfig) -> dict[str, dict[str, float]]:
    """The scores of simple models that learn from the rows the run was trained on.

    Raises `InputError` where those are not at hand.
    """
    from hfkit.run.baselines import baseline_scores, encoder_of

    opened = answered.opened
    if opened is None:
        hint = "give the model in place of its predictions"
        raise InputError("predictions say nothing of training", place="--baselines", hint=hint)
    saved = opened.settings
    source = config.training_data or (saved.train if saved else None)
    if source is None or not (config.training_data or is_file(source)):
        gone = f"the training data {source} are not here" if source else "no training data"
        raise InputError(gone, place="--baselines", hint="name them with --training-data")
    training = load_labelled(source, config.model_copy(update={"limit": None}), opened)
    gold_of(opened.task, training)  # its labels are those of the model
    embed = None
    if saved and saved.model and saved.task == "classification":
        embed = encoder_of(
            saved.model, offline=config.offline, device=config.device, computing=config,
            code=config.allow_remote_code,
        )  # fmt: skip
    log.info("baselines learn from the %d rows of %s", len(training.rows), source)
    return baseline_scores(answered.task, training.rows, answered.data.rows, answered.gold, embed)


def _more_metrics(config: EvaluateConfig) -> dict[str, UserMetric]:
    """Find the metrics of ``--metric`` first: a mistyped one must not cost a prediction."""
    if not config.metric:
        return {}
    from hfkit.metrics.user import user_metric

    return {name: user_metric(name, config.offline) for name in config.metric}


def _scored(answered: Answered, more: Mapping[str, UserMetric]) -> Scores:
    """Score with the task's own metric, then with those the user named.

    A score of a named metric that goes by the name of another is told apart by the metric's.
    """
    from hfkit.metrics.statistics import score
    from hfkit.registry import find_metric

    task, answers, gold = answered.task, answered.answers, answered.gold
    scores: Scores = score(find_metric(task.metric)(answers, gold, task.labels))
    values = dict(scores.values)
    for metric, compute in more.items():
        for name, value in compute(answers, gold, task.labels).items():
            values[name if name not in values else f"{Path(metric).stem}:{name}"] = value
    return replace(scores, values=values)
