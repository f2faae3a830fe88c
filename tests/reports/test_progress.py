"""What is said while a model trains, and what metrics.jsonl keeps."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from hfkit.reports.progress import MetricsLog, Progress, duration


@dataclass(frozen=True)
class Step:
    step: int
    epoch: float = 0.5
    loss: float = 0.25
    lr: float = 1e-3
    grad_norm: float = 1.0
    rows: int = 16
    tokens: int = 100


@dataclass(frozen=True)
class Evaluation:
    step: int
    epoch: float
    scores: dict
    best: bool


@dataclass(frozen=True)
class Checkpoint:
    step: int
    path: Path


@dataclass(frozen=True)
class Stopped:
    step: int
    reason: str
    signum: int | None = None
    best_step: int | None = None
    best_score: float | None = None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_events_here_are_those_of_the_loop() -> None:
    from dataclasses import fields

    loop = pytest.importorskip("hfkit.train.loop")
    for own in (Step, Evaluation, Checkpoint, Stopped):
        names = [field.name for field in fields(own)]
        assert names == [field.name for field in fields(getattr(loop, own.__name__))]


def test_each_evaluation_is_one_note(caplog) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    with Progress(100, "accuracy", clock=clock) as progress:
        for step in range(1, 11):
            clock.now = step * 0.5
            progress.report(Step(step))
        progress.report(Evaluation(10, 0.5, {"accuracy": 0.75}, best=True))
    (record,) = caplog.records
    assert record.getMessage() == (
        "epoch 0.50  step 10/100  loss 0.2500  32 rows/s  45s left  accuracy 0.7500 (best so far)"
    )


def test_the_time_of_an_evaluation_is_not_the_time_of_a_step() -> None:
    clock = Clock()
    progress = Progress(100, "-loss", clock=clock)
    clock.now = 1
    progress.report(Step(1))
    clock.now = 500
    progress.report(Evaluation(1, 1, {"loss": 2.0}, best=True))
    clock.now = 501
    progress.report(Step(2))
    assert "16 rows/s  1m38s left" in progress.line()
    assert "best loss 2.0000" in progress.line()


def test_an_early_end_says_why_and_an_ordinary_one_nothing(caplog) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(100, "f1")
    progress.report(Stopped(100, "finished"))
    assert not caplog.records
    progress.report(Stopped(50, "patience"))
    assert caplog.messages == ["stopped at step 50: no better score for a while"]


def test_metrics_keep_every_event(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Progress(2, "f1", path, clock=Clock()) as progress:
        progress.report(Step(1, loss=float("nan")))
        progress.report(Evaluation(1, 1.0, {"f1": 0.5}, best=True))
        progress.report(Checkpoint(1, tmp_path / "step-1"))
        progress.report(Stopped(1, "max_time"))
    found = lines(path)
    assert [entry["event"] for entry in found] == ["step", "evaluation", "checkpoint", "stopped"]
    assert found[0]["loss"] is None
    assert found[1]["scores"] == {"f1": 0.5}
    assert found[2]["path"].endswith("step-1")
    assert all("seconds" in entry for entry in found)


def test_a_new_run_starts_an_empty_file(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "step", "step": 1}\n')
    MetricsLog(path).close()
    assert path.read_text() == ""


def test_going_on_drops_what_was_written_after_the_checkpoint(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    with Progress(9, "f1", path) as progress:
        for step in range(1, 6):
            progress.report(Step(step))
        progress.report(Stopped(5, "signal"))
    with path.open("a") as file:
        file.write('{"event": "step", "st')  # a kill tore the last line
    with Progress(9, "f1", path, first_step=3) as progress:
        progress.report(Step(4))
    assert [entry["step"] for entry in lines(path)] == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == [path]


def test_duration() -> None:
    assert [duration(0), duration(59.9), duration(60), duration(3600), duration(-5)] == [
        "0s",
        "59s",
        "1m00s",
        "1h00m",
        "0s",
    ]


def test_a_terminal_gets_a_live_line_that_vanishes(tmp_path) -> None:
    """In a pseudo-terminal: the line is drawn, notes stand above it, and it is gone at the end."""
    import os
    import subprocess
    import sys

    program = (
        "import logging, time\n"
        "from tests_progress_events import Step, Evaluation\n"
        "from hfkit.cli.console import start_notes\n"
        "from hfkit.reports.progress import Progress\n"
        "start_notes()\n"
        "with Progress(3, 'f1') as progress:\n"
        "    for step in (1, 2, 3):\n"
        "        time.sleep(0.3)\n"
        "        progress.report(Step(step))\n"
        "    progress.report(Evaluation(3, 1.0, {'f1': 0.5}, True))\n"
    )
    events = Path(__file__).read_text().partition("class Clock")[0]
    (tmp_path / "tests_progress_events.py").write_text(events)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    root = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), root])
    primary, secondary = os.openpty()
    done = subprocess.Popen([sys.executable, "-c", program], stderr=secondary, env=environment)
    os.close(secondary)
    shown = b""
    try:
        while piece := os.read(primary, 4096):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(primary)
    assert done.wait() == 0
    text = shown.decode()
    assert "step 2/3" in text and "\x1b[2K" in text
    assert "hfkit: note: epoch 1.00  step 3/3" in text
