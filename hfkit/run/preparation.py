"""Everything that is decided before the first weight is loaded: data, columns, labels, sizes.

Nothing here imports torch, so a mistake costs a second, not ten, and a dry run is cheap. Every
setting that was left open gets its value here, and the reason is printed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any

from hfkit import __version__
from hfkit.config import Columns, FinetuneConfig
from hfkit.data.bad_rows import BadRows
from hfkit.data.dataset import Dataset, Peeked, load_rows, peek
from hfkit.data.overlap import Texts, find_overlap
from hfkit.data.rows import in_chunks, keys_of
from hfkit.data.shape import infer_task
from hfkit.data.source import is_file
from hfkit.data.split import split_rows, stratified_split
from hfkit.errors import InputError, RowError
from hfkit.layers import extra
from hfkit.model.defaults import default_lr, default_model
from hfkit.model.facts import ModelFacts, describe, estimate_memory
from hfkit.model.locate import Located, locate
from hfkit.processor import cores, has_accelerator, kernels_for, precision_for, this_processor
from hfkit.redaction import redacted
from hfkit.registry import TASKS, find_task, make_task
from hfkit.run.opening import checked_length

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

    def windows(self) -> int:
        """Rows to compute in one pass: long texts have several windows. Encodes all rows."""
        from hfkit.text import from_file

        if not (self.base.folder / "tokenizer.json").exists():  # it exists in Python only
            return len(self.train.rows)
        tokenizer = from_file(self.base.folder, self.config.max_length or 0)
        rows = in_chunks(self.train.rows)
        return sum(len(self.task.features(some, tokenizer)) for some in rows)

    def identity(self) -> dict[str, Any]:
        """What makes this run itself: the settings that change its result, and hashes."""
        from hfkit.model.gate import weight_files
        from hfkit.sealing import sha256

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
        hashes = {
            "training data": self.train.digest,
            "validation data": self.validation.digest,
            "test data": self.test.digest if self.test else None,
            "base model": [sha256(path) for path in weight_files(self.base.folder)],
        }
        return {**_redacted({**settings, **options}), **hashes}

    def to_json(self) -> dict[str, Any]:
        """What ``--dry-run`` prints."""
        config, windows = self.config, self.windows()
        examples = len(self.train.rows) if self.task.grouped else windows
        steps = ceil(-(-examples // config.batch_size) * config.epochs)
        steps = min(steps, config.max_steps or steps)
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            "task": self.task_name,
            "model": config.model,
            "parameters": self.facts.parameters,
            "rows": {name: len(data.rows) for name, data in parts.items() if data},
            "rejected": sum(bad.count for bad in self.rejected()),
            "columns": self.train.columns.to_dict(),
            "labels": _label_counts(self.train, self.task),
            "max_length": config.max_length,
            "epochs": config.epochs,
            "batch_size": config.batch_size,
            "windows": windows,
            "steps": steps,
            "lr": config.lr,
            "best_by": self.task.best,
            "memory_bytes_at_most": self._memory(),
            "settings": config.model_dump(mode="json", exclude={"set", "config", "dry_run"}),
        }

    def _memory(self) -> int:
        """The bytes that a process takes, were all windows as long as they may be."""
        config, longest = self.config, self.config.max_length or 0
        rows = -(-config.batch_size // config.num_processes)
        if self.task.grouped:  # the texts of an example are rows of the model
            rows *= sum(role != "label" for role in self.train.columns.columns)
        if isinstance(config.micro_batch, int):
            rows = min(rows, config.micro_batch)
        if config.batch_tokens and longest:
            rows = max(1, min(rows, config.batch_tokens // longest))
        return estimate_memory(
            self.facts,
            rows,
            longest,
            optimizer=config.optim,
            shards=config.num_processes if config.fsdp else 1,
            recomputed=config.gradient_checkpointing,
        )


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
    base = _located(config, config.model) if config.model else None
    peeked = None
    chosen = config.task
    if chosen is None:
        peeked = peek(config.train, _reading(config), offline=config.offline, strictness=config)
        chosen, reason = infer_task(peeked.names, peeked.sample, config)
        log.info("the task is %s (%s); override with -t", chosen, reason)
    name, _, implied = find_task(chosen)
    options = {**implied, **config.options}
    task = make_task(name, options)
    if name in TASKS and not TASKS[name].trainable:
        task.learn([])  # raises, and says what to train instead
    train = _training_data(config, task, peeked)
    validation, train = _validation_data(config, task, train)
    test = _other_data(config, task, train, config.test) if config.test else None
    # The validation data last: they pick the checkpoint, so a task goes by their kind of labels.
    for part, data in (("test", test), ("validation", validation)):
        if data is not None:
            _check_against(train, data, part, task)
    model = config.model
    if base is None:
        model, reason = default_model(name, [str(_texts(row)[0]) for row in train.rows[:500]])
        log.info("the base model is %s (%s); override with -m", model, reason)
        base = _located(config, model)
    facts = describe(base.folder, code=base.code)
    lr, max_length = config.lr, checked_length(config.max_length, facts.max_length)
    if lr is None:
        lr, reason = default_lr(facts, name)
        log.info("the learning rate is %g (%s); override with --lr", lr, reason)
    decided = {
        "task": name,
        "options": task.resolved(),
        "model": model,
        "lr": lr,
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


def _reading(config: FinetuneConfig) -> FinetuneConfig:
    """How the training data are read: whole, but for a data set of the Hub, which may have no end;
    of the rows that were read --limit is drawn."""
    source = config.train or ""
    return _unlimited(config) if source == "-" or is_file(source) else config


def _training_data(config: FinetuneConfig, task: Task[Any], peeked: Peeked | None) -> Dataset:
    """Read the training rows and let the task fix its labels on all of them; then draw --limit.

    Drawn, not cut off: many files are sorted by label, and their first rows hold one class.
    """
    data = load_rows(
        config.train or "",
        _reading(config),
        config,
        _needed(task),
        offline=config.offline,
        label_kind=task.label_kind,
        peeked=peeked,
        strictness=config,
    )
    try:
        task.learn(data.rows)
    except RowError as error:
        raise data.located(error) from error
    except InputError as error:
        place = error.place or data.source
        raise InputError(error.message, place=place, hint=error.hint) from error
    _warn_of_silent_columns(data)
    if config.limit is not None and config.limit < len(data.rows):
        drawn = Random(config.seed).sample(range(len(data.rows)), config.limit)
        log.info("%d of %d rows are drawn (seed %d)", config.limit, len(data.rows), config.seed)
        data = data.part(sorted(drawn))
    counts = _label_counts(data, task)
    if counts:
        shown = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:12])
        more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
        log.info("%d training rows, %d labels: %s%s", len(data.rows), len(counts), shown, more)
    return data


def _validation_data(
    config: FinetuneConfig, task: Task[Any], train: Dataset
) -> tuple[Dataset, Dataset]:
    """Read the validation data, or cut them off the training rows; return them and the rest."""
    share = _share(config.validation)
    if share is None:
        return _other_data(config, task, train, config.validation), train
    if task.label_kind == "labels":
        labels = [_stratum(gold) for some in in_chunks(train.rows) for gold in task.gold(some)]
        texts = list(keys_of(map(_texts, train.rows)))
        kept, cut = stratified_split(labels, share, config.seed, groups=texts)
    else:
        kept, cut = split_rows(train.rows, task.label_kind, share, config.seed)
    log.info(
        "no validation data given: %d of %d rows are cut off for it (stratified, equal texts "
        "together, seed %d); override with --validation",
        len(cut), len(train.rows), config.seed,
    )  # fmt: skip
    rest, held_out = train.part(kept), train.part(cut)
    absent = [label for label, count in _label_counts(held_out, task).items() if not count]
    if absent or not 0.5 < len(cut) / (share * len(train.rows)) < 2:
        log.warning(
            "the validation part has %d rows%s: its scores say little; give one with --validation",
            len(cut), f" and none of label {_some(absent)}" if absent else "",
        )  # fmt: skip
    return held_out, rest


def _warn_of_silent_columns(data: Dataset) -> None:
    """A 0/1 column that is never 1 teaches nothing, and the model will not know its label."""
    columns = data.columns.columns.get("label")
    if isinstance(columns, list):
        seen = {name for row in data.rows for name in row["label"]}
        silent = [name for name in columns if name not in seen]
        if silent:
            log.warning("never 1, and so left out of the model: %s", _some(silent))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"'{name}'" for name in names[:5]) + more


def _other_data(config: FinetuneConfig, task: Task[Any], train: Dataset, source: str) -> Dataset:
    """Read validation or test data as the training data were read."""
    reading = _unlimited(config)
    kind = task.label_kind
    return load_rows(
        source,
        reading,
        config,
        _needed(task),
        offline=config.offline,
        like=train,
        label_kind=kind,
        strictness=config,
    )


def _unlimited(config: FinetuneConfig) -> FinetuneConfig:
    return config.model_copy(update={"limit": None})


def _check_against(train: Dataset, data: Dataset, name: str, task: Task[Any]) -> None:
    """Check the labels of other data, and say how many of their texts were trained on."""
    try:
        task.gold(data.rows)
    except RowError as error:
        raise data.located(error) from error
    found = find_overlap(map(_texts, train.rows), map(_texts, data.rows))
    if found.same or found.alike:
        apart = "but for case, white space or Unicode form"
        more = f", {found.alike} more {apart}" if found.same and found.alike else ""
        log.warning(
            "%d of %d %s rows have a text that is in the training data%s (the first: %s)",
            found.same or found.alike, len(data.rows), name,
            more if found.same else f" {apart}", data.place(found.first),
        )  # fmt: skip


def _needed(task: Task[Any]) -> dict[str, str]:
    """The roles of a task with its label needed, as training reads them."""
    return {role.replace("label?", "label"): what for role, what in task.columns.items()}


def _share(validation: str) -> float | None:
    """The share of rows to cut off, or None where `validation` names data.

    >>> _share("0.1"), _share("dev.csv")
    (0.1, None)
    """
    try:
        share = float(validation)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise InputError(
            f"expected a file, or a share between 0 and 1, got {validation}", place="--validation"
        )
    return share


def _stratum(gold: Mapping[str, Any]) -> Any:
    """What the split keeps in proportion: the label, the set of labels, the number."""
    first = next(iter(gold.values()), None)
    return first if isinstance(first, str | float | list) else None


def _texts(row: Mapping[str, Any]) -> Texts:
    """What a row is read from: its texts, words joined."""
    texts = (value for role, value in row.items() if role not in ("label", "document"))
    return tuple(" ".join(text) if isinstance(text, list) else str(text) for text in texts)


def _label_counts(data: Dataset, task: Task[Any]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    if task.label_kind != "labels":
        return {}
    if task.labels:
        for row in data.rows:
            label = row["label"]
            counts.update(label if isinstance(label, list) else [label])
    return {label: counts[label] for label in task.labels}
