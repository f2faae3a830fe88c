"""The settings of each verb: the sections it is made of, and its own."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import Section, setting
from hfkit.config.comparing import Baselines, Gate, Seeds
from hfkit.config.machine import Computing, Exportable, Machine, Processes, Trust
from hfkit.config.reading import Columns, Reading, Strictness
from hfkit.config.training import FromScratch, TaskSettings, Training

OutputFormat = Literal["auto", "jsonl", "csv", "tsv", "conll", "table"]
Int8Method = Literal["dynamic", "static"]
DataFormat = Literal[
    "auto", "conll", "tokens", "spans", "doccano", "prodigy", "label-studio", "spacy", "cluener",
    "squad", "jsonl", "json", "csv", "tsv", "parquet",
]  # fmt: skip


class FinetuneConfig(
    Machine, Trust, Reading, Columns, Strictness, TaskSettings, FromScratch, Training, Seeds,
    Baselines,
):  # fmt: skip
    """Settings of `hfkit finetune`."""

    train: str | None = setting(
        None,
        "Training data: file, glob, - or Hub id",
        flags=("-d", "--train-file", "--dataset-name"),
    )
    model: str | None = setting(
        None, "Base model: a folder or Hub id", flags=("-m", "--model-name-or-path", "--base-model")
    )
    allow_missing: bool = setting(
        False, "Train a model that lacks weights of its encoder: those start at random"
    )
    output: str | None = setting(None, "Folder of the run", flags=("-o", "--output-dir"))
    validation: str = setting(
        "0.1",
        "Validation data, or the share of rows cut off for it",
        flags=("--validation-file", "--valid-split"),
    )
    test: str | None = setting(None, "Test data, scored once at the end", flags=("--test-file",))
    export: Exportable | None = setting(
        None, "Also export the finished run, as `hfkit export` does", saved=False
    )
    private: bool = setting(
        True, "Nobody else on this machine may read the run's folder", saved=False
    )
    overwrite: bool = setting(False, "Move what stands in the output folder aside", saved=False)
    dry_run: bool = setting(False, "Print the resolved plan and stop", saved=False)
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",), saved=False)


class EvaluateConfig(
    Machine, Trust, Reading, Columns, Strictness, TaskSettings, Computing, Processes, Gate,
    Baselines,
):  # fmt: skip
    """Settings of `hfkit evaluate`."""

    model: str | None = setting(
        None,
        "A run, a model, or a file of predictions",
        flags=("-m", "--model-name-or-path"),
        saved=False,
    )
    data: str | None = setting(None, "Data with the right answers", flags=("-d",), saved=False)
    output: str | None = setting(None, "Also write the scores to this JSON file", flags=("-o",))
    training_data: str | None = setting(
        None, "Rows that --baselines learn from; default: the run's own training file"
    )
    metric: list[str] = setting(
        [], "More metrics: a name, a path to a script, or org/name (repeatable)"
    )
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


class PredictConfig(
    Machine, Trust, Reading, Columns, TaskSettings, Computing, Processes, Knowledge
):
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
    resume: bool = setting(False, "Go on with the output file that a kill left unfinished")
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


class ExportConfig(Machine, Trust, Reading, Columns, TaskSettings):
    """Settings of `hfkit export`."""

    model: str | None = setting(
        None, "The folder of a run or of a model", flags=("-m", "--model-name-or-path")
    )
    data: str | None = setting(
        None, "Rows to compare on; default: the run's validation file, or made-up ones",
        flags=("-d",),
    )  # fmt: skip
    engine: Exportable = setting("onnx", "What is to answer: onnxruntime or OpenVINO")
    int8: bool = setting(
        False, "Also write an int8 file, kept where the score of the rows hardly drops"
    )
    int8_method: Int8Method = setting(
        "dynamic", "Scales of int8: found anew for each text, or fixed, from rows of training data"
    )
    tolerance: float = setting(0.5, "Points that the score may drop by with int8", ge=0)
    overwrite: bool = setting(False, "Replace what was exported before")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))


class VerifyConfig(Machine):
    """Settings of `hfkit verify`."""

    folder: str | None = setting(
        None, "The folder of a run, an exported model or a checkpoint", flags=("-d",)
    )
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))


class BenchConfig(Machine, Reading, Columns, TaskSettings, Computing):
    """Settings of `hfkit bench`."""

    model: str | None = setting(
        None, "A run, a model with a trained head, or any encoder",
        flags=("-m", "--model-name-or-path"),
    )  # fmt: skip
    data: str | None = setting(
        None, "File with rows to answer; default: made-up texts", flags=("-d",)
    )
    rows: int = setting(256, "Rows to answer: the first of the file, or made up", ge=1)
    lengths: Literal["short", "mixed", "long"] = setting(
        "mixed", "Lengths of made-up texts: about 20 tokens, 220, or one in four of the latter"
    )
    budgets: str = setting(
        "1024,4096,16384", "Values of --batch-tokens to compare, unless one is given"
    )
    rounds: int = setting(5, "Times that all rows are answered", ge=1)
    cold_starts: int = setting(3, "Times that one text is answered by a new process", ge=0)
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))
