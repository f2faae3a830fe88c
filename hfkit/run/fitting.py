"""The half of a fine-tuning that needs torch: load, encode, train, keep the best weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hfkit import text
from hfkit.data.dataset import Dataset
from hfkit.errors import InputError, StoppedError
from hfkit.registry import find_metric
from hfkit.run.duration import seconds
from hfkit.run.encoding import Packed, encode
from hfkit.run.output import Output
from hfkit.run.preparation import Prepared
from hfkit.tasks.base import Answer, Outputs, Task
from hfkit.tasks.collate import collate
from hfkit.train.launch import world

if TYPE_CHECKING:
    from accelerate import Accelerator

    from hfkit.infer.predictor import Predictor
    from hfkit.model.adapters import Adapter
    from hfkit.train.loop import Event, Parts, Stopped

log = logging.getLogger(__name__)

Watching = Callable[[int, int], AbstractContextManager[Callable[["Event"], None]]]

GO_ON = "the same command continues"


@dataclass
class Fitted:
    """A trained model with the best weights in it, ready to be scored and written."""

    prepared: Prepared
    model: Any
    accelerator: Accelerator
    outputs: Callable[[Packed], list[Outputs]]
    encoded: Mapping[str, Packed]
    steps: int
    adapter: Adapter | None = None

    def answers(self, part: str) -> list[Answer]:
        """The answers to the rows of "validation" or "test"; the former settle the decisions."""
        data = self.prepared.part(part)
        outputs = self.outputs(self.encoded[part])
        answered = _decided if part == "validation" else _decoded
        return answered(self.prepared.task, outputs, self.encoded[part], data)


def fit(prepared: Prepared, accelerator: Accelerator, output: Output, watching: Watching) -> Fitted:
    """Train in the folder of `output`, from the beginning or from its newest checkpoint.

    `watching` is given the last and the first step and opens what is shown every event. Raises
    `StoppedError` when a signal or the time limit ended it early; a checkpoint is saved then.
    """
    from hfkit.infer.predictor import Predictor
    from hfkit.infer.torch_engine import SHAPES_OF_TRAINING, bound_caches, engine_of
    from hfkit.model.arithmetic import keep_memory, set_arithmetic
    from hfkit.model.dropout import quicken
    from hfkit.train.checkpoint import Checkpoints
    from hfkit.train.loop import Parts
    from hfkit.train.losses import find_loss
    from hfkit.train.pair_losses import StepLoss
    from hfkit.train.stopping import Stop

    config, task, folder = prepared.config, prepared.task, output.folder
    bound_caches(SHAPES_OF_TRAINING)
    set_arithmetic(config.kernels, config.threads)
    keep_memory()
    tokenizer = text.from_transformers(
        prepared.base.folder,
        config.max_length or 0,
        code=prepared.base.code,
        languages=task.languages,
    )
    task.read_with(tokenizer)
    encoded = _encoded(prepared, tokenizer, folder)
    model = _model(prepared)
    _check_vocabulary(prepared, encoded, model)
    engine = engine_of(model, accelerator.device)
    quicken(model)
    engine.unpadded = config.unpad and _without_padding(model, sharded=config.fsdp)
    predictor = Predictor(task, tokenizer, engine)
    training = encoded["train"]
    loss = find_loss(task.loss, task.loss_options)
    distinct = isinstance(loss, StepLoss) and loss.distinct
    parts = Parts(
        model=model,
        settings=config,
        accelerator=accelerator,
        lengths=training.lengths,
        make_batch=partial(_batch, prepared, training, tokenizer, model),
        loss=loss,
        checkpoints=Checkpoints(folder / "checkpoints", fingerprint=output.fingerprint),
        evaluate=lambda: _values(prepared, predictor, encoded["validation"]),
        best=task.best,
        stop=Stop(seconds(config.max_time) if config.max_time else None),
        groups=training.values["_row"] if task.grouped else None,
        keys=training.values.get("text_key") if distinct else None,
    )
    last = _trained(parts, watching)
    adapter = _detached(model) if config.lora else None
    outputs = partial(_outputs, predictor)
    return Fitted(prepared, model, accelerator, outputs, encoded, last.step, adapter)


def _without_padding(model: Any, *, sharded: bool) -> bool:
    """Let a model compute real tokens alone, where that is possible; tell if it does."""
    from hfkit.model.unpad import unpad

    if sharded:  # the hooks of one model do not serve its shards
        log.info("padding is computed too: --fsdp does not go with --unpad")
    elif getattr(model, "writes", False):
        log.info("padding is computed too: texts are written at each evaluation")
    else:
        return unpad(model, gradients=True)
    return False


def _model(prepared: Prepared) -> Any:
    """The base model with the head of the task, and that part of it to learn which is asked for."""
    from hfkit.model.adapters import attach, freeze
    from hfkit.model.load import load_anew
    from hfkit.model.lora import parse

    base, task, config = prepared.base, prepared.task, prepared.config
    model, new = load_anew(
        base.folder,
        task.auto_class,
        task.head(),
        dropout=config.dropout,
        seed=config.seed,
        name=base.name,
        code=base.code,
        allow_missing=config.allow_missing,
        fresh=base.fresh,
    )
    layers = config.freeze_layers
    if config.lora:
        attach(model, parse(config.lora), new, seed=config.seed, without_layers=layers)
    elif config.freeze_embeddings or layers:
        freeze(model, new, embeddings=config.freeze_embeddings, layers=layers)
    return model


def _detached(model: Any) -> Adapter:
    """What the adapters have learnt; the model is scored with it added to its weights, as it will
    be opened."""
    from hfkit.model.adapters import detach

    return detach(model)


def _batch(
    prepared: Prepared,
    training: Packed,
    tokenizer: text.Tokenizer,
    model: Any,
    rows: list[int],
    epoch: int,
) -> dict[str, Any]:
    """The batch of some rows in a pass over the data; a loss over the whole step is told which
    encoded rows belong together, a model that writes reads the right tokens before each one."""
    from hfkit.model.writer import decoder_inputs, writes

    task, seed = prepared.task, prepared.config.seed
    varied = [task.vary(training[row], (seed, epoch, row)) for row in rows]
    batch = collate(varied, tokenizer.padding)
    if task.grouped:
        batch["example"] = np.array([row["_row"] for row in varied])
    if writes(model):
        batch["decoder_input_ids"] = decoder_inputs(model, batch["labels"])
    return batch


def _check_vocabulary(prepared: Prepared, encoded: Mapping[str, Packed], model: Any) -> None:
    """Refuse a tokenizer that gives numbers the model has no embedding for."""
    from hfkit.model.writer import writes

    known = model.get_input_embeddings().num_embeddings
    kinds = ("input_ids", "labels") if writes(model) else ("input_ids",)
    found = [part.values.get(kind) for part in encoded.values() for kind in kinds]
    largest = max(int(numbers.max()) for numbers in found if numbers is not None)
    if largest >= known:
        raise InputError(
            f"the tokenizer gives token {largest}, the model has embeddings for {known}",
            place=prepared.base.name,
            hint="the folder holds the files of two models",
        )


def _trained(parts: Parts, watching: Watching) -> Stopped:
    """Run the loop to its end and leave the best weights in the model."""
    from hfkit.train.loop import train

    resume = parts.checkpoints.newest()
    first = resume.progress.step if resume else 0
    if resume:
        log.info("continuing from step %d", first)
    total = parts.plan().total
    if first < total and parts.accelerator.is_main_process:
        parts.checkpoints.check_room(parts.model, parts.settings.optim)
    with parts.stop, watching(total, first) as watch:
        for event in train(parts, resume):
            watch(event)
    last = cast("Stopped", event)
    _raise_if_early(last)
    if last.best_step is not None:
        parts.checkpoints.load_model(last.best_step, parts.model)
    return last


def _encoded(prepared: Prepared, tokenizer: text.Tokenizer, folder: Path) -> dict[str, Packed]:
    packed = partial(encode, task=prepared.task, tokenizer=tokenizer, folder=folder)
    found = {
        "train": packed(prepared.train, name="training data", targets=True),
        "validation": packed(prepared.validation, name="validation data", targets=False),
    }
    if prepared.test:
        found["test"] = packed(prepared.test, name="test data", targets=False)
    return found


def _outputs(predictor: Predictor, encoded: Packed) -> list[Outputs]:
    """Compute all rows, each process its share of the batches; the same on every process."""
    rank, _, processes = world()
    batches = predictor.batches(encoded)[rank::processes]
    computed = _gathered(predictor.compute(encoded, batches), processes)
    return [computed[number] for number in range(len(encoded))]


def _decoded(
    task: Task[Any], outputs: list[Outputs], encoded: Packed, data: Dataset
) -> list[Answer]:
    return task.decode(outputs, encoded, data.rows)


def _decided(
    task: Task[Any], outputs: list[Outputs], encoded: Packed, data: Dataset
) -> list[Answer]:
    """Fit what the task decides on these rows, and answer them with it."""
    task.decisions = {}
    answers = task.decode(outputs, encoded, data.rows)
    task.decide(answers, task.gold(data.rows))
    return task.decode(outputs, encoded, data.rows) if task.decisions else answers


def _gathered(own: dict[int, Outputs], processes: int) -> dict[int, Outputs]:
    if processes == 1:
        return own
    from accelerate.utils import gather_object

    together: dict[int, Outputs] = {}
    for part in gather_object([own]):
        together.update(part)
    return together


def _values(prepared: Prepared, predictor: Predictor, encoded: Packed) -> dict[str, float]:
    """The scores on the validation data, without intervals."""
    task, data = prepared.task, prepared.validation
    answers = _decided(task, _outputs(predictor, encoded), encoded, data)
    metric = find_metric(task.metric)(answers, task.gold(data.rows), task.labels)
    values: dict[str, float] = metric.values()
    return values


def _raise_if_early(stopped: Stopped) -> None:
    if stopped.reason == "max_time":
        raise StoppedError(f"stopped at step {stopped.step}: the time is up", hint=GO_ON)
    if stopped.reason == "signal" and stopped.signum is not None:
        code = 128 + stopped.signum  # as a shell counts
        raise StoppedError(f"stopped at step {stopped.step}", exit_code=code, hint=GO_ON)
