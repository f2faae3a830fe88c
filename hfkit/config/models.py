"""The settings of the verbs about models: what they take, and where they go."""

from __future__ import annotations

from hfkit.config.base import Section, setting
from hfkit.config.machine import Machine
from hfkit.config.training import ModelSize, Optimizer, Precision


class Shape(Section):
    """The model, as far as its size goes; no weights are needed."""

    model: str | None = setting(
        None,
        "A run, a folder with a config.json, that file itself, or a Hub id",
        flags=("-m", "--model-name-or-path"),
    )
    config_size: ModelSize | None = setting(
        None, "In place of a model: a BERT of this size, for generation a GPT-2"
    )
    vocab_size: int = setting(30522, "Words of the vocabulary of such a model", ge=1)


class EstimateConfig(Machine, Shape):
    """Settings of `hfkit estimate`."""

    task: str | None = setting(
        None, "Task; default: that of the run, else by the model's kind", flags=("-t",)
    )
    batch_size: str = setting(
        "16", "Rows of a training step; several as 8,16,32",
        flags=("-b", "--per-device-train-batch-size"),
    )  # fmt: skip
    max_length: str | None = setting(
        None, "Tokens of every row; several as 64,128; default: the model's limit, at most 512",
        flags=("--max-seq-length",),
    )  # fmt: skip
    max_target_length: int = setting(128, "Tokens of a text that is written", ge=1)
    precision: Precision = setting(
        "auto", "Arithmetic of the training, as of finetune", flags=("--mixed-precision",)
    )
    micro_batch: int | None = setting(None, "Most rows computed at once on a device", ge=1)
    optim: Optimizer | None = setting(None, "Optimizer, as of finetune [default: adamw]")
    lora: str | None = setting(None, "Adapters, as of finetune: r=16")
    gradient_checkpointing: bool = setting(
        False, "Activations are computed twice instead of being kept"
    )
    freeze_embeddings: bool = setting(False, "The embeddings do not learn")
    freeze_layers: int = setting(0, "The first N layers do not learn", ge=0)
    unpad: bool = setting(True, "Real tokens only, where the model allows it")
    measure: bool = setting(
        False, "Also take two steps here, with random weights, and tell how long one takes"
    )
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))


class PushConfig(Machine):
    """Settings of `hfkit push`."""

    run: str | None = setting(None, "The folder of a finished run")
    repo: str | None = setting(None, "Where on the Hub: org/name", flags=("--repo-id",))
    public: bool = setting(False, "Everybody may read it; default: private")
    dry_run: bool = setting(False, "List the files, show the card, and stop")
    message: str = setting("Upload by hfkit", "Message of the commit", flags=("--commit-message",))
    revision: str | None = setting(None, "Branch to write to; default: the main one")
    language: str | None = setting(None, "Languages of the model, for its card: en, or en,de")
    license: str | None = setting(None, "Licence of the model, for its card: apache-2.0")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))
