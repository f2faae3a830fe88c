"""CSV, TSV and their relatives: strict, every cell as the text it is, physical line numbers.

The standard library's csv reader takes a record apart; around it stands what it does not do: a
quotation mark that swallows the following lines is reported where it opened, and reading goes on
with the next line. With ``quoting: none`` or `max_splits` quotation marks are ordinary characters
and a line is a record.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from hfkit.config import Reading
from hfkit.data.display import listed, shown
from hfkit.data.lines import peeked, unreadable, without_end
from hfkit.data.record import Fault, Record
from hfkit.errors import EmptyError, InputError, did_you_mean

log = logging.getLogger(__name__)

DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
DROPPED = "_"
SUSPECT_LINES = 20
MOST_LINES = 100_000  # of one record: beyond that a quotation mark was left open
QUOTE_REMEDY = 'if these marks are ordinary characters use --quoting none, else write "x ""y"" z"'

Cut = tuple[int, list[str], str]  # line on which the record starts, its cells, what is wrong


@dataclass(frozen=True)
class Header:
    """The names of the fields of a record, `DROPPED` ones included, and where they come from."""

    names: list[str]
    origin: str

    @cached_property
    def kept(self) -> list[int] | None:
        """Positions of the fields to keep; None for all."""
        kept = [index for index, name in enumerate(self.names) if name != DROPPED]
        return None if len(kept) == len(self.names) else kept

    def fields(self, cells: list[str]) -> dict[str, str]:
        """Return name -> cell; as many as there are."""
        if self.kept is None:
            return dict(zip(self.names, cells, strict=False))
        return {self.names[index]: cells[index] for index in self.kept if index < len(cells)}


def read(lines: Iterator[str], path: str, reading: Reading, usual: str) -> Iterator[Record]:
    """Yield one record per row; `usual` is the delimiter where none is set or seen.

    Raises `InputError` for a file without rows and for a header that cannot be used.
    """
    first, lines = peeked(lines, 1)
    if not first:
        raise EmptyError("is empty", place=path)
    delimiter = find_delimiter(first[0], path, reading, usual)
    plain = reading.quoting == "none" or reading.max_splits is not None
    counts = _Counts(path)
    cut = (
        split_lines(lines, delimiter, reading.max_splits)
        if plain
        else parse(lines, delimiter, counts)
    )
    header, cut = _header(cut, path, reading)
    try:
        yield from _records(cut, header, delimiter, reading.extra_columns == "ignore", counts)
    finally:
        counts.tell()
    if not counts.rows:
        raise InputError("holds only a header, no rows", place=path)


def delimiter_of(text: str) -> str:
    r"""Return the character that ``--delimiter`` names.

    >>> delimiter_of("tab"), delimiter_of("\\t"), delimiter_of(";")
    ('\t', '\t', ';')
    """
    character = DELIMITERS.get(text, "\t" if text == "\\t" else text)
    if len(character) != 1 or character in '"\r\n\0':
        raise InputError(
            f"expected one character or a word, got {shown(text)}",
            place="--delimiter",
            hint=did_you_mean(text, DELIMITERS),
        )
    return character


def split_lines(lines: Iterator[str], delimiter: str, max_splits: int | None) -> Iterator[Cut]:
    """Cut each line at the delimiters, quotation marks being ordinary characters."""
    most = -1 if max_splits is None else max_splits
    for number, line in enumerate(lines, 1):
        text = without_end(line)
        yield number, text.split(delimiter, most) if text else [], unreadable(line)


def parse(lines: Iterator[str], delimiter: str, counts: _Counts) -> Iterator[Cut]:
    """Cut quoted records; one with a stray quotation mark is an error on the line of that mark,
    and what it swallowed is read again."""
    csv.field_size_limit(2**31 - 1)
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    grammar = _Grammar(delimiter)
    line = 1
    while True:
        feed.taken.clear()
        failed = False
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong):
            failed = True
        raw = feed.taken[0] if len(feed.taken) == 1 else "".join(feed.taken)
        if failed or ('"' in raw and not grammar.record.fullmatch(raw)):
            offset, error = grammar.fault(feed.taken)
            feed.step_back(offset + 1)
            yield line + offset, [], error
        else:
            if len(feed.taken) > 1:
                counts.saw_lines(line, len(feed.taken))
            offset, error = _unreadable(feed.taken)
            yield line + offset, cells, error
        line += len(feed.taken)


def _unreadable(lines: list[str]) -> tuple[int, str]:
    """What is wrong with the characters of a record, and on which of its lines, from 0."""
    for offset, line in enumerate(lines):
        if error := unreadable(line):
            return offset, error
    return 0, ""


class _TooLong(Exception):
    """A record runs over more lines than any record should."""


class _Feed:
    """Lines for the csv reader; it remembers those of the current record and can step back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES:
            raise _TooLong
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def step_back(self, kept: int) -> None:
        """Keep the first lines of the current record; the others will be given again."""
        self._again.extendleft(reversed(self.taken[kept:]))
        del self.taken[kept:]


class _Grammar:
    """What a record of RFC 4180 looks like, with another delimiter where wanted."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        mark = re.escape(delimiter)
        # Possessive throughout, so that a long record is read once.
        cell = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{mark}]*+)'
        self.cell = re.compile(cell)
        self.record = re.compile(rf"{cell}(?:{mark}{cell})*+[\r\n]*+")

    def fault(self, lines: list[str]) -> tuple[int, str]:
        """Return where in the lines of a record the first faulty cell starts (from 0), and why."""
        raw = "".join(lines)
        start = end = 0
        while True:
            found = self.cell.match(raw, start)
            end = found.end() if found else start
            if raw[end : end + 1] != self.delimiter:
                break
            start = end + 1
        offset, column = 0, start
        while offset < len(lines) - 1 and column >= len(lines[offset]):
            column -= len(lines[offset])
            offset += 1
        quoted = raw.startswith('"', start)
        if quoted and (end == start or "\n" in raw[start:end] or "\r" in raw[start:end]):
            column += 1
            problem = f"the quotation mark opened in column {column} is not closed"
        elif quoted:
            column += 1
            problem = f"text after the closing quotation mark of the field in column {column}"
        elif raw.startswith('"', end):
            column += 1 + end - start
            problem = f"a quotation mark inside an unquoted field (column {column})"
        else:
            column += 1
            problem = f"a carriage return inside the unquoted field in column {column}"
            return offset, Fault(problem, column)
        return offset, Fault(f"{problem}; {QUOTE_REMEDY}", column)


@dataclass
class _Counts:
    """What to tell when a file has been read."""

    path: str
    rows: int = 0
    blank: int = 0
    longer: int = 0
    several_lines: int = 0
    longest: int = 1
    longest_at: int = 0

    def saw_lines(self, line: int, count: int) -> None:
        """Count a record that starts on `line` and runs over `count` lines."""
        self.several_lines += 1
        if count > self.longest:
            self.longest, self.longest_at = count, line

    def tell(self) -> None:
        """Log what was counted. Many lines in a cell are a warning: it may have swallowed rows."""
        if self.several_lines:
            level = logging.WARNING if self.longest > SUSPECT_LINES else logging.DEBUG
            text = "%s: rows with line breaks inside quotation marks: %d; the longest, %d lines"
            place = f"{self.path}:{self.longest_at}"
            log.log(level, f"{text}, is %s", self.path, self.several_lines, self.longest, place)
        if self.blank:
            log.info("%s: blank lines skipped: %d", self.path, self.blank)
        if self.longer:
            log.info("%s: rows that lost fields beyond the header: %d", self.path, self.longer)


def _records(
    cut: Iterator[Cut], header: Header, delimiter: str, ignore_extra: bool, counts: _Counts
) -> Iterator[Record]:
    width = len(header.names)
    path = counts.path
    for line, cells, error in cut:
        if len(cells) != width and not error:
            if not cells:
                counts.blank += 1
                continue
            if ignore_extra and len(cells) > width:
                counts.longer += 1
            else:
                error = _wrong_width(len(cells), width, header.origin, delimiter)
        counts.rows += 1
        yield Record(header.fields(cells), counts.rows, path, line, error)


def _wrong_width(found: int, width: int, origin: str, delimiter: str) -> str:
    name = _word(delimiter)
    cause = f"an unquoted {name}?" if found > width else f"a missing {name}?"
    return f"{found} {'field' if found == 1 else 'fields'}, {origin} {width} ({cause})"


def _word(delimiter: str) -> str:
    words = {character: word for word, character in DELIMITERS.items()}
    return words.get(delimiter, shown(delimiter))


def _header(cut: Iterator[Cut], path: str, reading: Reading) -> tuple[Header, Iterator[Cut]]:
    """Return the names of the columns, and the records that follow."""
    columns = reading.columns
    if columns is not None:
        _check_names([name for name in columns if name != DROPPED], "--columns")
        if reading.no_header:
            return Header(columns, "--columns has"), cut
    first = next(item for item in cut if item[1] or item[2])
    line, cells, error = first
    if error:
        raise InputError(error, place=Record({}, 0, path, line, error).place)
    if columns is not None:
        too_many = len(cells) > len(columns) and reading.extra_columns == "error"
        if too_many or len(cells) < len(columns):
            problem = f"the header has {len(cells)} columns, --columns has {len(columns)}"
            raise InputError(problem, place=f"{path}:{line}")
        log.info(
            "%s:%d: --columns replaces the header %s; if this line is data, add --no-header",
            path,
            line,
            listed(cells),
        )
        return Header(columns, "--columns has"), cut
    if reading.no_header:
        names = [f"column{number}" for number in range(1, len(cells) + 1)]
        return Header(names, "the first line has"), chain([first], cut)
    names = [name.strip() for name in cells]
    _check_names(names, f"{path}:{line}")
    return Header(names, "the header has"), cut


def _check_names(names: list[str], place: str) -> None:
    """Raise `InputError` for a name that is empty or stands twice."""
    if not names:
        raise InputError("names no column", place=place)
    for index, name in enumerate(names, 1):
        if not name:
            problem = f"column {index} of the header has no name"
            raise InputError(problem, place=place, hint="name the columns with --columns a,_,b")
        if name in names[: index - 1]:
            problem = f"the column {shown(name)} stands twice in the header"
            raise InputError(problem, place=place, hint="rename the columns with --columns a,b,_")


def find_delimiter(line: str, path: str, reading: Reading, usual: str) -> str:
    """Return the delimiter: as set, as usual, or, where the usual one gives a single column in a
    CSV file, the one the first line shows."""
    if reading.delimiter is not None:
        return delimiter_of(reading.delimiter)
    bare = re.sub(r'"[^"]*"', "", line)
    if usual != "," or usual in bare:
        return usual
    others = ["\t"] if reading.no_header and not reading.columns else [";", "\t", "|"]
    if reading.columns:
        others = [mark for mark in others if bare.count(mark) + 1 >= len(reading.columns) > 1]
    best = max(others, key=bare.count, default=usual)
    if not bare.count(best):
        return usual
    log.info(
        "%s: the delimiter is the %s (the first line has no comma); override with --delimiter",
        path,
        _word(best),
    )
    return best
