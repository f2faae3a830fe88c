"""Results as lines: JSON Lines, CSV, TSV, or a table for a person.

A result keeps the fields of its record, in their order, and adds what hfkit says:

    JSON Lines   {"id": 7, "text": "…", "prediction": {"label": "pos", "score": 0.93}}
                 {"id": 8, "row": 8, "error": "column \\"text\\": empty"}
    CSV, TSV     id,text,prediction.label,prediction.score,prediction.truncated,row,error

In JSON Lines a key stands only where it has something to say. A CSV file has one header for all
its rows, written before they are known; so ``prediction.truncated``, ``row`` and ``error`` are
always there, empty in most rows. Labels and scores that are lists are joined by one separator.
Numbers of a prediction have nine significant digits, enough to tell any two 32-bit numbers apart:
scores computed from the file are those computed from the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hfkit.data.record import Fields, Record
from hfkit.errors import InputError

Answer = dict[str, Any]
Result = tuple[Record, Answer | None, str]  # the record, its answer or None, the error or ""

MOST_HELD = 10_000  # bad rows at the head of a file whose columns are not known yet


@dataclass(frozen=True)
class Naming:
    """The names of the fields that hfkit adds, and whether the record's own are kept."""

    prefix: str = ""
    only_prediction: bool = False

    @property
    def prediction(self) -> str:
        """Name of the field with the answer."""
        return f"{self.prefix}prediction"

    @property
    def row(self) -> str:
        """Name of the field with the 1-based number of a bad row."""
        return f"{self.prefix}row"

    @property
    def error(self) -> str:
        """Name of the field that says why a row is bad."""
        return f"{self.prefix}error"

    def check(self, record: Record) -> None:
        """Raise `InputError` where a field of the record has a name that hfkit would add."""
        if self.only_prediction:
            return
        for name in record.fields:
            if self.takes(name):
                raise InputError(
                    f'the input has a field "{name}" already',
                    place=record.place,
                    hint="put something before hfkit's names with --prefix, as --prefix hfkit_",
                )

    def takes(self, name: str) -> bool:
        """Whether hfkit would write a field of this name."""
        own = (self.prediction, self.row, self.error)
        return name in own or name.startswith(f"{self.prediction}.")

    def merged(self, result: Result) -> Fields:
        """The result as one flat record, as it stands in JSON Lines."""
        record, answer, error = result
        fields = {} if self.only_prediction else dict(record.fields)
        if answer is not None:
            fields[self.prediction] = rounded(answer)
        else:
            fields |= {self.row: record.row, self.error: error}
        return fields


def rounded(value: Any) -> Any:
    """Round all numbers with a fraction to nine significant digits.

    >>> rounded({"label": "pos", "score": 0.12345678912345})
    {'label': 'pos', 'score': 0.123456789}
    """
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return rounded(value.tolist()) if hasattr(value, "tolist") else value  # an array


class Writer(Protocol):
    """Turns results into text, window by window; `unfit` counts the answers it had no place for."""

    unfit: int

    def text(self, results: Sequence[Result]) -> str:
        """Return whole lines for these results, with what belongs before them."""
        ...

    def end(self) -> str:
        """Return what is left to write when all results were given."""
        ...

    def state(self) -> dict[str, Any] | None:
        """Return what another writer must know to go on here; None while results are held back."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a writer was in this `state`."""
        ...


def make_writer(
    format: str,
    naming: Naming,
    *,
    separator: str = "|",
    spread: bool = False,
    single: bool = False,
) -> Writer:
    """Return the writer of a format: ``jsonl``, ``csv``, ``tsv``, ``conll`` or ``table``.

    `separator` joins the labels of one row in CSV; `spread` gives each score a column of its own;
    `single`: a table is about one text only.
    """
    if format in ("csv", "tsv"):
        return Delimited("," if format == "csv" else "\t", naming, separator, spread)
    if format == "table":
        from hfkit.data.table_writer import Table

        return Table(single)
    if format == "conll":
        from hfkit.data.conll_writer import Conll

        return Conll()
    return JsonLines(naming)


class Plain:
    """A writer that knows nothing of the lines before but how many answers were unfit for them."""

    unfit = 0

    def end(self) -> str:
        """Return nothing: every line is complete."""
        return ""

    def state(self) -> dict[str, Any] | None:
        """Return the count of what was unfit."""
        return {"unfit": self.unfit}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with that count."""
        self.unfit = state["unfit"]


class JsonLines(Plain):
    """One JSON object a line, UTF-8 as it is; it has a place for everything."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming

    def text(self, results: Sequence[Result]) -> str:
        """Return one line for each result."""
        return "".join(to_json(self._naming.merged(result)) + "\n" for result in results)


def to_json(value: Any) -> str:
    """Write strict JSON on one line; NaN and infinity, which JSON does not have, become null.

    >>> to_json({"text": "né", "x": float("nan")})
    '{"text": "né", "x": null}'
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=str)
    # A lone surrogate has no UTF-8; JSON can still spell it.
    return text if text.isascii() or _is_unicode(text) else json.dumps(json.loads(text))


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


class Delimited:
    """CSV or TSV: one header, then rows of the same columns.

    The columns are those of the first answered record and of its answer. Bad rows before it wait
    for it, `MOST_HELD` at most.
    """

    def __init__(self, delimiter: str, naming: Naming, separator: str, spread: bool) -> None:
        self._delimiter = delimiter
        self._naming = naming
        self._separator = separator
        self._spread = spread
        self._own: list[str] = []  # columns of the record
        self._header: list[str] = []
        self._held: list[Result] = []
        self.unfit = 0

    def text(self, results: Sequence[Result]) -> str:
        """Return the lines of these results, the header before the first."""
        if self._header:
            return "".join(map(self._line, results))
        self._held += results
        answered = next((result for result in self._held if result[1] is not None), None)
        if answered is None:
            if len(self._held) > MOST_HELD:
                record, _, error = self._held[0]
                raise InputError(
                    f"none of the first {MOST_HELD} rows is good: {error}", place=record.place
                )
            return ""
        return self._release(answered)

    def end(self) -> str:
        """Return the rows of an input without one good row."""
        return self._release(self._held[0]) if self._held else ""

    def state(self) -> dict[str, Any] | None:
        """Return the columns and the count of what was unfit; None before the header."""
        if not self._header:
            return None
        return {"own": self._own, "header": self._header, "unfit": self.unfit}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on below a header that is written."""
        self._own, self._header = list(state["own"]), list(state["header"])
        self.unfit = state["unfit"]

    def _release(self, model: Result) -> str:
        """Fix the columns after a result, and write the header with all that waited."""
        record, answer, _ = model
        self._own = [] if self._naming.only_prediction else list(record.fields)
        added = {} if answer is None else self._flat(answer)
        added[f"{self._naming.prediction}.truncated"] = ""
        self._header = [*self._own, *added, self._naming.row, self._naming.error]
        held, self._held = self._held, []
        return self._joined(self._header) + "".join(map(self._line, held))

    def _line(self, result: Result) -> str:
        record, answer, error = result
        cells: dict[str, str] = {}
        if not self._naming.only_prediction:
            cells = {name: _cell(value) for name, value in record.fields.items()}
        try:
            cells |= self._flat(answer or {})
        except InputError as unwritable:
            error = f"{unwritable.message}; {unwritable.hint}"
        unknown = next((name for name in cells if name not in self._header), None)
        if unknown is not None:
            error = f'field "{unknown}" is not in the first row; use --format jsonl'
        self.unfit += bool(answer and error)
        if error:
            cells |= {self._naming.row: str(record.row), self._naming.error: error}
        return self._joined([cells.get(name, "") for name in self._header])

    def _flat(self, answer: Answer) -> dict[str, str]:
        """The answer as columns: ``prediction.label``; lists are joined, or spread over columns."""
        cells: dict[str, str] = {}
        for key, value in rounded(answer).items():
            name = f"{self._naming.prediction}.{key}"
            if key == "labels":
                cells[name] = self._labels(value)
            elif isinstance(value, dict) and self._spread:
                cells |= {f"{name}.{part}": _cell(item) for part, item in value.items()}
            elif isinstance(value, dict) and list(value) == answer.get("labels"):
                cells[name] = self._separator.join(map(_cell, value.values()))
            else:
                cells[name] = _cell(value)
        return cells

    def _labels(self, labels: Iterable[str]) -> str:
        for label in labels:
            if self._separator in label:
                raise InputError(
                    f'label "{label}" contains the separator "{self._separator}"',
                    hint="choose another with --label-delimiter",
                )
        return self._separator.join(labels)

    def _joined(self, cells: Sequence[str]) -> str:
        return self._delimiter.join(quoted(cell, self._delimiter) for cell in cells) + "\n"


def quoted(cell: str, delimiter: str = ",") -> str:
    """Quote a cell that a reader could take for more or less than one.

    Beside the delimiter, quotation marks and line ends that is every control character and space
    at the border: readers differ in what they strip, and some break lines at U+2028.

    >>> quoted("plain"), quoted("a,b"), quoted(" x")
    ('plain', '"a,b"', '" x"')
    """
    plain = cell.isprintable() and delimiter not in cell and '"' not in cell
    if plain and cell.strip() == cell:
        return cell
    return '"' + cell.replace('"', '""') + '"'


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value)
