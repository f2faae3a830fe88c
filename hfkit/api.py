"""The verbs as Python functions; the command line is generated from the same settings.

    hfkit.finetune("train.csv", model="bert-base-uncased", epochs=2, class_weights="balanced")
    hfkit.finetune(config="recipe.yaml", lr=3e-5)

A verb takes its settings by name, the first ones also by position, lays them over the recipe and
the environment as the command line does, and calls the function of `hfkit.commands` that does the
work. Nothing heavy is imported before a verb is called.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from hfkit.config import (
    BenchConfig,
    ConvertConfig,
    EmbedConfig,
    EvaluateConfig,
    ExportConfig,
    FinetuneConfig,
    PredictConfig,
    ScoreConfig,
    SearchConfig,
    Section,
    ServeConfig,
    TokenizerConfig,
    VerifyConfig,
)
from hfkit.errors import InputError
from hfkit.layers import resolve
from hfkit.recipe import is_recipe_file
from hfkit.registry import builtin_options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.commands.bench import Benched
    from hfkit.commands.convert import Converted
    from hfkit.commands.evaluate import Evaluated
    from hfkit.commands.finetune import DryRun
    from hfkit.commands.train_tokenizer import TrainedTokenizer
    from hfkit.commands.verify import Verified
    from hfkit.run.exported import Exported
    from hfkit.run.finishing import Finetuned
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

P = ParamSpec("P")
C = TypeVar("C", bound=Section)
R = TypeVar("R")


class Verb(Generic[P, C, R]):
    """A function of a configuration that can be called with single settings."""

    def __init__(
        self,
        run: Callable[[C], R],
        config_class: type[C],
        positional: Sequence[str],
    ) -> None:
        update_wrapper(self, run)  # its name and docstring
        self.run = run
        self.name = run.__name__
        self.config_class = config_class
        self.positional = tuple(positional)

    def __getattr__(self, name: str) -> Any:
        """The signature is made when someone asks: of a hundred arguments it takes its time."""
        if name != "__signature__":
            raise AttributeError(name)
        self.__signature__ = _signature(self.config_class, self.positional)
        return self.__signature__

    def __call__(
        self, first: Any = None, second: Any = None, /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Resolve the settings and run; a ready configuration is taken as it is."""
        if isinstance(first, self.config_class):
            return self.run(first)
        values = [value for value in (first, second, *args) if value is not None]
        given = self.place(values, kwargs)
        return self.run(prepared(resolve(self.config_class, given, as_flags=False)))

    def place(self, values: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Give positional values the names that are not taken yet, in order; the last name takes
        the rest if it is a list. A YAML file in the first place is a recipe.

        Raises `InputError` for one value too many.
        """
        found = {name: value for name, value in given.items() if value is not None}
        rest = list(values)
        for name in self.positional:
            if not rest or name in found:
                continue
            is_list = self.config_class.model_fields[name].annotation == list[str]
            if name == "train" and isinstance(rest[0], str) and is_recipe_file(rest[0]):
                found["config"] = rest.pop(0)
            elif is_list and not isinstance(rest[0], list | tuple):
                found[name], rest = rest, []
            else:
                found[name] = rest.pop(0)
        if rest:
            expected = " ".join(name.upper() for name in self.positional)
            raise InputError(f"unexpected argument '{rest[0]}'", hint=f"expected {expected}")
        return found


def prepared(config: C) -> C:
    """Set the environment that a configuration asks of the libraries, and return it."""
    if config.model_dump().get("offline"):
        for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            os.environ[variable] = "1"
    return config


def _signature(config: type[Section], positional: Sequence[str]) -> inspect.Signature:
    """What help() and editors show: the positional names first, then all settings by name, with
    the options of the built-in tasks."""
    fields = dict(config.model_fields)
    if "options" in fields:
        for name, options in builtin_options().items():
            fields.setdefault(name, options.model_fields[name])
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = []
    for name in [*positional, *(name for name in fields if name not in positional)]:
        field = fields[name]
        kind = kinds[name not in positional]
        default = field.get_default(call_default_factory=True)
        parameters.append(
            inspect.Parameter(name, kind, default=default, annotation=field.annotation)
        )
    return inspect.Signature(parameters)


def verb(
    config_class: type[C], arguments: Callable[P, Section], *positional: str
) -> Callable[[Callable[[C], R]], Verb[P, C, R]]:
    """Make a function of a configuration callable with single settings; the fields of `arguments`,
    the configuration and the options of the built-in tasks, are what a type checker allows."""
    return lambda run: Verb(run, config_class, positional)


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

    class PredictArguments(PredictConfig, Options):  # type: ignore[misc]
        """Arguments of `predict`."""

    class BenchArguments(BenchConfig, Options):  # type: ignore[misc]
        """Arguments of `bench`."""

    class ExportArguments(ExportConfig, Options):  # type: ignore[misc]
        """Arguments of `export`."""

    class ServeArguments(ServeConfig, Options):  # type: ignore[misc]
        """Arguments of `serve`."""

else:  # these are for editors; to make such classes would take a tenth of `hfkit --help`
    FinetuneArguments, EvaluateArguments = FinetuneConfig, EvaluateConfig
    PredictArguments, BenchArguments = PredictConfig, BenchConfig
    ExportArguments, ServeArguments = ExportConfig, ServeConfig


@verb(FinetuneConfig, FinetuneArguments, "train")
def finetune(config: FinetuneConfig) -> Finetuned | DryRun:
    """Fine-tune a model on labelled data and score it; returns the run's folder and its scores.

    Task, columns and sizes are guessed from the data where they are not given. Options of the task
    (`hfkit tasks` lists them) are arguments like any other. Calling it again with the same
    arguments continues an interrupted run and leaves a finished one as it is. With `dry_run`
    nothing is trained, and the plan is returned.
    """
    from hfkit.commands import finetune as command

    return command.finetune(config)


@verb(EvaluateConfig, EvaluateArguments, "model", "data")
def evaluate(config: EvaluateConfig) -> Evaluated:
    """Score a run, a model or a file of predictions on labelled data, with intervals."""
    from hfkit.commands import evaluate as command

    return command.evaluate(config)


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


@verb(ServeConfig, ServeArguments, "models")
def serve(config: ServeConfig) -> None:
    """Serve models over HTTP, with a page to try them, until Ctrl-C or SIGTERM.

    Raises `SafetyError` for another address than this machine's without a token.
    """
    from hfkit.commands import serve as command

    return command.serve(config)
