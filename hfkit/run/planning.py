"""What `hfkit finetune --dry-run` tells: the plan of a prepared run, and the memory it takes.

The memory is found as `hfkit estimate` finds it, for batches as long as the longest row: by
computing with shapes, for which torch is imported and no weights are read.
"""

from __future__ import annotations

import logging
from math import ceil
from typing import TYPE_CHECKING, Any

from hfkit.data.rows import in_chunks
from hfkit.errors import HfkitError
from hfkit.model import lora
from hfkit.processor import has_accelerator
from hfkit.run.parts import label_counts
from hfkit.text import from_file

if TYPE_CHECKING:
    from hfkit.model.footprint import Skeleton
    from hfkit.run.preparation import Prepared
    from hfkit.run.sizing import Asked

log = logging.getLogger(__name__)

MIB = 2**20


def plan_of(prepared: Prepared) -> dict[str, Any]:
    """What the run would do; of its settings those that are set and do not stand above."""
    config, (windows, longest) = prepared.config, _windows(prepared)
    examples = len(prepared.train.rows) if prepared.task.grouped else windows
    steps = ceil(-(-examples // config.batch_size) * config.epochs)
    steps = min(steps, config.max_steps or steps)
    parts = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    settings = config.model_dump(mode="json", exclude={"set", "config", "dry_run"})
    plan = {
        "task": prepared.task_name,
        "model": config.model,
        "parameters": prepared.facts.parameters,
        "rows": {name: len(data.rows) for name, data in parts.items() if data},
        "rejected": sum(bad.count for bad in prepared.rejected()),
        "columns": prepared.train.columns.to_dict(),
        "labels": label_counts(prepared.train, prepared.task),
        "max_length": config.max_length,
        "longest_row": longest,
        "epochs": settings["epochs"],
        "batch_size": config.batch_size,
        "windows": windows,
        "steps": steps,
        "lr": config.lr,
        "best_by": prepared.task.best,
        "memory_mib_about": _about(prepared, longest),
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return {**plan, "settings": {name: given[name] for name in given if name not in plan}}


def _windows(prepared: Prepared) -> tuple[int, int]:
    """Rows to compute in one pass, as long texts have several windows, and the tokens of the
    longest one. Encodes all rows."""
    most = prepared.config.max_length or 0
    if not (prepared.base.folder / "tokenizer.json").exists():  # it exists in Python only
        return len(prepared.train.rows), most
    tokenizer = from_file(prepared.base.folder, most)
    lengths = [
        len(row["input_ids"])
        for some in in_chunks(prepared.train.rows)
        for row in prepared.task.features(some, tokenizer)
    ]
    return len(lengths), max(lengths, default=most)


def _about(prepared: Prepared, longest: int) -> int | None:
    """MiB that a process takes; None, which is said, for a model that shapes alone do not make."""
    if prepared.base.code:
        log.info("the memory is not estimated: it would run the model's own code")
        return None
    try:
        return round(memory_of(prepared, longest) / MIB)
    except HfkitError:
        raise
    except Exception as error:  # a plan is worth having without it, whatever a family raises
        log.info("the memory is not estimated: %s", error)
        return None


def memory_of(prepared: Prepared, longest: int) -> int:
    """About the bytes that a process of the training takes at its peak, for batches whose rows all
    have `longest` tokens.

    Of several processes under FSDP each has its share of what learns, and the whole weights beside.
    """
    from hfkit.model.adapters import freeze
    from hfkit.model.footprint import adapt, skeleton
    from hfkit.run.sizing import answering, training

    config, task = prepared.config, prepared.task
    on_gpu = config.device not in ("auto", "cpu") or (config.device == "auto" and has_accelerator())
    made: Skeleton = skeleton(prepared.base.folder, task.auto_class, task.head(), fused=on_gpu)
    if config.lora:
        adapt(made, lora.parse(config.lora))
    elif config.freeze_embeddings or config.freeze_layers:
        freeze(made.model, [], embeddings=config.freeze_embeddings, layers=config.freeze_layers)
    asked = _asked(prepared, longest, on_gpu=on_gpu)
    found = training(made, task, asked, answering(made, task, asked))
    if not config.fsdp:
        return found.peak_bytes
    kept = found.weights_bytes + found.gradients_bytes + found.optimizer_bytes
    shared = kept - kept // config.num_processes
    return found.peak_bytes - shared + found.weights_bytes


def _asked(prepared: Prepared, longest: int, *, on_gpu: bool) -> Asked:
    """The largest micro-batch of the run, and how it is computed."""
    from hfkit.run.sizing import Asked

    config, task = prepared.config, prepared.task
    rows = -(-config.batch_size // config.num_processes)
    if task.grouped:  # the texts of an example are rows of the model
        rows *= sum(role != "label" for role in prepared.train.columns.columns)
    if isinstance(config.micro_batch, int):
        rows = min(rows, config.micro_batch)
    if config.batch_tokens and longest:
        rows = max(1, min(rows, config.batch_tokens // longest))
    return Asked(
        rows=rows,
        length=longest,
        target_length=getattr(task.options, "max_target_length", 1),
        half=config.precision in ("bf16", "fp16") or (on_gpu and config.precision == "auto"),
        optim=config.optim,
        recomputed=config.gradient_checkpointing,
        unpad=config.unpad and not config.fsdp,
        threads=config.threads or 1,
    )
