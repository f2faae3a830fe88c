"""From what the user typed to records: a file, several files, stdin, or a data set of the Hub.

Reading is lazy and takes constant memory (a JSON array apart). Trouble with one row is in
`Record.error` and reading goes on; trouble with a file is raised.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from glob import glob
from itertools import islice
from pathlib import Path

from hfkit.config import Reading
from hfkit.data.column_names import known_name
from hfkit.data.display import listed, shown
from hfkit.data.formats import (
    conll,
    delimited,
    hub,
    json_array,
    jsonl,
    label_studio,
    parquet,
    text,
)
from hfkit.data.lines import STDIN, peeked, physical_lines
from hfkit.data.record import Record
from hfkit.errors import InputError, did_you_mean

log = logging.getLogger(__name__)

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".txt": "text",
    **dict.fromkeys(conll.SUFFIXES, "conll"),
}
SNIFFED = 200  # lines that tell CoNLL from text and TSV
USUAL = {"csv": ",", "tsv": "\t"}


def read(source: str, reading: Reading, *, offline: bool = False) -> Iterator[Record]:
    """Yield the rows of a file, glob, ``-`` or Hub data set, at most `reading.limit` of them.

    What does not exist is found before the first row is asked for. Raises `InputError` for files
    that cannot be read, `NetworkError` for the Hub.
    """
    if source == "-":
        records = _file(STDIN, reading)
    elif source.startswith(hub.PREFIX):
        wanted = hub.hub_id(source)
        if wanted is None:
            raise InputError("expected hf://org/name:config@split", place=source)
        records = hub.read(source, wanted, offline=offline)
    elif is_file(source):
        paths = find_files(source)
        records = _file(paths[0], reading) if len(paths) == 1 else _files(source, paths, reading)
    else:
        wanted = hub.hub_id(source)
        if wanted is None:
            raise _missing(source)
        records = hub.read(source, wanted, offline=offline)
    return records if reading.limit is None else islice(records, reading.limit)


def is_file(source: str) -> bool:
    """Whether a source means files (that may be missing) rather than a Hub data set or a text.

    >>> is_file("train.csv"), is_file("./data"), is_file("org/name")
    (True, True, False)
    """
    if len(source) > 4096 or "\0" in source or "\n" in source:
        return False
    if source.startswith(("./", "../", "/", "~")) or format_of(source):
        return True
    path = Path(source)
    try:
        return path.exists() or bool(_glob(source)) or ("/" in source and path.parent.is_dir())
    except OSError:
        return False


def format_of(path: str) -> str:
    """Return the format that a file name stands for, or nothing.

    >>> format_of("train.csv.gz"), format_of("train.conll"), format_of("train.dev")
    ('csv', 'conll', '')
    """
    name = path.lower().removesuffix(".gz")
    return FORMATS.get(name[name.rfind(".") :], "") if "." in name else ""


def find_files(source: str) -> list[str]:
    """Return the file, or the sorted files that a pattern matches. Raises `InputError` for none."""
    path = Path(source).expanduser()
    if path.is_dir():
        examples = sorted(item.name for item in path.iterdir() if format_of(item.name))
        found = f"it holds {listed(examples)}" if examples else "name a file in it"
        raise InputError("is a folder", place=source, hint=found)
    if path.exists():
        return [str(path)]
    found_files = [name for name in _glob(str(path)) if Path(name).is_file()]
    if not found_files:
        raise _missing(source)
    return found_files


def _glob(pattern: str) -> list[str]:
    if not re.search(r"[*?\[]", pattern):
        return []
    return sorted(glob(pattern, recursive=True))  # noqa: PTH207  Path.glob has no absolute patterns


def _missing(source: str) -> InputError:
    if re.search(r"[*?\[]", source):
        return InputError("no file matches", place=source)
    path = Path(source).expanduser()
    folder = path.parent
    if not folder.is_dir():
        return InputError("no such file", place=source, hint=f"there is no folder {shown(folder)}")
    names = sorted(item.name for item in folder.iterdir() if format_of(item.name))
    if not names:
        return InputError("no such file", place=source)
    hint = did_you_mean(path.name, names)
    return InputError(
        "no such file",
        place=source,
        hint=f"the folder holds {listed(names)}" if hint.startswith("known") else hint,
    )


def _files(source: str, paths: list[str], reading: Reading) -> Iterator[Record]:
    """Yield the rows of several files; all must have the columns of the first."""
    log.info("%s: reading %d files", source, len(paths))
    row = documents = 0
    columns: set[str] | None = None
    for path in paths:
        first, before = True, documents
        for record in _file(path, reading):
            row += 1
            record.row = row
            documents = _renumbered(record, before, documents)
            if first and not record.error:
                first = False
                columns = set(record.fields) if columns is None else columns
                if (set(record.fields) ^ columns) - {conll.DOCUMENT_FIELD}:
                    here, there = listed(record.fields), listed(sorted(columns))
                    problem = f"the columns are {here}; in {paths[0]} they are {there}"
                    raise InputError(problem, place=path)
            if not record.line:
                record.path = source  # so that path and number of the row belong together
            yield record


def _renumbered(record: Record, before: int, documents: int) -> int:
    """Count the documents of CoNLL files on from file to file; return how many there are."""
    number = record.fields.get(conll.DOCUMENT_FIELD)
    if "tokens" not in record.fields or not isinstance(number, int):
        return documents
    record.fields[conll.DOCUMENT_FIELD] = before + number + 1
    return before + number + 1


def _file(path: str, reading: Reading) -> Iterator[Record]:
    kind = reading.input_format if reading.input_format != "auto" else format_of(path)
    if kind == "parquet":
        yield from parquet.read(path)
        return
    kind, lines = _kind_of(kind, path, reading)
    if kind == "jsonl":
        yield from label_studio.flattened(jsonl.read(lines, path))
    elif kind == "json":
        yield from label_studio.flattened(json_array.read(lines, path))
    elif kind == "conll":
        yield from conll.read(lines, path, reading)
    elif kind == "text":
        yield from text.read(lines, path)
    else:
        yield from delimited.read(lines, path, reading, USUAL.get(kind) or ",")


def kind_of_file(path: str, reading: Reading) -> str:
    """The format in which a file is read."""
    kind = reading.input_format if reading.input_format != "auto" else format_of(path)
    return kind if kind == "parquet" else _kind_of(kind, path, reading)[0]


def _kind_of(kind: str, path: str, reading: Reading) -> tuple[str, Iterator[str]]:
    """The format of a file of text, `kind` as far as its name tells, and its lines; a guess is
    logged."""
    lines = physical_lines(path, reading.encoding)
    laid_out = reading.delimiter is not None or reading.columns is not None
    if kind in ("", "text", "tsv") and reading.input_format == "auto" and not laid_out:
        kind, lines = _or_conll(kind, lines, path, reading)
    first, lines = peeked(lines, 2 if kind == "json" else 1)
    if not kind:
        kind = _sniffed(first[0] if first else "", path, reading)
    if kind == "json" and json_array.is_json_lines(first):
        log.info("%s: one JSON object a line; read as JSON Lines", path)
        kind = "jsonl"
    if kind == "text" and laid_out:
        kind = "tsv" if first and "\t" in first[0] else "csv"
    return kind, lines


def _or_conll(
    kind: str, lines: Iterator[str], path: str, reading: Reading
) -> tuple[str, Iterator[str]]:
    """Return "conll" for a file of words with tags, and all its lines again. A pipe is not asked:
    it may have nothing more to say for a while."""
    if path == STDIN or reading.no_header or reading.quoting == "none" or reading.max_splits:
        return kind, lines
    first, lines = peeked(lines, SNIFFED)
    if not conll.looks_like_conll(first):
        return kind, lines
    log.info("%s: its lines are words with tags; override with --input-format", path)
    return "conll", lines


def _sniffed(line: str, path: str, reading: Reading) -> str:
    """Return the format that the first line shows; the guess is logged."""
    if line.startswith(("{", "[")):
        kind, reason = ("jsonl" if line.startswith("{") else "json"), f"it starts with {line[0]}"
    elif reading.delimiter is not None or reading.columns is not None or reading.no_header:
        kind, reason = ("tsv" if "\t" in line else "csv"), "columns or a delimiter are set"
    else:
        mark = "\t" if "\t" in line else ","
        if mark in line and any(known_name(name) for name in line.split(mark)):
            kind, reason = ("tsv" if mark == "\t" else "csv"), "its first line is a header"
        else:
            kind, reason = "text", "its first line is neither JSON nor a header"
    log.info("%s: read as %s (%s); override with --input-format", path, kind, reason)
    return kind
