"""`hfkit bench`: how fast a model answers here, with each engine that it can be opened with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from hfkit.config import BenchConfig, Columns, EmbedConfig, Engine, PredictConfig, Reading
from hfkit.errors import InputError
from hfkit.run.benching import (
    Command,
    EngineResult,
    as_file,
    cold_start,
    latency,
    percentiles,
    rates,
)
from hfkit.run.machine import machine
from hfkit.run.made_texts import made_text, made_texts

if TYPE_CHECKING:
    from hfkit.run.opening import Opened
    from hfkit.tasks.base import Row

log = logging.getLogger(__name__)

ENGINES = tuple(name for name in get_args(Engine) if name != "auto")
MODEL_HINT = "name a run or a model: hfkit bench minilm"
MOST_DIGITS = 9  # of a budget: more is more than any memory holds
SHORT_WORDS = 10  # of made-up questions and second texts


class Subject(NamedTuple):
    """What is measured: a model of a task, or an encoder of texts; `opened` is None for the latter.

    `tokens` are those of each row, over all its windows.
    """

    verb: str
    folder: Path
    rows: list[Row]
    tokens: list[int]
    opened: Opened | None


@dataclass(frozen=True)
class Benched:
    """What came of it. `unavailable` says of each engine that could not be opened why not."""

    model: str
    task: str
    rows: int
    source: str
    tokens: dict[str, float]
    rounds: int
    engines: tuple[EngineResult, ...]
    unavailable: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "model": self.model,
            "task": self.task,
            "rows": self.rows,
            "source": self.source,
            "tokens": self.tokens,
            "rounds": self.rounds,
            "engines": [engine.to_json() for engine in self.engines],
            "unavailable": self.unavailable,
            "machine": self.machine,
        }


def bench(config: BenchConfig) -> Benched:
    """Measure ``config.model`` on the rows of ``config.data``, or on made-up texts.

    Raises `InputError` for a name that leads nowhere, for rows that cannot be read, and for an
    engine that was asked for and cannot be opened.
    """
    if not config.model:
        raise InputError("no model", hint=MODEL_HINT)
    if config.options.get("endpoint"):
        raise InputError("a server answers; nothing is computed here", place="--endpoint")
    budgets = _budgets(config)
    subject = _subject(config)
    source = config.data or f"made up ({config.lengths})"
    log.info(
        "%d rows, %d tokens, %s; %d rounds", len(subject.rows), sum(subject.tokens), source,
        config.rounds,
    )  # fmt: skip
    found: list[EngineResult] = []
    unavailable: dict[str, str] = {}
    for engine in ENGINES if config.engine == "auto" else (config.engine,):
        try:
            found.append(_measured(config, subject, engine, budgets))
        except InputError as error:
            if config.engine != "auto" or engine == "torch":
                raise
            unavailable[engine] = str(error)
            log.info("%s: not measured: %s", engine, error)
    return Benched(
        model=config.model,
        task=_task_name(subject),
        rows=len(subject.rows),
        source=source,
        tokens={"total": sum(subject.tokens), **percentiles(subject.tokens)},
        rounds=config.rounds,
        engines=tuple(found),
        unavailable=unavailable,
        machine=machine(),
    )


def _budgets(config: BenchConfig) -> list[int]:
    """The batch budgets to compare, in tokens."""
    if config.batch_tokens:
        return [config.batch_tokens]
    parts = [part.strip() for part in config.budgets.split(",")]
    if not all(part.isdecimal() and len(part) <= MOST_DIGITS and int(part) for part in parts):
        raise InputError(
            f"expected numbers of tokens, got '{config.budgets}'",
            place="--budgets",
            hint="as 1024,4096",
        )
    return list(dict.fromkeys(map(int, parts)))


def _measured(
    config: BenchConfig, subject: Subject, engine: str, budgets: Sequence[int]
) -> EngineResult:
    """Measure one engine. Raises `InputError` where it cannot be opened."""
    settings = _settings(config, subject, engine)
    answering = _answering(settings.model_copy(update={"model": str(subject.folder)}), subject)
    log.info("%s: rows and tokens a second, with %s tokens at once", engine,
             ", ".join(map(str, budgets)))  # fmt: skip
    found = rates(answering, subject.rows, sum(subject.tokens), budgets, config.rounds)
    log.info("%s: one text at a time", engine)
    alone = latency(answering, subject.rows)
    start = peak = None
    if config.cold_starts:
        log.info("%s: new processes, for one text and for all rows", engine)
        with TemporaryDirectory(prefix="hfkit-") as folder:
            command = Command(subject.verb, settings, Path(folder))
            start = cold_start(command, subject.rows[0], config.cold_starts)
            peak = round(command.run(subject.rows).peak_mib, 1)
    return EngineResult(engine, config.precision, found, alone, start, peak)


def _subject(config: BenchConfig) -> Subject:
    """Find out what kind of model it is, and the rows for it."""
    from hfkit.tasks.collate import length_of

    folder = _plain_encoder(config)
    if folder is not None:
        rows = _rows(config, {"text": "the text"}, None)
        lengths = _lengths_of_texts(config, folder, [row["text"] for row in rows])
        return Subject("embed", folder, rows, lengths, None)
    from hfkit.run.opening import open_run

    opened = open_run(config.model or "", _predict_settings(config, "auto"))
    opened.task.asked = False  # made-up texts ask for nothing
    if opened.tokenizer is None:
        raise InputError("a server answers; nothing is computed here", place=config.model or "")
    rows = _rows(config, opened.task.columns, opened)
    lengths = [0] * len(rows)
    for part in opened.task.features(rows, opened.tokenizer):
        lengths[part["_row"]] += length_of(part)
    return Subject("predict", opened.folder, rows, lengths, opened)


def _plain_encoder(config: BenchConfig) -> Path | None:
    """The folder of a model without a head, where no task is named that needs none."""
    from hfkit.model.facts import describe
    from hfkit.model.locate import locate
    from hfkit.run.opening import SETTINGS

    if config.task is not None or Path(config.model or "", SETTINGS).is_file():
        return None
    folder = locate(config.model or "", offline=config.offline).folder
    return None if describe(folder).has_head else folder


def _lengths_of_texts(config: BenchConfig, folder: Path, texts: list[str]) -> list[int]:
    """Tokens of each text, over all its windows, as the embedder reads them."""
    from hfkit import text
    from hfkit.model.facts import describe
    from hfkit.run.opening import checked_length
    from hfkit.tasks.collate import length_of

    longest = checked_length(config.max_length, describe(folder).max_length)
    windows = text.from_transformers(folder, longest).encode(texts, on_long="window")
    return [sum(length_of(part) for part in parts) for parts in windows]


def _rows(config: BenchConfig, roles: Any, opened: Opened | None) -> list[Row]:
    """Rows of the file, or made up: a long text for a context, short ones beside the first."""
    if config.data:
        return _read(config, roles, opened)
    needed = [role for role in roles if not role.endswith("?")] or ["text"]
    if opened and "text_pair" in (opened.columns or {}) and "text_pair" not in needed:
        needed.append("text_pair")
    main = "context" if "context" in needed else needed[0]
    chance = Random(config.rows)
    texts = made_texts(config.lengths, min(config.rows, config.limit or config.rows))
    return [
        {role: text if role == main else made_text(SHORT_WORDS, chance) for role in needed}
        for text in texts
    ]


def _read(config: BenchConfig, roles: Any, opened: Opened | None) -> list[Row]:
    """The first rows of the file, by the columns named, those of the training, or a guess."""
    from hfkit.data.columns import find_columns
    from hfkit.data.record import strict
    from hfkit.data.source import read

    records = strict(read(config.data or "", config, offline=config.offline))
    found = list(islice(records, config.rows))
    known = (opened.columns if opened else None) or {}
    kind = opened.task.label_kind if opened else "labels"
    names, sample = list(found[0].fields), [record.fields for record in found]
    columns = find_columns(
        names, sample, roles, config, known, need_label=False, label_kind=kind
    )  # fmt: skip
    rows = []
    for record in found:
        try:
            rows.append(columns.row(record.fields))
        except InputError as error:
            raise InputError(error.message, place=record.place, hint=error.hint) from error
    return rows


def _settings(config: BenchConfig, subject: Subject, engine: str) -> PredictConfig | EmbedConfig:
    """What `hfkit predict` or `hfkit embed` is given, for a file whose columns are the roles."""
    plain = {name: field.default for name, field in Columns.model_fields.items()}
    named = {**plain, **as_file(subject.rows[0])}
    if subject.opened:
        return _predict_settings(config, engine).model_copy(update=named)
    shared = _shared(config, EmbedConfig)
    return EmbedConfig(**{**shared, "engine": engine, "text_column": named["text_column"]})


def _predict_settings(config: BenchConfig, engine: str) -> PredictConfig:
    return PredictConfig(**{**_shared(config, PredictConfig), "engine": engine})


def _shared(config: BenchConfig, other: type[PredictConfig | EmbedConfig]) -> dict[str, Any]:
    """The settings that another command has too; reading those of a file is done by then."""
    names = set(BenchConfig.model_fields) & set(other.model_fields)
    names -= {"config", "set", *Reading.model_fields}
    return {name: getattr(config, name) for name in names}


def _answering(settings: PredictConfig | EmbedConfig, subject: Subject) -> Any:
    from hfkit.run.embedding import configured
    from hfkit.run.predicting import make_predictor

    if isinstance(settings, EmbedConfig):
        return configured(settings).of("")
    assert subject.opened is not None
    return make_predictor(subject.opened, settings)


def _task_name(subject: Subject) -> str:
    """As users write it: a task is named as its file."""
    if subject.opened is None:
        return "embedding"
    return type(subject.opened.task).__module__.rpartition(".")[2].replace("_", "-")
