"""The same training with several seeds: how much of a score is luck.

    OUT/seed-42/    a whole run of its own, with its manifest
    OUT/seed-43/
    OUT/seeds.json  mean and standard deviation of each score, what collapsed, which is best
    OUT/manifest.json

The fact to know: the best of several seeds was chosen by its validation score, which is therefore
too high; what another training would come to is the mean. All seeds share one split (`split_seed`),
or their validation scores could not be set side by side.

Mosbach, Andriushchenko & Klakow (On the Stability of Fine-tuning BERT, ICLR 2021) call a run failed
whose score is at most that of the majority class. Here it is a collapse if another seed is clearly
above it; where none is, it is not the seed.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.config import FinetuneConfig
from hfkit.errors import InputError, StoppedError
from hfkit.run.duration import seconds
from hfkit.run.output import RUN, locked, masked, move_aside
from hfkit.run.parts import split_seed
from hfkit.train import launch

if TYPE_CHECKING:
    from hfkit.run.finishing import Finetuned

log = logging.getLogger(__name__)

SUMMARY = "seeds.json"
PREFIX = "seed-"
FROM_ZERO = ("spearman", "pearson")  # a constant answer has no correlation, or one of 0
REPEATED = ("data", "model.locate", "run.preparation", "run.parts")  # the same for every seed


@dataclass(frozen=True)
class SeedRuns:
    """The finished runs of several seeds, by seed.

    `score` is what they are judged by on the validation data, `lower` whether less of it is better;
    `collapsed` names the seeds that learnt nothing while others did, `best` the one with the best
    validation score.
    """

    folder: Path
    runs: dict[int, Finetuned]
    score: str
    lower: bool
    collapsed: list[int]
    best: int

    @property
    def rejected(self) -> int:
        """Rows that were left out as bad, of each run the same."""
        return next(iter(self.runs.values())).rejected

    @property
    def task(self) -> str:
        """The task of all runs."""
        return next(iter(self.runs.values())).task

    def spread(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By split and score: mean, sample standard deviation, least, most, and the values."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for split in next(iter(self.runs.values())).splits:
            each = [run.splits[split].values for run in self.runs.values()]
            found[split] = {
                name: _spread([values[name] for values in each])
                for name in each[0]
                if all(name in values for values in each)
            }
        return found

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints and seeds.json holds, the folder aside."""
        return {
            "folder": str(self.folder),
            "task": self.task,
            "model": next(iter(self.runs.values())).model,
            "seeds": list(self.runs),
            "judged_by": self.score,
            "scores": self.spread(),
            "collapsed": self.collapsed,
            "best": self.best,
            "best_on_validation": self.runs[self.best].splits["validation"].values.get(self.score),
            "runs": {str(seed): run.folder.name for seed, run in self.runs.items()},
        }


def train_seeds(
    config: FinetuneConfig, train: Callable[[FinetuneConfig], Finetuned | Any]
) -> SeedRuns:
    """Train each seed with `train` in a folder of its own below ``config.output``, and sum up.

    What is finished is not trained again. Raises `InputError` without a folder and for one that
    holds something else, and what `train` raises; the same command goes on.
    """
    _check(config)
    folder = Path(config.output or "").expanduser()
    if config.overwrite:
        move_aside(folder)
    seeds = range(config.seed, config.seed + (config.seeds or 1))
    end = monotonic() + seconds(config.max_time) if config.max_time else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    runs: dict[int, Finetuned] = {}
    with masked(config.private), locked(folder):
        _refuse_others(folder)
        for number, seed in enumerate(seeds, start=1):
            log.info("seed %d (%d of %d)", seed, number, len(seeds))
            with _told_once(number > 1):
                runs[seed] = train(_of_seed(config, folder, seed, end))
        found = _summed_up(folder, runs)
        _write(found)
    return found


def _check(config: FinetuneConfig) -> None:
    if not config.output:
        raise InputError("the runs need a folder", place="--seeds", hint="name it with -o OUT")
    if launch.inside():
        raise InputError(
            "each seed starts its own processes",
            place="--seeds",
            hint="without torchrun, with --num-processes N",
        )
    if config.train == "-":
        raise InputError("stdin can be read only once", place="--seeds", hint="save it to a file")


def _refuse_others(folder: Path) -> None:
    """Raise `InputError` where the folder holds a single run, or anything but runs of seeds."""
    hint = "use another -o, or --overwrite to move it aside"
    if (folder / RUN).exists():
        raise InputError("holds a run of one seed", place=str(folder), hint=hint)
    known = {SUMMARY, sealing.MANIFEST}
    for path in folder.iterdir():
        own = path.name in known or path.name.startswith(PREFIX) or sealing.is_leftover(path)
        if not own:
            raise InputError("is not empty, and holds no runs", place=str(folder), hint=hint)


def _of_seed(config: FinetuneConfig, folder: Path, seed: int, end: float | None) -> FinetuneConfig:
    changes: dict[str, Any] = {
        "seeds": None,
        "seed": seed,
        "split_seed": split_seed(config),
        "output": str(folder / f"{PREFIX}{seed}"),
        "overwrite": False,
    }
    if end is not None:
        left = end - monotonic()
        finished = (folder / f"{PREFIX}{seed}" / sealing.MANIFEST).exists()
        if left <= 0 and not finished:
            hint = "the same command continues"
            raise StoppedError(f"stopped before seed {seed}: the time is up", hint=hint)
        changes["max_time"] = f"{max(left, 0.001):.3f}s"
    return config.model_copy(update=changes)


@contextmanager
def _told_once(quiet: bool) -> Iterator[None]:
    """Keep back what was said of the data for the first seed."""
    loggers = [logging.getLogger(f"hfkit.{room}") for room in REPEATED] if quiet else []
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _summed_up(folder: Path, runs: dict[int, Finetuned]) -> SeedRuns:
    first = next(iter(runs.values()))
    score = first.splits["validation"].headline
    lower = score in _errors(first)
    values = {seed: _value(run, score, lower) for seed, run in runs.items()}
    best = min(values, key=lambda seed: values[seed] if lower else -values[seed])
    return SeedRuns(folder, runs, score, lower, collapsed_seeds(runs, score, lower), best)


def _errors(run: Finetuned) -> frozenset[str]:
    """The scores of which less is better."""
    from hfkit.registry import find_metric, make_task
    from hfkit.run.opening import read_settings

    settings = read_settings(run.folder)
    task = make_task(run.task, settings.options if settings else {})
    task.restore(sealing.read_json(run.folder / "config.json"))
    found: frozenset[str] = find_metric(task.metric).lower_is_better
    return found


def _value(run: Finetuned, score: str, lower: bool) -> float:
    """A validation score; the worst of all where it is undefined, as for a constant answer."""
    worst = float("inf") if lower else float("-inf")
    return run.splits["validation"].values.get(score, worst)


def collapsed_seeds(runs: dict[int, Finetuned], score: str, lower: bool) -> list[int]:
    """The seeds that are no better than the majority, if another one's interval is all above."""
    sign = -1 if lower else 1
    failed, clearly = [], False
    for seed, run in runs.items():
        scores = run.splits["validation"]
        baseline = scores.baseline.get(score, 0.0 if score in FROM_ZERO else None)
        if baseline is None:
            return []
        if sign * (_value(run, score, lower) - baseline) <= 0:
            failed.append(seed)
        elif score in scores.intervals:
            clearly |= min(sign * (end - baseline) for end in scores.intervals[score]) > 0
    return failed if clearly else []


def _spread(values: list[float]) -> dict[str, Any]:
    """
    >>> _spread([0.5, 0.7])["mean"], round(_spread([0.5, 0.7])["sd"], 4)
    (0.6, 0.1414)
    """
    return {
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "min": min(values),
        "max": max(values),
        "values": values,
    }


def _write(found: SeedRuns) -> None:
    """seeds.json, sealed; the runs beside it are sealed on their own."""
    folder, saved = found.folder, found.to_json()
    del saved["folder"]
    content = sealing.as_json(saved)
    path, manifest = folder / SUMMARY, folder / sealing.MANIFEST
    whole = manifest.exists() and sealing.damage(folder) is None
    if whole and path.read_bytes() == content:
        return
    manifest.unlink(missing_ok=True)  # of fewer seeds; a kill may come before the new one
    sealing.write_bytes(path, content)
    inside = [one.name for one in folder.iterdir() if one.name.startswith(PREFIX)]
    sealing.seal(folder, {"seeds": list(found.runs)}, leave_out=inside)
