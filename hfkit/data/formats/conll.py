"""CoNLL-style files: a word a line with its tag, a blank line after each sentence.

    EU      B-ORG          EU NNP B-NP B-ORG          1  Schweiz  B-LOC  O
    rejects O              rejects VBZ B-VP O         2  ist      O      O

A sentence is a record: its words under ``tokens``, its tags under ``tags`` and, where the file has
``-DOCSTART-`` lines, the number of its document under ``document``. Columns are separated by tabs,
or by spaces where the first line has no tab. Which columns hold words and tags is found from the
beginning of the file, and said. A word may be any characters at all but the separator; "#" opens a
comment only where the line cannot be a word with its tag.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from hfkit.config import Reading
from hfkit.data.display import shown
from hfkit.data.formats.delimited import DROPPED
from hfkit.data.lines import STDIN, unreadable, without_end
from hfkit.data.record import Fields, Record
from hfkit.errors import EmptyError, InputError, did_you_mean

log = logging.getLogger(__name__)

SUFFIXES = (".conll", ".iob", ".iob2", ".bio", ".bioes", ".bmes", ".ner")
FEWEST_GLUED = 10  # words; in fewer it may be chance
HEAD = 1000  # lines that are not blank, from which the layout is found
MOST_DIGITS = 9  # of a number that counts words
DOCUMENT = "-DOCSTART-"
DOCUMENT_FIELD = "document"
BLANK = " \t\r\n"  # nothing else: other white space may be a word
TAG = re.compile(r"O|[BIESLUM][-_]\S+")
CHUNK = re.compile(r"O|[BIES][-_](?:NP|VP|PP|ADVP|ADJP|SBAR|PRT|CONJP|INTJ|LST|UCP)")
GLUED = re.compile("(.|\ufffd+)([0-9]{1,9})", re.DOTALL)  # U+FFFD: a character that was broken

Line = tuple[int, str]  # its number and its text without the end


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are made up. `tags` is None where there is only a column of words."""

    separator: str  # "\t", or "" for runs of spaces
    width: int
    tokens: int
    tags: int | None
    numbered: bool = False  # the first column counts the words
    glued: bool = False  # each word carries its place in a segment: "口0"
    strict: bool = True  # all tags at the beginning look like tags

    def cut(self, line: str) -> list[str]:
        """Return the fields of a line."""
        if self.separator:
            return line.split(self.separator)
        return re.split("[ \t]+", line.strip(" \t"))

    def is_comment(self, line: str, cells: list[str]) -> bool:
        """Whether a line that starts with # cannot be a word."""
        if not line.startswith("#"):
            return False
        if len(cells) != self.width or (self.numbered and not cells[0].isdecimal()):
            return True
        return self.tags is not None and self.strict and not TAG.fullmatch(cells[self.tags])


def looks_like_conll(lines: Iterable[str]) -> bool:
    """Whether the first lines of a file, blank ones included, are words with tags.

    >>> looks_like_conll(["EU B-ORG", "rejects O", "", "Peter B-PER"])
    True
    >>> looks_like_conll(["a good film\\tpos", "a bad film\\tneg"])
    False
    """
    full = [line for line in map(without_end, lines) if line.strip(BLANK)]
    words = [line for line in full if not line.startswith((DOCUMENT, "#"))]
    if not words:
        return False
    cut = [_cut(line, "\t" in words[0]) for line in words]
    width = len(cut[0])
    good = sum(len(cells) == width and bool(TAG.fullmatch(cells[-1])) for cells in cut)
    several = len(words) > 1 or full[0].startswith(DOCUMENT)
    return width > 1 and several and good * 10 >= len(cut) * 9  # a broken line is told later


def read(lines: Iterator[str], path: str, reading: Reading) -> Iterator[Record]:
    """Yield one record a sentence; one with a bad line has the place of that line.

    Raises `InputError` for an empty file and for a tag column that it does not have.
    """
    head, numbered = _head(((n, without_end(line)) for n, line in enumerate(lines, 1)), path)
    if not any(line.strip(BLANK) for _, line in head):
        raise EmptyError("is empty", place=path)
    layout = _layout([line for _, line in head], path, reading)
    if layout.glued and path != STDIN:  # taken off only where the whole file has them
        everything = list(numbered)
        layout = _unglued(layout, everything, path)
        numbered = iter(everything)
    row = 0
    documents = any(line.startswith(DOCUMENT) for _, line in head)
    for record in _sentences(numbered, layout, path, _Sentence(documents=documents)):
        row += 1
        record.row = row
        yield record
    if not row:
        raise InputError("holds no sentence", place=path)


def _head(lines: Iterator[Line], path: str) -> tuple[list[Line], Iterator[Line]]:
    """Return the first lines, and all lines again. Of stdin only the first sentence is waited
    for."""
    taken: list[Line] = []
    full = words = 0
    for number, line in lines:
        taken.append((number, line))
        if line.strip(BLANK):
            full += 1
            words += not line.startswith((DOCUMENT, "#"))
        elif path == STDIN and words:
            break
        if full >= HEAD:
            break
    return taken, chain(taken, lines)


@dataclass
class _Sentence:
    """The sentence that is being read, and the document it belongs to."""

    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    line: int = 0
    error: str = ""
    error_line: int = 0
    document: int = 0
    documents: bool = False  # whether the file tells of them

    def finished(self, path: str, tagged: bool) -> Iterator[Record]:
        """Yield the sentence as a record, if there is one, and begin another."""
        if self.tokens or self.error:
            fields: Fields = {"tokens": self.tokens}
            if tagged:
                fields["tags"] = self.tags
            if self.documents:
                fields[DOCUMENT_FIELD] = self.document
            yield Record(fields, 0, path, self.error_line or self.line, self.error)
        self.tokens, self.tags, self.line, self.error, self.error_line = [], [], 0, "", 0

    def fail(self, number: int, error: str) -> None:
        """Note the first thing that is wrong with a sentence."""
        if not self.error:
            self.error, self.error_line = error, number


def _sentences(
    lines: Iterator[Line], layout: Layout, path: str, sentence: _Sentence
) -> Iterator[Record]:
    head = True  # of a sentence: comments stand there
    tagged = layout.tags is not None
    for number, line in lines:
        if not line.strip(BLANK):
            yield from sentence.finished(path, tagged)
            head = True
            continue
        if line.startswith(DOCUMENT):
            yield from sentence.finished(path, tagged)
            sentence.document += 1
            sentence.documents, head = True, True
            continue
        cells = layout.cut(line)
        if head and layout.is_comment(line, cells):
            continue
        head = False
        _add(sentence, layout, number, line, cells)
    yield from sentence.finished(path, tagged)


def _add(sentence: _Sentence, layout: Layout, number: int, line: str, cells: list[str]) -> None:
    """Add a line to the sentence."""
    sentence.line = sentence.line or number
    error = unreadable(line)
    if not error and len(cells) != layout.width:
        what = "field" if len(cells) == 1 else "fields"
        error = f"{len(cells)} {what}, the lines before have {layout.width}"
    if error:
        return sentence.fail(number, error)
    token = cells[layout.tokens]
    if layout.glued:
        match = GLUED.fullmatch(token)
        if not match:
            problem = f"expected a character and its number, as before, got {shown(token)}"
            return sentence.fail(number, problem)
        token = match[1]
    tag = cells[layout.tags] if layout.tags is not None else "O"
    if not token or not tag:
        return sentence.fail(number, f"the {'tag' if token else 'word'} is empty")
    sentence.tokens.append(token)
    sentence.tags.append(tag)
    return None


# The layout


def layout_of(lines: Iterable[str], path: str, reading: Reading) -> Layout:
    """Find the layout of a file from its lines, and say it. Raises `InputError`."""
    head, _ = _head(((n, without_end(line)) for n, line in enumerate(lines, 1)), path)
    return _layout([line for _, line in head], path, reading)


def _layout(head: list[str], path: str, reading: Reading) -> Layout:
    """Find the layout from the first lines, and say it."""
    full = [line for line in head if line.strip(BLANK) and not line.startswith(DOCUMENT)]
    words = [line for line in full if not line.startswith("#")]
    words = words or [line for line in full if TAG.fullmatch(_cut(line, "\t" in line)[-1])] or full
    if not words:
        raise InputError("holds no sentence", place=path)
    tabs = "\t" in words[0]
    first = _cut(words[0], tabs)
    width = len(first)
    names = reading.columns
    if names is not None and len(names) != width:
        problem = f"the first line has {width} fields, --columns has {len(names)}"
        raise InputError(problem, place=path)
    table = [cells for cells in (_cut(line, tabs) for line in words) if len(cells) == width]
    numbered = width > 2 and _counts(row[0] for row in table)
    tags, reason = _tag_column(table, path, reading, numbered)
    tokens = _token_column(numbered, tags, names)
    glued = tags is not None and _is_glued([row[tokens] for row in table])
    tag_like = tags is not None and all(TAG.fullmatch(row[tags]) for row in table)
    layout = Layout("\t" if tabs else "", width, tokens, tags, numbered, glued, tag_like)
    log.info(
        "%s: read as CoNLL, columns separated by %s: words in column %d, %s; override with "
        "--tag-column",
        path,
        "tabs" if tabs else "spaces",
        tokens + 1,
        f"tags in column {tags + 1} of {width} ({reason})" if tags is not None else "no tags",
    )
    if glued:
        log.info("%s: each word carries a number, which is taken off (%s)", path, table[0][tokens])
    return layout


def _token_column(numbered: bool, tags: int | None, names: list[str] | None) -> int:
    if names is not None:
        known = ("tokens", "token", "words", "word", "text")
        found = [index for index, name in enumerate(names) if name.lower() in known]
        kept = [index for index, name in enumerate(names) if name != DROPPED and index != tags]
        if found or kept:
            return (found or kept)[0]
    first = 1 if numbered else 0
    return first + 1 if first == tags else first


def _tag_column(
    table: list[list[str]], path: str, reading: Reading, numbered: bool
) -> tuple[int | None, str]:
    """Return the column of the tags, and why."""
    width, names = len(table[0]), reading.columns
    if reading.tag_column is not None:
        return _wanted_tags(reading.tag_column, width, names), "as set"
    if names is not None:
        known = ("tags", "tag", "label", "labels", "ner_tags", "ner")
        found = [index for index, name in enumerate(names) if name.lower() in known]
        if found:
            return found[0], "its name"
    if width == 1:
        return None, ""
    last = width - 1
    outer = last - 1
    if outer > numbered and _are_tags(table, outer) and _are_tags(table, last):
        chunks = all(CHUNK.fullmatch(row[outer]) for row in table)
        if not chunks:
            return outer, f"the outer one of two; the tags in column {width} are not read"
        if all(row[outer] == "O" for row in table):
            return outer, f"the first of two; the tags in column {width} are not read"
    return last, "the last"


def _wanted_tags(wanted: str, width: int, names: list[str] | None) -> int:
    place = "--tag-column"
    if re.fullmatch(r"-?\d{1,9}", wanted):
        number = int(wanted)
        index = number - 1 if number > 0 else width + number
        if number == 0 or not 0 <= index < width:
            problem = f"there is no column {number}; the file has {width}"
            raise InputError(problem, place=place, hint="columns count from 1; -1 is the last")
        return index
    if names is None or wanted not in names:
        hint = did_you_mean(wanted, names) if names else "or name all columns with --columns"
        problem = f"expected the number of a column, got {shown(wanted)}"
        raise InputError(problem, place=place, hint=hint)
    return names.index(wanted)


def _cut(line: str, tabs: bool) -> list[str]:
    return Layout("\t" if tabs else "", 0, 0, None).cut(line)


def _are_tags(table: list[list[str]], column: int) -> bool:
    return all(TAG.fullmatch(row[column]) for row in table)


def _counts(cells: Iterable[str]) -> bool:
    """Whether a column counts the words of each sentence."""
    before = None
    for cell in cells:
        if not cell.isdecimal() or len(cell) > MOST_DIGITS:
            return False
        number = int(cell)
        if number > 1 and number - 1 != before:
            return False
        before = number
    return True


def _is_glued(words: list[str]) -> bool:
    """Whether every word is a character with its number in a segment: 0, or one more than before.

    >>> _is_glued(["科0", "技1", "全0"] * 9), _is_glued(["A4", "B6"] * 9), _is_glued(["70"] * 9)
    (True, False, False)
    """
    matches = [match for match in map(GLUED.fullmatch, words) if match]
    if len(matches) < max(len(words), FEWEST_GLUED):
        return False
    numbers = [int(match[2]) for match in matches]
    odd = sum(b not in (0, a + 1) for a, b in zip([-1, *numbers], numbers, strict=False))
    characters = {match[1] for match in matches}
    several = len(set(numbers)) > 1 and not all(map(str.isdecimal, characters))
    return several and odd * 100 <= len(words)  # published files have a slip or two


def _unglued(layout: Layout, lines: list[Line], path: str) -> Layout:
    """The layout, without numbers to take off where not every word of the file has one."""
    words = []
    for _, line in lines:
        cells = layout.cut(line)
        if line.strip(BLANK) and not line.startswith(DOCUMENT) and len(cells) == layout.width:
            words.append(cells[layout.tokens])
    if _is_glued(words):
        return layout
    log.info("%s: not every word carries a number; words stay as they are", path)
    return replace(layout, glued=False)
