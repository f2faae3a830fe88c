"""Every setting of hfkit, declared once: flags, recipe keys, Python arguments and hfkit.yaml.

A setting is a field of one of the sections below: its type, default, help text, flag spellings.
The sections are flat data, combined by inheritance into one class per command, so that a function
that reads files can ask for a `Reading` and be given the whole configuration. Layers, weakest
first: defaults < recipe < environment (``HFKIT_LR``) < flags or Python arguments.

YAML scalars are read as the text the user typed and become numbers, booleans or text by the type
of the setting: ``lr: 3e-5`` is a number, ``label_column: no`` stays the word "no".
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Schedule = Literal["linear", "cosine", "constant"]
InputFormat = Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "conll", "text"]
OutputFormat = Literal["auto", "jsonl", "csv", "tsv", "conll", "table"]
DataFormat = Literal[
    "auto", "conll", "tokens", "spans", "doccano", "prodigy", "label-studio", "spacy", "cluener",
    "squad", "jsonl", "json", "csv", "tsv", "parquet",
]  # fmt: skip
Engine = Literal["auto", "torch"]


def setting(
    default: Any,
    help: str,
    *,
    flags: tuple[str, ...] = (),
    changes_result: bool = False,
    saved: bool = True,
    training_only: bool = False,
    **limits: Any,
) -> Any:
    """Declare a setting. `flags` are spellings beside ``--name-of-field`` (short ones too);
    `changes_result`: two runs that differ in it are different runs; `saved`: kept in hfkit.yaml;
    `training_only`: no flag of the commands that use a model."""
    extra: dict[str, Any] = {
        "flags": list(flags),
        "changes_result": changes_result,
        "saved": saved,
        "training_only": training_only,
    }
    return Field(default, description=help, json_schema_extra=extra, **limits)


class Section(BaseModel):
    """The manners all sections share: unknown keys are errors, numbers are welcome as text."""

    model_config = ConfigDict(
        extra="forbid",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        frozen=True,
        defer_build=True,  # validators are built when first used: half of the start-up time
        protected_namespaces=(),
    )


class Reading(Section):
    """How a file is read."""

    input_format: InputFormat = setting(
        "auto", "Format of the data; auto goes by the file name", changes_result=True
    )
    encoding: str = setting("utf-8", "Text encoding of the data files", changes_result=True)
    no_header: bool = setting(
        False, "The first line of a CSV or TSV file is data", changes_result=True
    )
    columns: list[str] | None = setting(
        None, "Names of the columns, comma-separated; _ drops one", changes_result=True
    )
    delimiter: str | None = setting(
        None, "Field separator: one character, or tab", changes_result=True
    )
    max_splits: int | None = setting(
        None, "Split a line at most N times, from the left", changes_result=True, ge=1
    )
    quoting: Literal["standard", "none"] = setting(
        "standard", "none: quotation marks are ordinary characters", changes_result=True
    )
    extra_columns: Literal["error", "ignore"] = setting(
        "error", "What to do with fields beyond the header", changes_result=True
    )
    tag_column: str | None = setting(
        None,
        "CoNLL files: column of the tags, counted from 1 (-1: the last), or its name",
        changes_result=True,
    )
    limit: int | None = setting(
        None,
        "Use only N rows: the first ones; for training drawn by the seed",
        flags=("-n", "--max-train-samples"),
        ge=1,
        changes_result=True,
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class Columns(Section):
    """Which column is what."""

    text_column: str | None = setting(
        None, "Column with the text", flags=("--column",), changes_result=True
    )
    text_pair_column: str | None = setting(
        None, "Column with the second text of a pair", changes_result=True
    )
    label_column: str | None = setting(
        None, "Column with the label (several 0/1 columns: a,b,c)", changes_result=True
    )
    tokens_column: str | None = setting(
        None, "Column with the words of the text, as a list", changes_result=True
    )
    question_column: str | None = setting(None, "Column with the question", changes_result=True)
    context_column: str | None = setting(
        None, "Column with the text that holds the answer", changes_result=True
    )
    negative_column: str | None = setting(
        None, "Column with a text that does not belong to the first", changes_result=True
    )
    candidates_column: str | None = setting(
        None, "Column with the labels to choose from", changes_result=True
    )
    document_column: str | None = setting(
        None, "Column that says to which document a row belongs", changes_result=True
    )
    label_names: str | None = setting(
        None, "File with one label name a line, for labels given as numbers", changes_result=True
    )
    label_delimiter: str | None = setting(
        None, "Separator between the labels of one row (multi-label)", changes_result=True
    )


class Machine(Section):
    """Where and how loudly the command runs; nothing here changes what is computed."""

    device: Device = setting("auto", "Device to compute on", saved=False)
    offline: bool = setting(False, "Never open a network connection", saved=False)
    quiet: bool = setting(False, "Only errors on stderr", flags=("-q",), saved=False)
    verbose: bool = setting(False, "More on stderr", flags=("-v",), saved=False)
    debug: bool = setting(False, "Show the traceback of an error", saved=False)
    config: str | None = setting(
        None, "Recipe: a YAML file or the name of a packaged one", flags=("-c",), saved=False
    )
    set: list[str] = setting(
        [], "Any setting as key=value (repeatable)", flags=("-s",), saved=False
    )


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


class Training(Section):
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
    micro_batch: int | None = setting(
        None,
        "Most rows computed at once on a device; lower it when memory runs out",
        changes_result=True,
        ge=1,
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
    dropout: float | None = setting(
        None, "Dropout of the model; default: as the model says", changes_result=True, ge=0, lt=1
    )
    group_by_length: bool = setting(
        True, "Batch texts of similar length together", changes_result=True
    )
    seed: int = setting(
        42, "Seed of the split, the head, the order and dropout", changes_result=True, ge=0
    )
    precision: Precision = setting(
        "auto",
        "Arithmetic of the forward pass; weights stay fp32",
        flags=("--mixed-precision",),
        changes_result=True,
    )
    num_processes: int = setting(
        1, "Processes to train with", flags=("--nproc-per-node",), changes_result=True, ge=1
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


class FinetuneConfig(Machine, Reading, Columns, TaskSettings, Training):
    """Settings of `hfkit finetune`."""

    train: str | None = setting(
        None,
        "Training data: file, glob, - or Hub id",
        flags=("-d", "--train-file", "--dataset-name"),
    )
    model: str | None = setting(
        None, "Base model: a folder or Hub id", flags=("-m", "--model-name-or-path", "--base-model")
    )
    output: str | None = setting(None, "Folder of the run", flags=("-o", "--output-dir"))
    validation: str = setting(
        "0.1",
        "Validation data, or the share of rows cut off for it",
        flags=("--validation-file", "--valid-split"),
    )
    test: str | None = setting(None, "Test data, scored once at the end", flags=("--test-file",))
    overwrite: bool = setting(False, "Move what stands in the output folder aside", saved=False)
    dry_run: bool = setting(False, "Print the resolved plan and stop", saved=False)
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",), saved=False)


class EvaluateConfig(Machine, Reading, Columns, TaskSettings):
    """Settings of `hfkit evaluate`."""

    model: str | None = setting(
        None,
        "A run, a model, or a file of predictions",
        flags=("-m", "--model-name-or-path"),
        saved=False,
    )
    data: str | None = setting(None, "Data with the right answers", flags=("-d",), saved=False)
    output: str | None = setting(None, "Also write the scores to this JSON file", flags=("-o",))
    fail_under: list[str] = setting([], "Exit 1 if a score is worse: accuracy=0.9 (repeatable)")
    metric: list[str] = setting(
        [], "More metrics: a name, a path to a script, or org/name (repeatable)"
    )
    batch_size: int = setting(32, "Rows computed at once", flags=("-b",), ge=1)
    engine: Engine = setting("auto", "What computes")
    overwrite: bool = setting(False, "Replace the output file")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))


class Knowledge(Section):
    """Documents that questions are answered from, in place of a context in each row."""

    documents: str | None = setting(
        None, "Question answering: a folder of .txt and .md files, or a file, to find answers in"
    )
    retriever: str = setting(
        "bm25", "What finds passages of the documents: bm25, or a similarity model"
    )
    passages: int = setting(5, "Passages read for each question", ge=1, le=1000)


class PredictConfig(Machine, Reading, Columns, TaskSettings, Knowledge):
    """Settings of `hfkit predict`."""

    model: str | None = setting(
        None, "A run or a model with a trained head", flags=("-m", "--model-name-or-path")
    )
    inputs: list[str] = setting(
        [], "A text, a file, - for stdin, or column=value pairs", flags=("-d", "--data")
    )
    output: str | None = setting(None, "File to write; default: stdout", flags=("-o",))
    text: bool = setting(False, "Take the input as text even if it looks like a file name")
    format: OutputFormat = setting("auto", "Format of the output")
    only_prediction: bool = setting(False, "Leave out the fields of the input")
    scores: bool = setting(False, "Give the scores of all classes")
    prefix: str = setting("", "Put this in front of the names of the fields hfkit adds")
    batch_size: int = setting(32, "Rows computed at once", flags=("-b",), ge=1)
    engine: Engine = setting("auto", "What computes")
    overwrite: bool = setting(False, "Replace the output file")


class ConvertConfig(Machine, Reading, Columns):
    """Settings of `hfkit convert`."""

    input: str | None = setting(None, "Data to convert: file, glob, - or Hub id", flags=("-d",))
    output: str | None = setting(None, "File to write; default: stdout", flags=("-o",))
    to: DataFormat = setting(
        "auto", "Format of the output; auto goes by the name of the file", flags=("--format",)
    )
    task: str | None = setting(
        None, "Task the rows are for; guessed from the columns when absent", flags=("-t",)
    )
    scheme: Literal["keep", "io", "iob1", "iob2", "bioes", "bmes", "bilou"] = setting(
        "keep", "How tags mark entities; keep: as they are (iob2 for entities of a text)"
    )
    overwrite: bool = setting(False, "Replace the output file")


C = TypeVar("C", bound=Section)
