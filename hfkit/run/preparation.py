"""Everything that is decided before the first weight is loaded: data, columns, labels, sizes.

Nothing here imports torch, so a mistake costs a second, not ten, and a dry run is cheap. Every
setting that was left open gets its value here, and the reason is printed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from hfkit import __version__
from hfkit.config import Columns, FinetuneConfig
from hfkit.data.bad_rows import BadRows
from hfkit.data.checks.texts import joined_texts
from hfkit.data.dataset import Dataset, peek
from hfkit.data.shape import infer_task
from hfkit.errors import InputError
from hfkit.layers import extra
from hfkit.metrics.base import check_packages
from hfkit.model import lora
from hfkit.model.adapted import is_adapted
from hfkit.model.defaults import default_lr, default_model
from hfkit.model.facts import ModelFacts, describe
from hfkit.model.gate import read_config
from hfkit.model.locate import Located, locate
from hfkit.processor import cores, has_accelerator, kernels_for, precision_for, this_processor
from hfkit.redaction import redacted
from hfkit.registry import TASKS, find_metric, find_task, make_task
from hfkit.run.exporting import check_exportable
from hfkit.run.opening import checked_length
from hfkit.run.parts import (
    check_against,
    known_texts,
    read_other,
    read_training,
    read_validation,
    reading_of,
)

if TYPE_CHECKING:
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "numpy")


@dataclass(frozen=True)
class Prepared:
    """A fine-tuning with all its questions answered; `config` holds no open setting."""

    config: FinetuneConfig
    task_name: str
    task: Task[Any]
    base: Located
    facts: ModelFacts
    train: Dataset
    validation: Dataset
    test: Dataset | None

    def rejected(self) -> list[BadRows]:
        """What was left out as bad, of each file once."""
        parts = [data.bad for data in (self.train, self.validation, self.test) if data]
        return list({id(bad): bad for bad in parts}.values())

    def part(self, name: str) -> Dataset:
        """The rows of "train", "validation" or "test". Raises `KeyError` for one there is not."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: data for name, data in parts.items() if data}[name]

    def identity(self) -> dict[str, Any]:
        """What makes this run itself: the settings that change its result, and hashes."""
        from hfkit.hashing import sha256
        from hfkit.model.gate import weight_files

        config = self.config
        values = config.model_dump(mode="json")
        settings = {
            name: value
            for name, value in values.items()
            if extra(FinetuneConfig, name).get("changes_result") and name != "options"
        }
        declared = type(self.task.options)
        options = {
            f"options.{name}": value
            for name, value in sorted(config.options.items())
            if extra(declared, name).get("changes_result")
        }
        base = self.base.folder
        files = (
            [base / "config.json", base / "tokenizer.json"]
            if self.base.fresh
            else weight_files(base)
        )
        hashes = {
            "training data": self.train.digest,
            "validation data": self.validation.digest,
            "test data": self.test.digest if self.test else None,
            "base model": [sha256(path) for path in files],
        }
        return {**_redacted({**settings, **options}), **hashes}


def versions() -> dict[str, str]:
    """The versions of what computes."""
    return {"hfkit": __version__, **{name: version(name) for name in PACKAGES}}


def prepare(config: FinetuneConfig) -> Prepared:
    """Read the data, find the columns and labels, choose what was left open.

    Raises `InputError` for anything wrong with the data, the settings or the base model's name.
    """
    if not config.train:
        raise InputError("no training data", hint="hfkit finetune TRAIN, for example reviews.csv")
    # A mistyped name is found before a large file is read.
    waits = config.config_size is not None and config.task is None  # the task decides the family
    base = None if waits else _base(config)
    peeked = None
    chosen = config.task
    if chosen is None:
        peeked = peek(config.train, reading_of(config), offline=config.offline, strictness=config)
        chosen, reason = infer_task(peeked.names, peeked.sample, config)
        log.info("the task is %s (%s); override with -t", chosen, reason)
    name, _, implied = find_task(chosen)
    base = _base(config.model_copy(update={"task": name})) if waits else base
    options = {**implied, **config.options}
    if options.get("endpoint"):
        raise InputError("what a server has is not trained from here", place="--endpoint")
    task = make_task(name, options)
    if config.export:
        check_exportable(task, "--export")
    if name in TASKS and not TASKS[name].trainable:
        task.learn([])  # raises, and says what to train instead
    facts = _facts(base, task) if base else None
    train = read_training(config, task, peeked)
    validation, train = read_validation(config, task, train)
    test = read_other(config, task, train, config.test) if config.test else None
    known = known_texts(train, task)
    # The validation data last: they pick the checkpoint, so a task goes by their kind of labels.
    for part, data in (("test", test), ("validation", validation)):
        if data is not None:
            check_against(known, data, part, task)
    check_packages(find_metric(task.metric))
    model = config.model
    if base is None:
        model, reason = default_model(name, [str(joined_texts(row)[0]) for row in train.rows[:500]])
        log.info("the base model is %s (%s); override with -m", model, reason)
        base = _located(config, model)
    facts = facts or _facts(base, task)
    _check_tokenizer(base, task)
    lr, max_length = config.lr, checked_length(config.max_length, facts.max_length)
    if lr is None:
        lr, reason = default_lr(facts, adapters=config.lora is not None)
        log.info("the learning rate is %g (%s); override with --lr", lr, reason)
    decided = {
        "task": name,
        "options": task.resolved(),
        "model": model,
        "lr": lr,
        "lora": str(lora.parse(config.lora)) if config.lora else None,
        "max_length": max_length,
        **_named(train),
        **_arithmetic(config),
    }
    return Prepared(
        config.model_copy(update=decided), name, task, base, facts, train, validation, test
    )


def _redacted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they may be written down."""
    return {k: redacted(v) if isinstance(v, str) else v for k, v in settings.items()}


def _facts(base: Located, task: Task[Any]) -> ModelFacts:
    """What the base model's files say. Raises `InputError` for one that cannot learn the task."""
    facts = describe(base.folder, code=base.code, fresh=base.fresh)
    if is_adapted(base.folder):
        raise InputError(
            "an adapter on another model", place=base.name, hint="fine-tune it with --merge first"
        )
    with _placed_at(base.name):
        task.build_on(read_config(base.folder, code=base.code))
    return facts


def _check_tokenizer(base: Located, task: Task[Any]) -> None:
    with _placed_at(base.name):
        task.check_tokenizer(base.folder)


@contextmanager
def _placed_at(name: str) -> Iterator[None]:
    """What is wrong with a model is said of the model, where nothing else is named."""
    try:
        yield
    except InputError as error:
        raise InputError(error.message, place=error.place or name, hint=error.hint) from error


def _base(config: FinetuneConfig) -> Located | None:
    """The base model, as far as it is named. Raises `InputError` for one that is both loaded and
    started from scratch."""
    from hfkit.model.scratch import make_base

    named = {
        "--model": config.model,
        "--config-size": config.config_size,
        "--config-file": config.config_file,
    }
    given = [flag for flag, value in named.items() if value]
    if len(given) > 1:
        raise InputError("only one of them can be the base model", place=" and ".join(given))
    if config.model or not given:
        if config.tokenizer:
            hint = "a model that is loaded has its own; --config-size starts from scratch"
            raise InputError("plays no part", place="--tokenizer", hint=hint)
        return _located(config, config.model) if config.model else None
    if config.lora or config.freeze_embeddings or config.freeze_layers:
        hint = "leave out --lora and --freeze-…, or take a model with -m"
        raise InputError("a model from scratch learns as a whole", place=given[0], hint=hint)
    if not config.tokenizer:
        hint = "--tokenizer FOLDER; hfkit tokenizer train makes one"
        raise InputError("needs a tokenizer", place=given[0], hint=hint)
    generates = find_task(config.task)[0] == "generation" if config.task else False
    family: Literal["bert", "gpt2"] = "gpt2" if generates else "bert"
    return make_base(config.tokenizer, config.config_size, config.config_file, family)


def _located(config: FinetuneConfig, model: str) -> Located:
    return locate(model, offline=config.offline, code=config.allow_remote_code)


def _arithmetic(config: FinetuneConfig) -> dict[str, Any]:
    """How this processor computes, where it was left open; a GPU is asked by torch."""
    processor = this_processor()
    threads = config.threads or max(1, cores() // config.num_processes)
    decided: dict[str, Any] = {"threads": threads}
    if config.kernels == "auto":
        decided["kernels"] = kernels_for(processor)
    here = config.device == "cpu" or (config.device == "auto" and not has_accelerator())
    if config.precision == "auto" and here:
        decided["precision"] = precision_for(processor)
        if decided["precision"] == "bf16":
            log.info("training in bf16, which this processor multiplies natively; override with "
                     "--precision fp32")  # fmt: skip
    return decided


def _named(data: Dataset) -> dict[str, str]:
    """The columns that were found, as the settings that name them."""
    named = {
        f"{role}_column": column if isinstance(column, str) else ",".join(column)
        for role, column in data.columns.columns.items()
    }
    return {name: column for name, column in named.items() if name in Columns.model_fields}
