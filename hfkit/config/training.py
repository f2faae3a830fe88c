"""The task, and how its weights are fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hfkit.config.base import Section, setting
from hfkit.config.machine import Hardware

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Optimizer = Literal["adamw", "adamw8bit", "adafactor"]
Schedule = Literal["linear", "cosine", "constant"]
ModelSize = Literal["tiny", "mini", "small", "base"]


class TaskSettings(Section):
    """The task, its own options, and the length of a window."""

    task: str | None = setting(
        None, "Task; guessed from the columns when absent", flags=("-t",), changes_result=True
    )
    max_length: int | None = setting(
        None,
        "Longest window in tokens; default: the model's own limit, at most 512",
        flags=("--max-seq-length",),
        changes_result=True,
        ge=4,
    )
    options: dict[str, Any] = setting(
        {}, "Options of the task, as `hfkit tasks` lists them", changes_result=True
    )


class FromScratch(Section):
    """A model that starts with random weights."""

    config_size: ModelSize | None = setting(
        None,
        "Start with random weights: a BERT of this size, for generation a GPT-2",
        changes_result=True,
    )
    config_file: str | None = setting(
        None, "Start with the model that this config.json describes, and random weights",
        changes_result=True,
    )  # fmt: skip
    tokenizer: str | None = setting(
        None,
        "Folder of the tokenizer of such a model, as `hfkit tokenizer train` makes it",
        changes_result=True,
    )


class Training(Hardware):
    """How the weights are fitted."""

    epochs: float = setting(
        3,
        "Passes over the training rows",
        flags=("-e", "--num-train-epochs"),
        changes_result=True,
        gt=0,
        le=1e6,
    )
    max_steps: int | None = setting(None, "Stop after N optimizer steps", changes_result=True, ge=1)
    max_time: str | None = setting(
        None, "Stop after this time (90s, 45m, 2h), save, exit 75; the same command goes on"
    )
    batch_size: int = setting(
        16,
        "Rows (windows, of long texts) per optimizer step, over all devices",
        flags=("-b", "--per-device-train-batch-size"),
        changes_result=True,
        ge=1,
    )
    micro_batch: Annotated[int, Field(ge=1)] | Literal["auto"] | None = setting(
        None,
        "Most rows computed at once on a device; auto: as many as fit into its memory",
    )
    gradient_checkpointing: bool = setting(
        False, "Compute activations twice instead of keeping them: slower, far less memory"
    )
    optim: Optimizer = setting(
        "adamw",
        "Optimizer; adamw8bit keeps moments of a byte, adafactor hardly any, with its own lr",
        changes_result=True,
    )
    batch_tokens: int | None = setting(
        None,
        "Most tokens computed at once on a device, whatever the number of rows",
        ge=1,
    )
    unpad: bool = setting(
        True, "Compute real tokens only, where the model allows it", changes_result=True
    )
    lr: float | None = setting(
        None,
        "Peak learning rate; default by model size and task",
        flags=("--learning-rate",),
        changes_result=True,
        gt=0,
    )
    schedule: Schedule = setting(
        "linear",
        "Course of the learning rate after warm-up",
        flags=("--lr-scheduler-type",),
        changes_result=True,
    )
    warmup: float = setting(
        0.1,
        "Warm-up: a share of all steps below 1, a number of steps from 1",
        changes_result=True,
        ge=0,
    )
    weight_decay: float = setting(
        0.01, "AdamW weight decay; never on biases and norms", changes_result=True, ge=0
    )
    max_grad_norm: float = setting(
        1.0, "Clip gradients to this norm; 0 turns clipping off", changes_result=True, ge=0
    )
    lora: str | None = setting(
        None,
        "Train adapters beside the layers instead of these, as r=16, or with more said: "
        "r=16,alpha=32,dropout=0.05,targets=query+value (targets=all: all linear layers)",
        changes_result=True,
    )
    merge: bool = setting(
        False, "With --lora: add the adapters to the weights, and save a plain model",
        changes_result=True,
    )  # fmt: skip
    freeze_embeddings: bool = setting(
        False, "Keep the base model's embeddings as they are", changes_result=True
    )
    freeze_layers: int = setting(
        0, "Keep the first N layers of the encoder as they are", changes_result=True, ge=0
    )
    dropout: float | None = setting(
        None, "Dropout of the model; default: as the model says", changes_result=True, ge=0, lt=1
    )
    group_by_length: bool = setting(
        True, "Batch texts of similar length together", changes_result=True
    )
    seed: int = setting(
        42, "Seed of the split, the head, the order and dropout",
        changes_result=True, ge=0, lt=2**63,
    )  # fmt: skip
    precision: Precision = setting(
        "auto",
        "Arithmetic of the forward pass; weights stay fp32",
        flags=("--mixed-precision",),
        changes_result=True,
    )
    num_processes: int = setting(
        1, "Processes to train with", flags=("--nproc-per-node",), changes_result=True, ge=1
    )
    fsdp: bool = setting(
        False,
        "Share weights, gradients and optimizer state out to the processes: slower, less memory",
        changes_result=True,
    )
    eval_every: int | None = setting(
        None, "Evaluate every N steps; default: after each epoch", changes_result=True, ge=1
    )
    checkpoint_every: int | None = setting(None, "Also save a checkpoint every N steps", ge=1)
    patience: int | None = setting(
        None, "Stop after N evaluations without a better score", changes_result=True, ge=1
    )
    keep_checkpoints: bool = setting(False, "Keep the checkpoints when the run is finished")
    report_to: str | None = setting(
        None, "Also send progress to tensorboard, wandb, ... (accelerate's trackers)"
    )
