"""The verbs as Python functions; the command line is generated from the same settings.

    hfkit.finetune("train.csv", model="bert-base-uncased", epochs=2, class_weights="balanced")
    hfkit.finetune(config="recipe.yaml", lr=3e-5)

A verb takes its settings by name, the first ones also by position, lays them over the recipe and
the environment as the command line does, and calls the function of `hfkit.commands` that does the
work. Nothing heavy is imported before a verb is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hfkit.config import (
    AuditConfig,
    BenchConfig,
    CalibrateConfig,
    CheckConfig,
    CompareConfig,
    ConvertConfig,
    EmbedConfig,
    EstimateConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
    FinetuneConfig,
    PredictConfig,
    PushConfig,
    ReportConfig,
    ScoreConfig,
    SearchConfig,
    ServeConfig,
    TokenizerConfig,
    VerifyConfig,
)
from hfkit.verbs import verb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.commands.audit import Audited
    from hfkit.commands.bench import Benched
    from hfkit.commands.calibrate import Calibrated
    from hfkit.commands.check import Checked
    from hfkit.commands.compare import Compared
    from hfkit.commands.convert import Converted
    from hfkit.commands.estimate import Estimated
    from hfkit.commands.evaluate import Evaluated
    from hfkit.commands.explain import Explained
    from hfkit.commands.finetune import DryRun
    from hfkit.commands.push import Pushed
    from hfkit.commands.report import Reported
    from hfkit.commands.train_tokenizer import TrainedTokenizer
    from hfkit.commands.verify import Verified
    from hfkit.run.exported import Exported
    from hfkit.run.finishing import Finetuned
    from hfkit.run.seeds import SeedRuns
    from hfkit.tasks.options import (
        ClassificationOptions,
        GenerationOptions,
        MlmOptions,
        NerOptions,
        NspOptions,
        QaOptions,
        SimilarityOptions,
        Text2TextOptions,
        ZeroShotOptions,
    )

if TYPE_CHECKING:

    class Options(
        ClassificationOptions,
        NerOptions,
        QaOptions,
        SimilarityOptions,
        MlmOptions,
        NspOptions,
        Text2TextOptions,
        GenerationOptions,
        ZeroShotOptions,
    ):
        """Options of the built-in tasks."""

    # mypy's plug-in for pydantic gives each class a `model_construct` of its own, and finds that
    # two bases that share one disagree.

    class FinetuneArguments(FinetuneConfig, Options):  # type: ignore[misc]
        """Arguments of `finetune`."""

    class EvaluateArguments(EvaluateConfig, Options):  # type: ignore[misc]
        """Arguments of `evaluate`."""

    class CompareArguments(CompareConfig, Options):  # type: ignore[misc]
        """Arguments of `compare`."""

    class PredictArguments(PredictConfig, Options):  # type: ignore[misc]
        """Arguments of `predict`."""

    class BenchArguments(BenchConfig, Options):  # type: ignore[misc]
        """Arguments of `bench`."""

    class CheckArguments(CheckConfig, Options):  # type: ignore[misc]
        """Arguments of `check`."""

    class CalibrateArguments(CalibrateConfig, Options):  # type: ignore[misc]
        """Arguments of `calibrate`."""

    class ExplainArguments(ExplainConfig, Options):  # type: ignore[misc]
        """Arguments of `explain`."""

    class ExportArguments(ExportConfig, Options):  # type: ignore[misc]
        """Arguments of `export`."""

    class AuditArguments(AuditConfig, Options):  # type: ignore[misc]
        """Arguments of `audit`."""

    class ReportArguments(ReportConfig, Options):  # type: ignore[misc]
        """Arguments of `report`."""

    class ServeArguments(ServeConfig, Options):  # type: ignore[misc]
        """Arguments of `serve`."""

else:  # these are for editors; to make such classes would take a tenth of `hfkit --help`
    FinetuneArguments, EvaluateArguments = FinetuneConfig, EvaluateConfig
    PredictArguments, BenchArguments = PredictConfig, BenchConfig
    ExportArguments, CompareArguments = ExportConfig, CompareConfig
    ReportArguments, AuditArguments = ReportConfig, AuditConfig
    CheckArguments, CalibrateArguments = CheckConfig, CalibrateConfig
    ExplainArguments, ServeArguments = ExplainConfig, ServeConfig


@verb(FinetuneConfig, FinetuneArguments, "train")
def finetune(config: FinetuneConfig) -> Finetuned | SeedRuns | DryRun:
    """Fine-tune a model on labelled data and score it; returns the run's folder and its scores.

    Task, columns and sizes are guessed from the data where they are not given. Options of the task
    (`hfkit tasks` lists them) are arguments like any other. Calling it again with the same
    arguments continues an interrupted run and leaves a finished one as it is. With `dry_run`
    nothing is trained, and the plan is returned; with `seeds` a run of each seed is, in folders of
    `output`.
    """
    from hfkit.commands import finetune as command

    return command.finetune(config)


@verb(EvaluateConfig, EvaluateArguments, "model", "data")
def evaluate(config: EvaluateConfig) -> Evaluated:
    """Score a run, a model or a file of predictions on labelled data, with intervals."""
    from hfkit.commands import evaluate as command

    return command.evaluate(config)


@verb(CompareConfig, CompareArguments, "models")
def compare(config: CompareConfig) -> Compared:
    """Compare runs, models or files of predictions on labelled data; the last name is the data's.

    Scores with intervals, differences of each pair with paired intervals and tests, and the
    examples that one has right and the other wrong.
    """
    from hfkit.commands import compare as command

    return command.compare(config)


@verb(PredictConfig, PredictArguments, "model", "inputs")
def predict(config: PredictConfig) -> Iterator[dict[str, Any]]:
    """Answer texts, or the rows of files, lazily and in the order of the input.

    Yields each record with its answer under ``prediction``; a row that could not be answered has
    ``row`` and ``error`` instead.
    """
    from hfkit.commands import predict as command

    return command.predictions(config)


@verb(EmbedConfig, EmbedConfig, "model", "inputs")
def embed(config: EmbedConfig) -> NDArray[Any]:
    """Return the vectors of texts, or of the rows of a file, ``[texts, D]`` in float32.

    Long texts are read in windows whose vectors are averaged. Raises `InputError` for the first
    row without a text.
    """
    from hfkit.commands import embed as command

    return command.vectors(config)


@verb(SearchConfig, SearchConfig, "model", "corpus", "queries")
def search(config: SearchConfig) -> Iterator[dict[str, Any]]:
    """Find the texts of a corpus that are most like each query; exact.

    Yields each query's record with its ``hits``, best first: ``rank``, ``row`` (1-based), ``id``,
    ``score`` and ``text``.
    """
    from hfkit.commands import search as command

    return command.hits(config)


@verb(CheckConfig, CheckArguments, "train")
def check(config: CheckConfig) -> Checked:
    """Say what is wrong with data before training on them: rows, labels, duplicates, leaks,
    entities, answers, lengths, characters, personal data.

    Each finding has a code, a severity, a count and places; texts of the data are in none. With
    `redact` a copy is written in which personal data are masked.
    """
    from hfkit.commands import check as command

    return command.check(config)


@verb(ConvertConfig, ConvertConfig, "input")
def convert(config: ConvertConfig) -> Converted:
    """Write labelled data in another format; tells what that format has no place for.

    CoNLL, the files of annotation tools, SQuAD, CSV, JSON and Parquet, both ways. Raises
    `InputError` with its place for the first bad row.
    """
    from hfkit.commands import convert as command

    return command.convert(config)


@verb(BenchConfig, BenchArguments, "model", "data")
def bench(config: BenchConfig) -> Benched:
    """Measure how fast a model answers here, with each engine that it can be opened with.

    Rows and tokens a second by size of the batches, time for one text, cold start and memory, each
    with its interval.
    """
    from hfkit.commands import bench as command

    return command.bench(config)


@verb(ExportConfig, ExportArguments, "model", "data")
def export(config: ExportConfig) -> Exported:
    """Write a model for onnxruntime or OpenVINO into its folder, and how far it is from torch.

    `predict`, `evaluate` and `embed` use it from then on, without torch. Raises `InputError` for a
    model that cannot be exported and, without `overwrite`, where one was exported before.
    """
    from hfkit.commands import export as command

    return command.export(config)


@verb(CalibrateConfig, CalibrateArguments, "model", "data")
def calibrate(config: CalibrateConfig) -> Calibrated:
    """Fit temperature and thresholds of a run on labelled rows that it was not trained on.

    They go into its decisions.json, which `predict` uses with every engine. Raises `InputError`
    for too few rows and for a task without confidences.
    """
    from hfkit.commands import calibrate as command

    return command.calibrate(config)


@verb(ExplainConfig, ExplainArguments, "model", "text")
def explain(config: ExplainConfig) -> Explained:
    """Say which words the answer to a text came from, and write a page where ``output`` is set.

    By integrated gradients (extra ``explain``) or occlusion, for classification, entities, question
    answering and similarity.
    """
    from hfkit.commands import explain as command

    return command.explain(config)


@verb(VerifyConfig, VerifyConfig, "folder")
def verify(config: VerifyConfig) -> Verified:
    """Compare a run, an exported model or a checkpoint with the hashes it was sealed with.

    Raises `InputError` where nothing in the folder is sealed.
    """
    from hfkit.commands import verify as command

    return command.verify(config)


@verb(TokenizerConfig, TokenizerConfig, "files")
def train_tokenizer(config: TokenizerConfig) -> TrainedTokenizer:
    """Train a tokenizer on texts, which may be larger than memory; returns its folder.

    WordPiece, byte-level BPE or Unigram, with the special tokens of BERT, RoBERTa, GPT-2 or T5, in
    a folder that AutoTokenizer loads.
    """
    from hfkit.commands import train_tokenizer as command

    return command.train_tokenizer(config)


@verb(ScoreConfig, ScoreConfig, "model", "inputs")
def score(config: ScoreConfig) -> Iterator[dict[str, Any]]:
    """Say how probable texts are under a language model, lazily and in the order of the input.

    Yields each record with ``log_prob``, ``tokens``, ``mean_log_prob`` and ``perplexity`` under
    ``prediction``; a row that could not be scored has ``row`` and ``error`` instead.
    """
    from hfkit.commands import score as command

    return command.scores(config)


@verb(ReportConfig, ReportArguments, "model", "data")
def report(config: ReportConfig) -> Reported:
    """Write a report of a model on labelled rows: one HTML file that loads nothing.

    Without data a run is asked on its own. Raises `InputError` where the file exists, without
    `overwrite`.
    """
    from hfkit.commands import report as command

    return command.report(config)


@verb(AuditConfig, AuditArguments, "train")
def audit(config: AuditConfig) -> Audited:
    """Find labels that are probably wrong, by models that have not seen them.

    Returns the likeliest errors first, each with its place, its label and the one suggested.
    """
    from hfkit.commands import audit as command

    return command.audit(config)


@verb(EstimateConfig, EstimateConfig, "model")
def estimate(config: EstimateConfig) -> Estimated:
    """Tell what a model takes: parameters, and memory for training and for prediction, by batch
    and length, from its configuration alone."""
    from hfkit.commands import estimate as command

    return command.estimate(config)


@verb(PushConfig, PushConfig, "run", "repo")
def push(config: PushConfig) -> Pushed:
    """Upload a finished run to the Hub, private unless `public`; with `dry_run` nothing is sent,
    and what would be is returned."""
    from hfkit.commands import push as command

    return command.push(config)


@verb(ServeConfig, ServeArguments, "models")
def serve(config: ServeConfig) -> None:
    """Serve models over HTTP, with a page to try them, until Ctrl-C or SIGTERM.

    Raises `SafetyError` for another address than this machine's without a token.
    """
    from hfkit.commands import serve as command

    return command.serve(config)
