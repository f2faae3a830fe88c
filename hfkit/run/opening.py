"""Opening a run, or any model with a trained head, for prediction and evaluation.

A run's folder knows its task, its options and which column is what; a model from elsewhere has only
its config.json, and flags say the rest.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.errors import InputError, SafetyError
from hfkit.registry import find_task, make_task
from hfkit.run.decisions import read_decisions

if TYPE_CHECKING:
    from hfkit.config import EvaluateConfig, ExportConfig, FinetuneConfig, PredictConfig
    from hfkit.tasks.base import Task
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

SETTINGS = "hfkit.yaml"
USUAL_LENGTH = 512
# What a model from elsewhere is asked for, by the end of its architecture's name.
TASK_OF_HEAD = {"ForTokenClassification": "ner", "ForQuestionAnswering": "qa"}


@dataclass(frozen=True)
class Opened:
    """A model with everything around it that turns rows into answers, but for the engine.

    `settings` are those of the run, `columns` says which column of its data was what, `label_base`
    the number of the first of its label names; all are None for a model from elsewhere. `endpoint`
    is the server that answers, if it is not a model here; it has no tokenizer.
    """

    name: str
    folder: Path
    task: Task[Any]
    tokenizer: Tokenizer | None
    settings: FinetuneConfig | None = None
    columns: dict[str, str | list[str]] | None = None
    label_base: int | None = None
    endpoint: str | None = None


def open_run(
    model: str, config: EvaluateConfig | ExportConfig | PredictConfig, *, anew: bool = False
) -> Opened:
    """Open a run's folder, a model folder or a Hub id; with `anew`, without what was exported.

    Flags win over what the run saved. Raises `InputError` for a name that leads nowhere, a base
    model without a head, and settings that do not fit.
    """
    from hfkit.model.facts import describe, require_head
    from hfkit.model.locate import locate

    if config.options.get("endpoint"):
        return _elsewhere(model, config)
    located = locate(model, offline=config.offline)
    saved = read_settings(located.folder)
    if saved and ":" in (saved.task or "") and config.task != saved.task:
        raise SafetyError(
            f"its settings name code to run as the task ({saved.task})",
            place=str(located.folder / SETTINGS),
            hint=f"if you trust it: -t {saved.task}",
        )
    name = config.task or (saved.task if saved else None) or _guessed(located.folder)
    trained = saved.task if saved else None
    own = trained is not None and find_task(trained)[0] == find_task(name)[0]
    options = {**(saved.options if saved and own else {}), **config.options}
    task = make_task(name, options)
    if saved:
        _check_sealed(located.folder, "tokenizer.json")
    facts = describe(located.folder)
    if own:
        task.decisions = read_decisions(located.folder)
    task.restore(json.loads((located.folder / "config.json").read_text("utf-8")))
    require_head(facts, task.auto_class, model)
    wanted = config.max_length or (saved.max_length if saved else None)
    max_length = checked_length(wanted, facts.max_length)
    tokenizer = load_tokenizer(located.folder, max_length, of_run=saved is not None, anew=anew)
    data = _data_of(located.folder) if own else {}
    return Opened(model, located.folder, task, tokenizer, saved, **data)


def load_tokenizer(folder: Path, max_length: int, *, of_run: bool, anew: bool = False) -> Tokenizer:
    """The tokenizer of a run or a model; transformers makes it where none lies ready, in a run or
    in what was exported, and always `anew` for a model that is no run."""
    from hfkit import text
    from hfkit.run.exported import read_tokenizer

    if of_run and (folder / "tokenizer.json").exists():
        return text.from_file(folder, max_length)
    ready = None if of_run or anew else read_tokenizer(folder, max_length)
    return ready or text.from_transformers(folder, max_length)


def _elsewhere(model: str, config: EvaluateConfig | ExportConfig | PredictConfig) -> Opened:
    """A model that a server has. Raises `InputError` for a task that is not answered in words."""
    name = config.task or "zero-shot"
    if find_task(name)[0] != "zero-shot":
        raise InputError(
            f"{name} needs a model here: a server can only choose between labels (zero-shot)",
            place="--endpoint",
        )
    task = make_task(name, config.options)
    if config.options.get("template"):
        log.info("--template plays no part where a server answers")
    return Opened(model, Path(), task, None, endpoint=config.options["endpoint"])


def checked_length(wanted: int | None, longest: int) -> int:
    """The window to use: as wanted, else the model's longest, at most 512 tokens.

    Raises `InputError` when the model cannot read as many.

    >>> checked_length(None, 8192), checked_length(64, 512)
    (512, 64)
    """
    if wanted is not None and wanted > longest:
        raise InputError(
            f"{wanted} tokens are more than the model reads ({longest})",
            place="--max-length",
            hint="longer texts are read in windows",
        )
    return wanted or min(longest, USUAL_LENGTH)


def read_settings(folder: Path) -> FinetuneConfig | None:
    """Return the settings of the run in `folder`; None where it is not a run."""
    from hfkit.config import FinetuneConfig
    from hfkit.layers import resolve

    if not (folder / SETTINGS).is_file():
        return None
    return resolve(FinetuneConfig, {"config": str(folder / SETTINGS)}, {})


def check_weights(folder: Path) -> None:
    """Refuse a run whose weights are not those that were sealed; of what is no run none are."""
    if (folder / SETTINGS).is_file():
        _check_sealed(folder, "model.safetensors")


def _check_sealed(folder: Path, name: str) -> None:
    wrong = sealing.damage(folder, only=(name,))
    if wrong is not None:
        raise InputError(f"damaged: {wrong}", place=str(folder), hint="fine-tune it again")


def _data_of(folder: Path) -> dict[str, Any]:
    """How the run in `folder` read its data; nothing where it is not a run."""
    path = folder / "run.json"
    if not path.is_file():
        return {}
    run = sealing.read_json(path)
    return {name: run[name] for name in ("columns", "label_base") if name in run}


def _guessed(folder: Path) -> str:
    """The task of a model from elsewhere, by its architecture."""
    from hfkit.model.gate import check

    architecture = (check(folder).get("architectures") or [""])[0]
    task = next(
        (name for end, name in TASK_OF_HEAD.items() if architecture.endswith(end)), "classification"
    )
    log.info(
        "no task named; taking %s for a %s; override with -t",
        task,
        architecture or "model without an architecture",
    )
    return task
