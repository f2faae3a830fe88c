"""Files that records are written to: lines, arrays, tables, CoNLL, SQuAD's nested JSON.

Each is written as records come, but for Parquet, whose types are known when all rows are.
"""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from hfkit.data.display import listed
from hfkit.data.formats.conll import BLANK, DOCUMENT
from hfkit.data.lines import unreadable
from hfkit.data.output import Output
from hfkit.data.record import Fields
from hfkit.data.writer import quoted, to_json
from hfkit.errors import InputError

Losses = Counter[str]


class Container(Protocol):
    """Takes records in order."""

    def write(self, fields: Fields) -> None:
        """Write one record. Raises `InputError`, without a place, for one that does not fit."""
        ...

    def close(self) -> None:
        """Write what belongs at the end."""
        ...


def make_container(kind: str, output: Output, losses: Losses) -> Container:
    """Return the writer of a kind of file; what has no place in it is counted in `losses`."""
    if kind in ("csv", "tsv"):
        return Delimited(output, losses, "," if kind == "csv" else "\t")
    kinds: dict[str, Callable[[Output, Losses], Container]] = {
        "conll": Conll,
        "squad": Squad,
        "json": Array,
        "parquet": Parquet,
    }
    return kinds.get(kind, Lines)(output, losses)


class Lines:
    """One JSON object a line."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output

    def write(self, fields: Fields) -> None:
        """Write one line."""
        self._output.write(to_json(fields) + "\n")

    def close(self) -> None:
        """Every line is complete."""


class Array:
    """One JSON array, an object a line."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output
        self._before = "[\n"

    def write(self, fields: Fields) -> None:
        """Write one object."""
        self._output.write(self._before + to_json(fields))
        self._before = ",\n"

    def close(self) -> None:
        """Close the array."""
        self._output.write("\n]\n" if self._before == ",\n" else "[]\n")


class Delimited:
    """CSV or TSV with the columns of the first record. Lists and objects are JSON in their cell."""

    def __init__(self, output: Output, losses: Losses, delimiter: str) -> None:
        self._output = output
        self._losses = losses
        self._delimiter = delimiter
        self._columns: list[str] = []

    def write(self, fields: Fields) -> None:
        """Write one row, the header before the first."""
        if not self._columns:
            self._columns = list(fields)
            self._line(self._columns)
        unknown = [name for name in fields if name not in self._columns]
        if unknown:
            problem = f"the first row has no field {listed(unknown)}"
            raise InputError(problem, hint="convert to jsonl")
        self._line([self._cell(fields.get(name)) for name in self._columns])

    def close(self) -> None:
        """Every line is complete."""

    def _cell(self, value: Any) -> str:
        if value is None:
            self._losses["values that are null, written as empty cells"] += 1
            return ""
        return value if isinstance(value, str) else to_json(value)

    def _line(self, cells: Iterable[str]) -> None:
        text = self._delimiter.join(quoted(cell, self._delimiter) for cell in cells)
        # A single empty cell would be a blank line, which is no row.
        self._output.write((text or '""') + "\n")


class Parquet:
    """A Parquet file; all rows are held until the end."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output
        self._rows: list[Fields] = []

    def write(self, fields: Fields) -> None:
        """Take one row."""
        self._rows.append(fields)

    def close(self) -> None:
        """Write the file. Raises `InputError` for a column of several types."""
        import pyarrow as pa
        from pyarrow.parquet import write_table

        names = list(dict.fromkeys(name for row in self._rows for name in row))
        arrays = []
        for name in names:
            try:
                arrays.append(pa.array([row.get(name) for row in self._rows]))
            except (pa.ArrowException, OverflowError) as error:
                reason = str(error).partition("\n")[0][:120]
                problem = f"column {name!r} has values of several types ({reason})"
                raise InputError(problem, hint="convert to jsonl") from error
        file = io.BytesIO()
        write_table(pa.Table.from_arrays(arrays, names=names), file)
        self._output.write_bytes(file.getvalue())


class Conll:
    """A word and its tag a line, a tab between; a blank line after each sentence."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output
        self._losses = losses
        self._document: Any = 0  # of sentences before the first mark

    def write(self, fields: Fields) -> None:
        """Write a sentence, a mark before it where a document begins."""
        words, tags = fields["tokens"], fields["tags"]
        if not all(map(fits_a_line, words)) or not all(map(fits_a_line, tags)):
            self._losses["sentences with a word that a line cannot hold, left out"] += 1
            return
        document = fields.get("document", self._document)
        if document != self._document:
            self._document = document
            self._output.write(f"{DOCUMENT}\tO\n\n")
        lines = (f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        self._output.write("".join(lines) + "\n")
        for name in fields.keys() - {"tokens", "tags", "document"}:
            self._losses[f"rows with {name!r}, which CoNLL has no place for"] += 1

    def close(self) -> None:
        """Every sentence is complete."""


def fits_a_line(word: str) -> bool:
    """Whether a word can stand between tabs, and is read again as it is."""
    return not (
        set(word) & set("\t\r\n")
        or not word.strip(BLANK)
        or word.startswith((DOCUMENT, "\ufeff"))
        or unreadable(word)
    )


class Squad:
    """SQuAD's nested JSON; articles and paragraphs are questions of one title and context in a
    row."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output
        self._losses = losses
        self._article: dict[str, Any] | None = None
        self._before = '{"version": "2.0", "data": [\n'
        self._ids = itertools.count(1)

    def write(self, fields: Fields) -> None:
        """Take one question."""
        title = fields.get("title", "")
        if self._article is None or self._article["title"] != title:
            self._flush()
            self._article = {"title": title, "paragraphs": []}
        paragraphs = self._article["paragraphs"]
        if not paragraphs or paragraphs[-1]["context"] != fields["context"]:
            paragraphs.append({"context": fields["context"], "qas": []})
        answers = fields["answers"]
        places = zip(answers["text"], answers["answer_start"], strict=True)
        paragraphs[-1]["qas"].append(
            {
                "id": fields.get("id", str(next(self._ids))),
                "question": fields["question"],
                "answers": [{"text": text, "answer_start": start} for text, start in places],
                "is_impossible": not answers["text"],
            }
        )
        for name in fields.keys() - {"id", "title", "question", "context", "answers"}:
            self._losses[f"rows with {name!r}, which SQuAD has no place for"] += 1

    def close(self) -> None:
        """Write the last article and close the brackets."""
        self._flush()
        self._output.write(("" if self._before == ",\n" else self._before) + "\n]}\n")

    def _flush(self) -> None:
        if self._article is not None:
            text = json.dumps(self._article, ensure_ascii=False)
            self._output.write(self._before + text)
            self._before = ",\n"
