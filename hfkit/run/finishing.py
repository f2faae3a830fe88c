"""The end of a fine-tuning: score the best weights, write the folder, seal it.

The manifest is written last, so a folder that has one is finished; until then the checkpoints stand
and the same command does this part again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import __version__, sealing
from hfkit.config import Computing
from hfkit.errors import InputError
from hfkit.layers import dump
from hfkit.metrics.statistics import Scores, score
from hfkit.model.adapted import describe_base
from hfkit.model.card import Card, CardScore, write_card
from hfkit.model.folder import write_folder
from hfkit.redaction import redacted
from hfkit.registry import find_metric
from hfkit.run.decisions import DECISIONS
from hfkit.run.fitting import Fitted
from hfkit.run.opening import SETTINGS
from hfkit.run.output import SCORES
from hfkit.run.preparation import Prepared, versions

if TYPE_CHECKING:
    from hfkit.data.dataset import Dataset

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
# Settings worth a line in the card; hfkit.yaml has all of them.
TOLD = (
    "epochs", "max_steps", "batch_size", "lr", "schedule", "warmup", "weight_decay",
    "max_grad_norm", "max_length", "dropout", "lora", "freeze_embeddings", "freeze_layers",
    "precision", "num_processes", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Finetuned:
    """A finished run: its folder, its scores by split (validation, test), the steps it took, and
    how many rows were left out as bad."""

    folder: Path
    task: str
    model: str
    splits: dict[str, Scores]
    steps: int
    rejected: int = 0

    @property
    def split(self) -> str:
        """Whose scores to show first: those of the test data where there are some."""
        return "test" if "test" in self.splits else "validation"

    @property
    def scores(self) -> Scores:
        """The scores to show first."""
        return self.splits[self.split]

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints and metrics.json holds, the folder aside."""
        return {
            "folder": str(self.folder),
            "task": self.task,
            "model": self.model,
            "steps": self.steps,
            "rejected": self.rejected,
            "scores": {name: scores.to_json() for name, scores in self.splits.items()},
        }

    @classmethod
    def read(cls, folder: Path) -> Finetuned:
        """Read back what a finished run came to."""
        saved = sealing.read_json(folder / SCORES)
        try:
            splits = {name: Scores.from_json(scores) for name, scores in saved["scores"].items()}
            rejected = saved.get("rejected", 0)
            return cls(folder, saved["task"], saved["model"], splits, saved["steps"], rejected)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError("damaged", place=str(folder / SCORES)) from error


def finish(fitted: Fitted, folder: Path) -> Finetuned:
    """Score the model on the validation and test data and write everything but the checkpoints."""
    prepared = fitted.prepared
    parts = {"validation": prepared.validation, "test": prepared.test}
    splits = {name: _scores(fitted, name, data) for name, data in parts.items() if data}
    if prepared.config.baselines and fitted.accelerator.is_main_process:
        splits = _with_baselines(prepared, splits)
    task, base = prepared.task_name, prepared.base.name
    rejected = sum(bad.count for bad in prepared.rejected())
    done = Finetuned(folder, task, base, splits, fitted.steps, rejected)
    if fitted.accelerator.is_main_process:
        _write(fitted, done)
    fitted.accelerator.wait_for_everyone()
    return done


def _scores(fitted: Fitted, name: str, data: Dataset) -> Scores:
    task = fitted.prepared.task
    answers, gold = fitted.answers(name), task.gold(data.rows)  # the metric may go by the gold
    return score(find_metric(task.metric)(answers, gold, task.labels))


def _with_baselines(prepared: Prepared, splits: dict[str, Scores]) -> dict[str, Scores]:
    """The same scores beside those of simple models, which learn from the same rows."""
    from hfkit.run.baselines import baseline_scores, encoder_of

    config, base, task = prepared.config, prepared.base, prepared.task
    embed = None
    if prepared.task_name == "classification" and not base.fresh:
        computing = Computing(threads=config.threads, kernels=config.kernels)
        embed = encoder_of(
            base.name, offline=config.offline, device=config.device, computing=computing,
            code=config.allow_remote_code,
        )  # fmt: skip
    return {
        name: replace(
            scores,
            baselines=baseline_scores(
                task, prepared.train.rows, prepared.part(name).rows,
                task.gold(prepared.part(name).rows), embed,
            ),
        )
        for name, scores in splits.items()
    }  # fmt: skip


def _write(fitted: Fitted, done: Finetuned) -> None:
    prepared, folder = fitted.prepared, done.folder
    config = prepared.config
    source, max_length = prepared.base.folder, config.max_length or 0
    code = prepared.base.code
    languages = prepared.task.languages
    adapter = None if config.merge else fitted.adapter
    write_folder(
        folder,
        fitted.model,
        source,
        max_length=max_length,
        code=code,
        languages=languages,
        adapter=adapter,
        base=describe_base(prepared.base, folder) if adapter else None,
    )
    sealing.write_bytes(folder / SETTINGS, _settings(prepared).encode())
    saved = done.to_json()
    del saved["folder"]
    sealing.write_json(folder / SCORES, saved)
    if prepared.task.decisions:
        sealing.write_json(folder / DECISIONS, _decisions(prepared))
        _tell_decisions(prepared)
    write_card(folder, _card(prepared, done))
    facts = {
        "task": prepared.task_name,
        "base_model": {"name": prepared.base.name, "revision": prepared.base.revision},
        "data": _told(prepared),
        "seed": config.seed,
        "versions": versions(),
        "hardware": _hardware(fitted),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    sealing.seal(folder, facts, leave_out=(CHECKPOINTS,))
    if not config.keep_checkpoints:
        sealing.remove(folder / CHECKPOINTS)


def _decisions(prepared: Prepared) -> dict[str, Any]:
    """decisions.json: what was fitted after training, and on what."""
    data = prepared.validation
    fitted_on = {"data": _name_of(data), "rows": len(data.rows), "sha256": data.digest}
    return {"decisions": prepared.task.decisions, "fitted_on": fitted_on}


def _name_of(data: Dataset) -> str:
    """The name of the file, as it may be written down."""
    return redacted(Path(data.source).name)


def _tell_decisions(prepared: Prepared) -> None:
    """A threshold that was fitted on ten rows is a weak one; say on how many it was."""
    numbers = [
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in prepared.task.decisions.items()
        if isinstance(value, float)
    ]
    if numbers:
        rows = len(prepared.validation.rows)
        log.info("fitted on %d validation rows: %s (%s)", rows, ", ".join(numbers), DECISIONS)


def _data(prepared: Prepared) -> dict[str, Dataset]:
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    return {name: data for name, data in parts.items() if data}


def _told(prepared: Prepared) -> dict[str, dict[str, Any]]:
    """What is written down of each part: its file, its rows, and what tells a changed one."""
    return {
        name: {"source": _name_of(data), "rows": len(data.rows), "sha256": data.digest}
        for name, data in _data(prepared).items()
    }


def _settings(prepared: Prepared) -> str:
    """hfkit.yaml: the settings as they were resolved."""
    head = (
        f"# The resolved settings of this run ({prepared.task_name}, hfkit {__version__}).\n"
        "# Repeat it, in the folder it was started in: hfkit finetune -c RUN/hfkit.yaml -o NEW\n\n"
    )
    return head + dump(prepared.config)


def _hardware(fitted: Fitted) -> dict[str, Any]:
    import platform

    import torch

    device = fitted.accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type,
        "name": name,
        "processes": fitted.accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "precision": fitted.accelerator.mixed_precision,
    }


def _card(prepared: Prepared, done: Finetuned) -> Card:
    config = prepared.config.model_dump()
    sources = dict.fromkeys(data.source for data in _data(prepared).values())
    return Card(
        name=done.folder.name,
        task=prepared.task_name,
        base_model=prepared.base.name,
        base_revision=prepared.base.revision,
        datasets=list(sources),
        data=_told(prepared),
        scores=[
            CardScore(name, value, low, high, split, scores.count, scores.baseline.get(name))
            for split, scores in done.splits.items()
            for name, value in scores.values.items()
            for low, high in [scores.intervals.get(name, (None, None))]
        ],
        labels=prepared.task.labels,
        settings={name: config[name] for name in TOLD} | config["options"],
        versions=versions(),
        auto_class=prepared.task.auto_class,
        adapter=prepared.config.lora is not None and not prepared.config.merge,
    )
