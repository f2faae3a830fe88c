"""How a training is going: a live line on a terminal, plain lines elsewhere, metrics.jsonl always.

The training loop yields events and prints nothing; `Progress` takes them one by one. Evaluations
become notes in the log, so that `-q` silences them like any other note; the live line is drawn only
where stderr is a terminal, and vanishes at the end. Events are told apart by the name of their
class: this file needs neither torch nor the loop.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hfkit import sealing

if TYPE_CHECKING:
    from rich.live import Live

    from hfkit.train.loop import Evaluation, Event, Step, Stopped

log = logging.getLogger(__name__)

REDRAW = 0.25  # seconds between two drawings of the live line
RECENT = 50  # steps over which loss and speed are averaged


class MetricsLog:
    """metrics.jsonl: one JSON object per event, in the order in which they happened.

    What a run wrote after the step it now continues from is dropped, and so is a torn last line.
    """

    def __init__(self, path: Path, *, after_step: int = 0) -> None:
        self._path = path
        sealing.write_bytes(path, "".join(_entries_until(path, after_step)).encode())
        with sealing.storing(path):
            self._file = path.open("a", encoding="utf-8")

    def write(self, entry: dict[str, Any], *, flush: bool = True) -> None:
        """Append one object; a number that is not finite becomes null.

        Raises `ResourceError` where the disk is full or fails.
        """
        with sealing.storing(self._path):
            self._file.write(json.dumps(_finite(entry), allow_nan=False) + "\n")
            if flush:
                self._file.flush()

    def close(self) -> None:
        """Write what is left and let go of the file."""
        with sealing.storing(self._path):
            self._file.close()


class Progress:
    """Reports the events of one training.

    `total_steps` is where the training ends; `first_step` the step it continues from; `score` the
    name of the score that picks the checkpoint (a leading minus is left out). `metrics` is the
    path of metrics.jsonl, None on all processes but the first.
    """

    def __init__(
        self,
        total_steps: int,
        score: str,
        metrics: Path | None = None,
        *,
        first_step: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_steps = total_steps
        self.score = score.removeprefix("-")
        self.metrics = MetricsLog(metrics, after_step=first_step) if metrics else None
        self.clock = clock
        self.started = clock()
        self.recent: deque[tuple[float, int, int, float]] = deque(maxlen=RECENT)
        self.recent.append((self.started, first_step, 0, math.nan))
        self.best: float | None = None
        self.epoch = 0.0
        self._live: Live | None = None
        self._drawn = -math.inf

    def __enter__(self) -> Self:
        if _live_line_wanted():
            self._live = _live_line()
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self.metrics is not None:
            self.metrics.close()

    def report(self, event: Event) -> None:
        """Take one event of the training loop."""
        kind = type(event).__name__.lower()
        if self.metrics is not None:
            entry = {
                "event": kind,
                **asdict(event),
                "seconds": round(self.clock() - self.started, 3),
            }
            self.metrics.write(entry, flush=kind != "step")
        handle: Callable[[Any], None] | None = getattr(self, f"_on_{kind}", None)
        if handle is not None:
            handle(event)

    def _on_step(self, step: Step) -> None:
        self.recent.append((self.clock(), step.step, step.rows, step.loss))
        self.epoch = step.epoch
        if self._live is not None and self.recent[-1][0] - self._drawn >= REDRAW:
            self._drawn = self.recent[-1][0]
            memory = memory_in_use()
            self._live.update(f"{self.line()}  {memory}" if memory else self.line(), refresh=True)

    def _on_evaluation(self, evaluation: Evaluation) -> None:
        self.epoch = evaluation.epoch
        value = evaluation.scores.get(self.score)
        scored = "" if value is None else f"  {self.score} {value:.4f}"
        if evaluation.best:
            self.best = value
            scored += " (best so far)"
        log.info("%s%s", self.line(with_best=False), scored)
        # The time an evaluation takes is not the time of a step.
        self.recent.append((self.clock(), evaluation.step, 0, math.nan))

    def _on_checkpoint(self, checkpoint: Any) -> None:
        log.debug("checkpoint at step %d: %s", checkpoint.step, checkpoint.path)

    def _on_stopped(self, stopped: Stopped) -> None:
        if stopped.reason == "patience":  # a stop before the end is told by its error
            log.info("stopped at step %d: no better score for a while", stopped.step)

    def line(self, *, with_best: bool = True) -> str:
        """One line on where the training is: epoch, step, loss, best score, speed, time left."""
        last = self.recent[-1][1]
        losses = [loss for *_, loss in self.recent if math.isfinite(loss)]
        parts = [f"epoch {self.epoch:.2f}", f"step {last}/{self.total_steps}"]
        if losses:
            parts.append(f"loss {sum(losses) / len(losses):.4f}")
        if with_best and self.best is not None:
            parts.append(f"best {self.score} {self.best:.4f}")
        rows, steps = self._speed()
        if steps:
            parts.append(f"{rows:.0f} rows/s" if rows >= 10 else f"{rows:.1f} rows/s")
            parts.append(f"{duration((self.total_steps - last) / steps)} left")
        return "  ".join(parts)

    def _speed(self) -> tuple[float, float]:
        """Rows and steps per second over the recent steps, without the time of evaluations."""
        seconds, rows, steps = 0.0, 0, 0
        for before, now in pairwise(self.recent):
            if now[1] > before[1]:
                seconds += now[0] - before[0]
                rows += now[2]
                steps += now[1] - before[1]
        return (rows / seconds, steps / seconds) if seconds > 0 else (0.0, 0.0)


def duration(seconds: float) -> str:
    """Write a time as people say it.

    >>> duration(8.4), duration(192), duration(7500)
    ('8s', '3m12s', '2h05m')
    """
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    minutes, left = divmod(whole, 60)
    return f"{minutes}m{left:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def memory_in_use() -> str:
    """The most memory used so far: of the GPU where there is one, else of the process."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
    try:
        import resource
    except ImportError:  # Windows
        return ""
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.1f} GiB"


def _entries_until(path: Path, step: int) -> list[str]:
    """The whole lines of a metrics.jsonl up to a step."""
    if not step or not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if line.endswith("\n") and entry.get("step", 0) <= step and entry["event"] != "stopped":
            kept.append(line)
    return kept


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _live_line_wanted() -> bool:
    """A live line needs a terminal that can redraw a line, and a user who wants notes."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    return on_terminal and os.environ.get("TERM") != "dumb" and log.isEnabledFor(logging.INFO)


def _live_line() -> Live:
    from rich.console import Console
    from rich.live import Live

    screen = Console(file=sys.stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)
    # Drawn from `report`, not from a thread: a thread would not survive the start of workers.
    return Live(console=screen, auto_refresh=False, transient=True)
