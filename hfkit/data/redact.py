"""A copy of a file in which personal data are masked, and nothing else is changed.

A cell, a word or a string of JSON that holds a value is written anew, with ``[EMAIL]`` and the like
in the place of the value; every other byte is the one that was read. Where entities or answers of
JSON Lines have offsets, those behind a mask are moved with the text. What cannot be kept right is
refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

from hfkit.config import Reading
from hfkit.data.checks.personal import Masked
from hfkit.data.formats import conll
from hfkit.data.formats.delimited import find_delimiter
from hfkit.data.lines import open_bytes
from hfkit.data.output import check_apart, open_output
from hfkit.data.redact_json import redacted_line
from hfkit.data.source import USUAL, find_files, is_file, kind_of_file
from hfkit.errors import InputError

ColumnsOf = Mapping[str, str | list[str]]
Mask = Callable[[str], str]  # a text -> the text masked; what was found is counted
CONVERT = "write it as JSON Lines first: hfkit convert FILE --to jsonl -o COPY"
KINDS = ("jsonl", "csv", "tsv", "conll", "text")
DELIMITERS = (",", "\t", ";", "|")  # which no value has in it


def redact(
    source: str, reading: Reading, columns: ColumnsOf, output: str, overwrite: bool
) -> dict[str, int]:
    """Write the copy; return how many values of each kind were masked.

    Raises `InputError` for a source that is not one file, for a format whose offsets could not be
    kept right, and for a row in which they are not right already.
    """
    path = _one_file(source, reading)
    kind = kind_of_file(path, reading)
    if kind not in KINDS:
        raise InputError(f"a copy of {kind} cannot be written", place=path, hint=CONVERT)
    counted_in = columns.get("context", columns.get("text") if "tokens" not in columns else None)
    if kind != "jsonl" and "context" in columns:
        raise InputError(f"offsets in {kind} cannot be moved", place=path, hint=CONVERT)
    counts: Counter[str] = Counter()

    def mask(text: str) -> str:
        found = Masked(text)
        counts.update(one.kind for one in found.found)
        return found.text

    check_apart(output, [path])
    with closing(open_bytes(path)) as stream, open_output(output, overwrite) as out:
        lines = (line.decode(reading.encoding, "surrogateescape") for line in stream)
        if kind == "jsonl":
            label = str(columns.get("label", ""))
            pieces: Iterable[str] = (
                redacted_line(line, str(counted_in or ""), label, counts, f"{path}:{number}")
                for number, line in enumerate(lines, 1)
            )
        elif kind == "conll":
            pieces = _sentences(lines, path, reading, mask)
        elif kind == "text":
            pieces = map(mask, lines)
        else:
            pieces = _table(lines, path, kind, reading, mask)
        for piece in pieces:
            out.write_bytes(piece.encode(reading.encoding, "surrogateescape"))
    return dict(counts)


def _one_file(source: str, reading: Reading) -> str:
    if source == "-" or not is_file(source):
        hint = "hfkit check FILE --redact -o COPY"
        raise InputError("only a file has a masked copy", place="--redact", hint=hint)
    paths = find_files(source)
    if len(paths) > 1:
        raise InputError(f"{len(paths)} files; one at a time", place="--redact")
    if paths[0].endswith(".gz"):
        raise InputError("is compressed by gzip", place=paths[0], hint="unpack it first")
    if (
        reading.encoding.lower()
        .replace("_", "-")
        .startswith(("utf-16", "utf-32", "utf16", "utf32"))
    ):
        hint = "write the file as UTF-8 first"
        raise InputError(f"no masked copy in {reading.encoding}", place=paths[0], hint=hint)
    return paths[0]


def _table(
    lines: Iterator[str], path: str, kind: str, reading: Reading, mask: Mask
) -> Iterator[str]:
    """The records of a table, cell by cell as they stand there, quotation marks and all."""
    first = next(lines, "")
    usual = USUAL.get(kind) or ","
    mark = find_delimiter(first.removeprefix("\ufeff"), path, reading, usual)
    if mark not in DELIMITERS:
        hint = "write it with commas or tabs first"
        raise InputError(f"values may hold the delimiter '{mark}'", place=path, hint=hint)
    plain = reading.quoting == "none" or reading.max_splits is not None
    quoted = "" if plain else r'"[^"]*+(?:""[^"]*+)*+"|'
    cell = re.compile(rf"{quoted}[^{re.escape(mark)}\r\n]+")
    waiting = first
    for line in lines:
        if plain or waiting.count('"') % 2 == 0:
            yield cell.sub(lambda found: mask(found[0]), waiting)
            waiting = ""
        waiting += line
    yield cell.sub(lambda found: mask(found[0]), waiting)


def _sentences(lines: Iterator[str], path: str, reading: Reading, mask: Mask) -> Iterator[str]:
    """The lines of CoNLL; a word that is part of a value becomes its mask, its tag stays."""
    everything = list(lines)
    layout = conll.layout_of([one.removeprefix("\ufeff") for one in everything], path, reading)
    field = re.compile(r"[^\t\r\n]+" if layout.separator else r"[^ \t\r\n]+")
    sentence: list[str] = []
    for line in [*everything, ""]:
        if line.strip(conll.BLANK) and not line.startswith((conll.DOCUMENT, "#")):
            sentence.append(line)
            continue
        yield from _sentence(sentence, field, layout.tokens, mask)
        sentence = []
        yield mask(line)


def _sentence(lines: list[str], field: re.Pattern[str], column: int, mask: Mask) -> Iterator[str]:
    spans = []
    for line in lines:
        found = list(field.finditer(line))
        spans.append(found[column].span() if column < len(found) else (0, 0))
    words = [line[start:end] for line, (start, end) in zip(lines, spans, strict=True)]
    masks = masked_words(words, mask)
    for line, (start, end), word, new in zip(lines, spans, words, masks, strict=True):
        yield line if new == word else line[:start] + new + line[end:]


def masked_words(words: list[str], mask: Mask) -> list[str]:
    """Words of which those that are part of a value are its mask.

    >>> masked_words(["call", "+41", "44", "668", "18", "00"], str)
    ['call', '[PHONE]', '[PHONE]', '[PHONE]', '[PHONE]', '[PHONE]']
    """
    text = " ".join(words)
    mask(text)  # counts
    new, start = [], 0
    found = Masked(text).found
    for word in words:
        end = start + len(word)
        inside = next((one for one in found if one.start < end and start < one.end), None)
        if inside:
            before, after = word[: max(inside.start - start, 0)], word[inside.end - start :]
            rest = after if inside.end < end else ""
            new.append(f"{before}[{inside.kind.upper()}]{rest}")
        else:
            new.append(word)
        start = end + 1
    return new
