"""From the names of models to models that are served, each loaded and with its own thread."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.config import PredictConfig
from hfkit.errors import InputError
from hfkit.registry import find_task, make_task
from hfkit.run.decisions import overruled
from hfkit.run.opening import TASK_OF_HEAD, Opened, open_run, read_settings
from hfkit.run.predicting import make_predictor

if TYPE_CHECKING:
    from hfkit.config.serving import ServeConfig
    from hfkit.infer.predictor import Predictor
    from hfkit.serve.counts import Counts
    from hfkit.serve.served import Served
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of a model, as a part of a path


def open_models(config: ServeConfig, counts: Counts) -> list[Served]:
    """Load the models of a server. Raises `InputError` for two of one name, and as prediction
    does."""
    names = named(config.models)
    return [_open(name, model, config, counts) for name, model in names.items()]


def named(models: Sequence[str]) -> dict[str, str]:
    """Names of models and where they are: as ``NAME=FOLDER``, else by the folder.

    >>> named(["runs/reviews", "qa=runs/squad-minilm/"])
    {'reviews': 'runs/reviews', 'qa': 'runs/squad-minilm/'}
    """
    if not models:
        raise InputError("no model", hint="name a run: hfkit serve RUN")
    found: dict[str, str] = {}
    for model in models:
        name, equals, place = model.partition("=")
        if not equals or not NAME.fullmatch(name) or Path(model).exists():
            place = model
            name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(model).resolve().name).lstrip("._-")
        if Path(place).is_file():
            hint = _run_beside(Path(place)) or "name a run: hfkit serve RUN"
            raise InputError("a file; a model is a folder", place=place, hint=hint)
        name = name[:100] or "model"
        if name in found:
            hint = f"give it one: NAME={place}"
            raise InputError(f"two models have the name {name}", place=place, hint=hint)
        found[name] = place
    return found


def _run_beside(file: Path) -> str:
    """The advice to serve the run that a file is of; empty where it is of none."""
    is_of_one = (file.parent / "config.json").is_file()
    return f"try hfkit serve {file.parent}" if is_of_one else ""


def _open(name: str, model: str, config: ServeConfig, counts: Counts) -> Served:
    from hfkit.infer.predictor import Predictor
    from hfkit.run.embedding import stored_prompts
    from hfkit.serve.batching import Worker
    from hfkit.serve.served import Served

    wanted = _for_prediction(model, config)
    opened = open_run(model, wanted)
    predictor = make_predictor(opened, wanted)
    assert isinstance(predictor, Predictor)
    _keep(predictor.engine)
    settings = read_settings(opened.folder)
    kind = _kind(opened, wanted)
    own = dict(settings.options) if settings and _same(settings.task, kind) else {}
    worker = Worker(
        name, config.queue, lambda requests, rows: counts.computed(name, requests, rows)
    )
    return Served(
        name=name,
        kind=kind,
        predictor=predictor,
        remake=_remaker(kind, {**own, **wanted.options}, opened, predictor),
        worker=worker,
        limits=config,
        columns=opened.columns or {},
        prompts=stored_prompts(opened.folder),
    )


def _for_prediction(model: str, config: ServeConfig) -> PredictConfig:
    """The settings of `hfkit predict` that a server shares; a model without a head is one of
    vectors."""
    from hfkit.model.facts import describe
    from hfkit.model.locate import locate

    if config.options.get("endpoint"):
        raise InputError("a server asks no other server", place="--endpoint")
    shared = set(PredictConfig.model_fields) & set(type(config).model_fields) - {"config", "set"}
    values: dict[str, Any] = {name: getattr(config, name) for name in shared}
    located = locate(model, offline=config.offline, code=config.allow_remote_code)
    facts = describe(located.folder, code=located.code)
    is_known = facts.has_head or facts.architecture.endswith(tuple(TASK_OF_HEAD))
    if config.task is None and read_settings(located.folder) is None and not is_known:
        log.info("%s has no trained head; taking similarity, for its vectors", model)
        values["task"] = "similarity"
    return PredictConfig(**{**values, "model": model})


def _keep(engine: Any) -> None:
    """Copy weights that lie in their file: whoever overwrites that would end the server."""
    model = getattr(engine, "model", None)
    if model is not None:
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.device.type == "cpu":
                tensor.data = tensor.data.clone()


def _kind(opened: Opened, config: PredictConfig) -> str:
    """The canonical name of a model's task."""
    from hfkit.registry import TASKS

    target = f"{type(opened.task).__module__}:{type(opened.task).__qualname__}"
    return next(
        (name for name, entry in TASKS.items() if entry.target == target), config.task or target
    )


def _same(task: str | None, kind: str) -> bool:
    return task is not None and find_task(task)[0] == kind


def _remaker(
    kind: str, options: Mapping[str, Any], opened: Opened, predictor: Predictor
) -> Callable[[Mapping[str, Any]], Task[Any]]:
    """What makes the task of a run with other options."""
    stored = json.loads((opened.folder / "config.json").read_text("utf-8"))

    def remake(changed: Mapping[str, Any]) -> Task[Any]:
        silenced = logging.root.manager.disable
        logging.disable(logging.INFO)  # it was all said when the model was opened
        try:
            task = make_task(kind, {**options, **changed})
            task.asked, task.decisions = True, overruled(opened.task.decisions, changed)
            task.restore(stored)
            task.read_with(predictor.tokenizer)
        finally:
            logging.disable(silenced)
        return task

    return remake
