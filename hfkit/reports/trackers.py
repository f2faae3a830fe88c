"""Sending progress to TensorBoard, Weights & Biases and the like, through accelerate's trackers."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hfkit.config import FinetuneConfig
from hfkit.errors import InputError, did_you_mean
from hfkit.redaction import redacted

if TYPE_CHECKING:
    from hfkit.train.loop import Event

PACKAGES = {
    "aim": "aim",
    "clearml": "clearml",
    "comet_ml": "comet_ml",
    "dvclive": "dvclive",
    "mlflow": "mlflow",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
EVERY = 10  # steps between two reports of the loss


class Trackers:
    """Passes events on to the trackers named in ``report_to``; none is the usual case."""

    def __init__(self, config: FinetuneConfig, folder: Path) -> None:
        names = [name.strip() for name in (config.report_to or "").split(",") if name.strip()]
        self.trackers = [_tracker(name, config, folder) for name in names if name != "none"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tracker in self.trackers:
            tracker.finish()

    def report(self, event: Event) -> None:
        """Log the loss every few steps and the scores of each evaluation."""
        kind = type(event).__name__
        values: dict[str, float] = {}
        if kind == "Step" and event.step % EVERY == 0:
            names = ("loss", "lr", "grad_norm", "epoch")
            values = {f"train/{name}": getattr(event, name) for name in names}
        elif kind == "Evaluation":
            scores: dict[str, float] = getattr(event, "scores", {})
            values = {f"validation/{name}": value for name, value in scores.items()}
        for tracker in self.trackers if values else []:
            tracker.log(values, step=event.step)


def check(config: FinetuneConfig) -> None:
    """Raise `InputError` for a tracker that is unknown or not installed, before anything else."""
    from importlib.util import find_spec

    for name in (config.report_to or "").split(","):
        name = name.strip()
        if not name or name == "none":
            continue
        if name not in PACKAGES:
            hint = did_you_mean(name, PACKAGES)
            raise InputError(f"unknown tracker '{name}'", place="--report-to", hint=hint)
        if find_spec(PACKAGES[name]) is None:
            hint = f"pip install {PACKAGES[name].replace('_', '-')}"
            raise InputError(f"{name} is not installed", place="--report-to", hint=hint)


def _tracker(name: str, config: FinetuneConfig, folder: Path) -> Any:
    """Start one of accelerate's trackers and tell it the settings."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    tracker_class = LOGGER_TYPE_TO_CLASS[name]
    place = {"logging_dir": str(folder)} if tracker_class.requires_logging_directory else {}
    tracker = tracker_class(folder.name, **place)
    if hasattr(tracker, "start"):
        tracker.start()
    kept = (str, int, float, bool)
    settings = {
        key: redacted(value) if isinstance(value, str) else value
        for key, value in config.model_dump().items()
        if isinstance(value, kept)
    }
    tracker.store_init_configuration(settings)
    return tracker
