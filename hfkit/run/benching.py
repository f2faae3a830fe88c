"""What a model reaches on this machine: rows a second, time for one text, cold start, memory.

Throughput is measured in this process, the batch budgets in turns, so that what slows the machine
down for a while is in all of them. Cold start and memory are those of the command line itself, in
processes of their own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hfkit.layers import PREFIX, dump
from hfkit.run.fresh import Fresh, run_fresh
from hfkit.run.timing import Measured, measured

if TYPE_CHECKING:
    from hfkit.config import EmbedConfig, PredictConfig
    from hfkit.tasks.base import Answer, Row

LATENCIES = 64  # texts answered one at a time


class Answering(Protocol):
    """What answers rows: a `Predictor`, a `Vectorizer`."""

    def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answer rows in their order."""
        ...


@dataclass(frozen=True)
class Rate:
    """With batches of at most `batch_tokens` tokens."""

    batch_tokens: int
    rows: Measured
    tokens: Measured


@dataclass(frozen=True)
class Start:
    """One text, in a new process: seconds of the clock, of all cores, and MiB."""

    wall: Measured
    cpu: Measured
    peak_mib: Measured


class Latency(NamedTuple):
    """Seconds for one text at a time."""

    p50: Measured
    p95: Measured


@dataclass(frozen=True)
class EngineResult:
    """What one engine reaches; `peak_mib` is the memory of the command that answers all rows.

    The last two are None where they were not asked for.
    """

    engine: str
    precision: str
    rates: tuple[Rate, ...]
    latency: Latency
    start: Start | None
    peak_mib: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data: seconds, MiB, and figures with their intervals."""
        start = self.start
        return {
            "engine": self.engine,
            "precision": self.precision,
            "batches": [
                {
                    "batch_tokens": rate.batch_tokens,
                    "rows_per_second": rate.rows.to_json(),
                    "tokens_per_second": rate.tokens.to_json(),
                }
                for rate in self.rates
            ],
            "latency_seconds": {
                "p50": self.latency.p50.to_json(),
                "p95": self.latency.p95.to_json(),
            },
            "cold_start": start
            and {
                "wall_seconds": start.wall.to_json(),
                "cpu_seconds": start.cpu.to_json(),
                "peak_mib": start.peak_mib.to_json(),
            },
            "peak_mib": self.peak_mib,
        }


def rates(
    answering: Any, rows: Sequence[Row], tokens: int, budgets: Sequence[int], rounds: int
) -> tuple[Rate, ...]:
    """Answer all rows `rounds` times with each budget, after once to warm up."""
    seconds: dict[int, list[float]] = {budget: [] for budget in budgets}
    with_budget = {budget: _with_budget(answering, budget) for budget in budgets}
    for number in range(rounds + 1):
        for budget, answers in with_budget.items():
            taken = _seconds(lambda answers=answers: answers.predict(rows))  # type: ignore[misc]
            if number:
                seconds[budget].append(taken)
    return tuple(
        Rate(
            budget,
            measured([len(rows) / taken for taken in found]),
            measured([tokens / taken for taken in found]),
        )
        for budget, found in seconds.items()
    )


def latency(answering: Answering, rows: Sequence[Row]) -> Latency:
    """Answer rows one at a time; the first one is to warm up."""
    answering.predict(rows[:1])
    found = [
        _seconds(lambda row=row: answering.predict([row]))  # type: ignore[misc]
        for row in rows[:LATENCIES]
    ]
    return Latency(measured(found, 0.5), measured(found, 0.95))


def cold_start(command: Command, row: Row, times: int) -> Start:
    """Answer one row in a new process each time. Raises `InputError` where the command fails."""
    found = [command.run([row]) for _ in range(times)]
    return Start(
        measured([one.wall for one in found]),
        measured([one.cpu for one in found]),
        measured([one.peak_mib for one in found]),
    )


@dataclass(frozen=True)
class Command:
    """`hfkit predict` or `hfkit embed` with the settings of a measurement, in a new process."""

    verb: str
    config: PredictConfig | EmbedConfig
    folder: Path

    def run(self, rows: Sequence[Row]) -> Fresh:
        """Let it answer `rows`, from a file to a file."""
        given, found = self.folder / "rows.jsonl", self.folder / "answers.jsonl"
        recipe = self.folder / "settings.yaml"
        given.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        own: dict[str, Any] = {"model": None, "inputs": [], "limit": None, "output": None}
        recipe.write_text(dump(self.config.model_copy(update=own)), "utf-8")
        arguments = [str(self.config.model), str(given), "-c", str(recipe), "-o", str(found)]
        arguments += ["--overwrite", "--quiet", "--device", self.config.device]
        arguments += ["--offline"] if self.config.offline else []
        # The environment's settings are in `config` already, and would win over the recipe.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return run_fresh([sys.executable, "-m", "hfkit", self.verb, *arguments], kept)


def as_file(row: Row) -> dict[str, str]:
    """The settings that find the roles of rows in a file whose columns have their names."""
    return {f"{role}_column": role for role in row}


def percentiles(lengths: Sequence[int]) -> Mapping[str, float]:
    """What to know of the lengths of texts.

    >>> percentiles([2, 4, 9])
    {'mean': 5.0, 'p50': 4.0, 'p99': 8.9}
    """
    import numpy as np

    mean = float(np.mean(lengths))
    middle, end = (float(value) for value in np.quantile(lengths, [0.5, 0.99]))
    return {"mean": round(mean, 1), "p50": round(middle, 1), "p99": round(end, 1)}


def _with_budget(answering: Any, tokens: int) -> Answering:
    """The same model, with other batches."""
    changed = copy(answering)
    object.__setattr__(changed, "batch_tokens", tokens)  # of a frozen one too: it is a copy
    found: Answering = changed
    return found


def _seconds(action: Callable[[], Any]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start
