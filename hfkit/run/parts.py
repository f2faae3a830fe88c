"""The rows of a fine-tuning in their three parts: training, validation and test data."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from hfkit.config import FinetuneConfig
from hfkit.data.checks.duplicates import KnownTexts, find_overlap
from hfkit.data.checks.texts import joined_texts
from hfkit.data.dataset import Dataset, Peeked, load_rows
from hfkit.data.rows import in_chunks, keys_of
from hfkit.data.source import is_file
from hfkit.data.split import split_rows, split_texts, stratified_split
from hfkit.errors import InputError, RowError

if TYPE_CHECKING:
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)


def reading_of(config: FinetuneConfig) -> FinetuneConfig:
    """How the training data are read: whole, but for a data set of the Hub, which may have no end;
    of the rows that were read --limit is drawn."""
    source = config.train or ""
    return _unlimited(config) if source == "-" or is_file(source) else config


def split_seed(config: FinetuneConfig) -> int:
    """The seed of what is drawn of the rows: its own, or that of the run."""
    return config.seed if config.split_seed is None else config.split_seed


def read_training(config: FinetuneConfig, task: Task[Any], peeked: Peeked | None) -> Dataset:
    """Read the training rows and let the task fix its labels on all of them; then draw --limit.

    Drawn, not cut off: many files are sorted by label, and their first rows hold one class.
    """
    data = load_rows(
        config.train or "",
        reading_of(config),
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
    chosen = _drawn(config, len(data.rows))
    if chosen is not None:
        seed = split_seed(config)
        log.info("%d of %d rows are drawn (seed %d)", len(chosen), len(data.rows), seed)
        data = data.part(chosen)
    counts = label_counts(data, task)
    if counts:
        shown = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:12])
        more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
        log.info("%d training rows, %d labels: %s%s", len(data.rows), len(counts), shown, more)
    return data


def read_validation(
    config: FinetuneConfig, task: Task[Any], train: Dataset
) -> tuple[Dataset, Dataset]:
    """Read the validation data, or cut them off the training rows; return them and the rest."""
    share = _share(config.validation)
    if share is None:
        return read_other(config, task, train, config.validation), train
    seed = split_seed(config)
    kept, cut = _parted(task, train, share, seed)
    how = "stratified, equal texts together"
    if task.label_kind == "none" and task.joined:
        how = "whole documents, or the end of the text"
    log.info(
        "no validation data given: %d of %d rows are cut off for it (%s, seed %d); override with "
        "--validation",
        len(cut), len(train.rows), how, seed,
    )  # fmt: skip
    rest, held_out = train.part(kept), train.part(cut)
    absent = [label for label, count in label_counts(held_out, task).items() if not count]
    if absent or not 0.5 < len(cut) / (share * len(train.rows)) < 2:
        log.warning(
            "the validation part has %d rows%s: its scores say little; give one with --validation",
            len(cut), f" and none of label {_some(absent)}" if absent else "",
        )  # fmt: skip
    return held_out, rest


def learnt_of(config: FinetuneConfig, task: Task[Any], data: Dataset) -> Dataset:
    """The rows that a training with these settings would learn from, were `data` its file.

    Raises `InputError` where they are too few to cut a part off, and `RowError` for a label that
    the task does not know.
    """
    chosen = _drawn(config, len(data.rows))
    data = data if chosen is None else data.part(chosen)
    share = _share(config.validation)
    if share is None:
        return data
    return data.part(_parted(task, data, share, split_seed(config))[0])


def _drawn(config: FinetuneConfig, count: int) -> list[int] | None:
    """Which of the rows --limit draws; None where it leaves them all."""
    if config.limit is None or config.limit >= count:
        return None
    return sorted(Random(split_seed(config)).sample(range(count), config.limit))


def _parted(task: Task[Any], data: Dataset, share: float, seed: int) -> tuple[list[int], list[int]]:
    """The rows that stay in the training, and those cut off for validation."""
    if task.label_kind == "none" and task.joined:
        return split_texts(data.rows, share, seed)
    if task.label_kind == "labels":
        labels = [_stratum(gold) for some in in_chunks(data.rows) for gold in task.gold(some)]
        texts = list(keys_of(map(joined_texts, data.rows)))
        return stratified_split(labels, share, seed, groups=texts)
    return split_rows(data.rows, task.label_kind, share, seed)


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


def read_other(config: FinetuneConfig, task: Task[Any], train: Dataset, source: str) -> Dataset:
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


def known_texts(train: Dataset, task: Task[Any]) -> KnownTexts:
    """The texts of the training rows; says how many stand there with several labels."""
    labelled = task.label_kind not in ("texts", "none")
    labels = (row.get("label") for row in train.rows) if labelled else ()
    known = KnownTexts.of(map(joined_texts, train.rows), labels)
    conflicts = known.conflicts()
    if conflicts:
        log.warning(
            "%d of %d training rows have a text that stands there with another label too (the "
            "first: %s); `hfkit check` says more",
            len(conflicts), len(train.rows), train.place(conflicts[0]),
        )  # fmt: skip
    return known


def check_against(known: KnownTexts, data: Dataset, name: str, task: Task[Any]) -> None:
    """Check the labels of other data, and say how many of their texts were trained on: `known`."""
    try:
        task.gold(data.rows)
    except RowError as error:
        raise data.located(error) from error
    found = find_overlap(known, KnownTexts.of(map(joined_texts, data.rows)))
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


def label_counts(data: Dataset, task: Task[Any]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    if task.label_kind != "labels":
        return {}
    if task.labels:
        for row in data.rows:
            label = row["label"]
            counts.update(label if isinstance(label, list) else [label])
    return {label: counts[label] for label in task.labels}
