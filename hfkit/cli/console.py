"""What people see: one-line notes on stderr, tables of scores. Rich is imported when a table is.

stdout belongs to results. Notes, warnings, errors and hints are lines on stderr that name the
program and their kind, as compilers write them. Each stream is asked by itself whether a terminal
stands behind it; in a pipe there is no colour and no drawing.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.redaction import redacted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hfkit.metrics.statistics import Scores

PROGRAM = "hfkit"
SEVERITIES = {logging.DEBUG: "debug", logging.INFO: "note", logging.WARNING: "warning"}
MATRIX_LIMIT = 12  # classes up to which a confusion matrix fits on a screen
CLASSES_SHOWN = 30
# No name of a file is longer; what is, is somebody's number or text.
LONG_WORD = re.compile(r"[^\s/\\'\";:,()]{256,}")
LONGEST_MESSAGE = 2000

QUIET_LIBRARIES = {
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def say(severity: str, message: object) -> None:
    """Write one line to stderr, without secrets; a severity of "" leaves it out."""
    if sys.stderr is not None:
        kind = f"{severity}: " if severity else ""
        print(f"{PROGRAM}: {kind}{_clean(str(message))}", file=sys.stderr)


def say_json(content: Mapping[str, Any]) -> None:
    """Write an object to stderr as one line of ASCII, without secrets."""
    if sys.stderr is not None:
        clean = {
            name: shortened(redacted(value)) if isinstance(value, str) else value
            for name, value in content.items()
        }
        print(json.dumps(clean, allow_nan=False), file=sys.stderr)


def _clean(text: str) -> str:
    """A message as it is printed; secrets are looked for in the whole of it."""
    return printable(shortened(redacted(text)))


def shortened(text: str) -> str:
    """Return a message with its longest words cut, and cut itself where it goes on for pages.

    >>> shortened("expected a time, got " + "7" * 6000)[-41:]
    '7777777777777777777777777777777777777777…'
    """
    text = LONG_WORD.sub(lambda word: f"{word[0][:40]}…", text)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def printable(text: str) -> str:
    r"""Escape what could break the line, move the cursor or turn the reading direction.

    >>> printable("two\nlines, \x1b[31mred")
    'two\\nlines, \\x1b[31mred'
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


class NoteHandler(logging.Handler):
    """Writes log records of hfkit as notes and warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(SEVERITIES.get(record.levelno, "error"), record.getMessage())
        except Exception:
            self.handleError(record)


def start_notes(*, quiet: bool = False, verbose: bool = False) -> None:
    """Send hfkit's notes to stderr and keep the libraries below it silent.

    The libraries read their environment when they are imported, which happens later. Python's
    warnings become log records; `verbose` shows them.
    """
    for variable, value in QUIET_LIBRARIES.items():
        os.environ.setdefault(variable, value)
    own = logging.getLogger("hfkit")
    own.handlers = [NoteHandler()]
    own.propagate = False
    own.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(True)
    others = logging.getLogger()
    others.handlers = [NoteHandler()] if verbose else [logging.NullHandler()]


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads the stream on a terminal that can do more than print."""
    terminal = stream is not None and not stream.closed and stream.isatty()
    return terminal and os.environ.get("TERM") != "dumb"


def console(stream: TextIO) -> Console:
    """A Rich console that takes texts as they are: no markup, no emoji codes, no highlighting."""
    from rich.console import Console

    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=is_terminal(stream),
        no_color="NO_COLOR" in os.environ,
    )


def show(parts: Iterable[Any], stream: TextIO) -> None:
    """Write texts and tables; in a pipe without the blanks that fill up the last column."""
    to = console(stream)
    if is_terminal(stream):
        for part in parts:
            to.print(part)
        return
    with to.capture() as captured:
        for part in parts:
            to.print(part)
    for line in captured.get().splitlines():
        print(line.rstrip(), file=stream)


def show_scores(scores: Scores, stream: TextIO, data: str = "") -> None:
    """Write the scores with their intervals beside the baseline, then the classes; `data` names
    what they were measured on."""
    title = f"{data}: {scores.count} rows" if data else f"{scores.count} rows"
    if scores.intervals:
        title += f"; {scores.confidence:.0%} intervals from {scores.resamples} resamples"
    right = ("value", "low", "high", "baseline", *scores.baselines)
    parts: list[Any] = [title, table(_score_rows(scores), right)]
    per_class = scores.tables.get("per_class", [])
    if per_class:
        shown, left_out = _weakest(per_class)
        parts += ["", table(shown, tuple(shown[0])[1:])]
        if left_out:
            parts.append(f"and {left_out} labels with a higher F1")
    matrix = scores.tables.get("confusion_matrix")
    if matrix and len(matrix["labels"]) <= MATRIX_LIMIT:
        parts += ["", _matrix_table(matrix["labels"], matrix["matrix"])]
    show(parts, stream)


def _score_rows(scores: Scores) -> list[dict[str, str]]:
    names = sorted(scores.values, key=lambda name: name != scores.headline)
    rows = []
    for name in names:
        low, high = scores.intervals.get(name, (None, None))
        rows.append(
            {
                "score": name,
                "value": number(scores.values[name]),
                "low": number(low),
                "high": number(high),
                "baseline": number(scores.baseline.get(name)),
                **{key: number(one.get(name)) for key, one in scores.baselines.items()},
            }
        )
    return rows


def _weakest(per_class: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, str]], int]:
    """All labels in their order; where there are many, those with the lowest F1."""
    rows = list(per_class)
    if len(rows) > CLASSES_SHOWN:
        rows = sorted(rows, key=lambda row: float(row["f1"]))[:CLASSES_SHOWN]
    columns = ("label", "support", "precision", "recall", "f1")
    shown = [{column: number(row[column]) for column in columns} for row in rows]
    return shown, len(per_class) - len(rows)


def _matrix_table(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    """Rows are the right labels, columns the predicted ones by their numbers, so that the table
    fits a narrow terminal; right answers stand out."""
    from rich.text import Text

    table = _empty_table()
    table.add_column(Text("right \\ predicted"), overflow="ellipsis", no_wrap=True, max_width=24)
    for column in range(1, len(labels) + 1):
        table.add_column(Text(str(column)), justify="right", no_wrap=True)
    for number_of_row, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        cells = [
            Text(str(count) if count else "·", style="bold green" if right else "")
            for count, right in ((c, i == number_of_row) for i, c in enumerate(counts))
        ]
        table.add_row(Text(f"{number_of_row + 1:>2} {printable(label)}"), *cells)
    return table


def table(rows: Sequence[Mapping[str, str]], right: Sequence[str] = ()) -> Table:
    """Rows as a table; the columns named in `right` are aligned right."""
    from rich.text import Text

    table = _empty_table()
    for name in rows[0]:
        justify: Any = "right" if name in right else "left"
        table.add_column(Text(name), justify=justify, overflow="fold")
    for number_of_row, row in enumerate(rows):
        style = "bold" if number_of_row == 0 and "baseline" in row else ""
        table.add_row(*(Text(printable(cell), style=style) for cell in row.values()))
    return table


def _empty_table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def number(value: Any) -> str:
    """Write a number for a table: four decimals, fewer where it is large.

    >>> number(0.5), number(1234.5678), number(17), number(None), number("neg")
    ('0.5000', '1234.6', '17', '', 'neg')
    """
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"
    return "" if value is None else str(value)


def print_json(value: Any) -> None:
    """Write a value to stdout as indented JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str))
