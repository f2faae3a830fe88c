"""What the commands that answer rows have in common: where answers go, and in which format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from hfkit.config import PredictConfig, ScoreConfig
from hfkit.data.formats import conll
from hfkit.data.inputs import Input
from hfkit.data.output import Output, check_apart, is_no_file, open_output
from hfkit.data.record import Record
from hfkit.data.writer import Naming
from hfkit.errors import InputError


def open_answers(
    config: PredictConfig | ScoreConfig,
) -> AbstractContextManager[Output]:
    """Open what the answers are written to, to be gone on with where that is asked for.

    Raises `InputError` for a name that promises JSON, and for an input that would be written over.
    """
    if config.output and config.format == "auto" and config.output.endswith(".json"):
        raise InputError(
            "predictions are JSON Lines, not one JSON value",
            place=config.output,
            hint="name it .jsonl, or use --format jsonl",
        )
    check_apart(config.output, config.inputs)
    return open_output(config.output, config.overwrite, config.resume)


def check_resume(config: PredictConfig | ScoreConfig, given: Input) -> None:
    """Refuse to go on with what nothing is known of."""
    if not config.resume:
        return
    if config.output is None or config.output == "-" or is_no_file(config.output):
        raise InputError("goes on with a file", place="--resume", hint="name it with -o")
    if given.live:
        raise InputError(
            "a pipe cannot be read again from its start", place="--resume", hint="name a file"
        )


def format_of(config: PredictConfig | ScoreConfig, given: Input, output: Output) -> str:
    """The format asked for; else by the name of the output; else what suits the reader."""
    if config.format != "auto":
        return config.format
    if config.output not in (None, "-"):
        suffix = Path(config.output or "").suffix.lower()
        if suffix in (".csv", ".tsv", ".jsonl", ".ndjson"):
            return {".csv": "csv", ".tsv": "tsv"}.get(suffix, "jsonl")
        if suffix in conll.SUFFIXES:
            return "conll"
    if output.is_terminal:
        return "table"
    return given.format if given.format in ("csv", "tsv") else "jsonl"


def checked(records: Iterator[Record], naming: Naming) -> Iterator[Record]:
    """A name in the way is an error of the input at its start, and of one row later on."""
    for number, record in enumerate(records):
        try:
            naming.check(record)
        except InputError as error:
            if number == 0:
                raise
            kept = {name: value for name, value in record.fields.items() if not naming.takes(name)}
            yield replace(record, fields=kept, error=error.message)
        else:
            yield record
