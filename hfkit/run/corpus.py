"""A corpus to search, block by block: texts to embed, records with their vectors, or vectors alone.

What is kept of a text is what a hit shows of it; the corpus itself is never in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.config import Columns, SearchConfig
from hfkit.data.column_names import IDS, plain
from hfkit.data.record import Fields, Record
from hfkit.data.vector_files import VECTOR, read_npy, vector_of
from hfkit.errors import InputError
from hfkit.run.tally import MOST_SHOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.infer.stream import Result, ToRow
    from hfkit.infer.vectorizer import Vectorizer

log = logging.getLogger(__name__)

BLOCK = 4096  # rows of a file of vectors taken at once
OTHER_IDS = frozenset({"docid", "documentid", "corpusid", "pid", "qid", "queryid"})


class Hit(NamedTuple):
    """A text of the corpus: its 1-based row, and its id and text as far as they are known."""

    row: int
    id: Any = None
    text: str | None = None


class Block(NamedTuple):
    """Some texts in their order, with their vectors ``[texts, D]``; `bad` counts those without."""

    vectors: NDArray[Any]
    hits: list[Hit]
    bad: int = 0


def blocks(config: SearchConfig, vectorizer: Vectorizer) -> Iterator[Block]:
    """Read ``config.corpus``; embed what has no vectors. Raises `InputError`."""
    from hfkit.data.source import read

    corpus = config.corpus or ""
    if corpus.lower().endswith(".npy"):
        yield from _vectors_alone(corpus)
        return
    records = iter(read(corpus, config, offline=config.offline))
    first = next(records, None)
    if first is None:
        raise InputError("no rows", place=corpus)
    records = chain([first], records)
    if isinstance(first.fields.get(VECTOR), list):
        log.info('%s: its vectors are taken from the field "%s"', corpus, VECTOR)
        yield from _with_vectors(records, config)
    else:
        yield from _embedded(records, config, vectorizer)


def _vectors_alone(path: str) -> Iterator[Block]:
    vectors = read_npy(path)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        yield Block(block, [Hit(start + place + 1) for place in range(len(block))])


def _with_vectors(records: Iterable[Record], config: SearchConfig) -> Iterator[Block]:
    import numpy as np

    from hfkit.infer.stream import windows

    for window in windows(records, BLOCK, BLOCK):
        found = []
        for record in window:
            if record.error:
                raise InputError(record.error, place=record.place)
            found.append(vector_of(record))
        widths = {len(vector) for vector in found}
        if len(widths) > 1:
            problem = f"vectors of {min(widths)} and of {max(widths)} numbers"
            raise InputError(problem, place=config.corpus or "")
        column = config.text_column or "text"
        yield Block(np.stack(found), [_hit(record, column, config) for record in window])


def _embedded(
    records: Iterable[Record], config: SearchConfig, vectorizer: Vectorizer
) -> Iterator[Block]:
    import numpy as np

    from hfkit.infer.stream import predict_stream, read_rows

    column = ""

    def find(record: Record) -> ToRow:
        nonlocal column
        to_row, column = text_of(record, config.text_column)
        return to_row

    shown = 0
    for window in predict_stream(read_rows(records, find), vectorizer):
        good = [result for result in window if result.answer is not None]
        bad = [result for result in window if result.answer is None]
        shown = say(bad, shown)
        found = [result.answer["vector"] for result in good if result.answer is not None]
        vectors = np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)
        yield Block(vectors, [_hit(result.record, column, config) for result in good], len(bad))


def text_of(record: Record, column: str | None) -> tuple[ToRow, str]:
    """What makes rows of records like this one, and the name of the column with the text."""
    from hfkit.data.columns import find_columns

    names = [name for name in record.fields if name != VECTOR]
    chosen, roles = Columns(text_column=column), {"text": "the text"}
    found = find_columns(names, [record.fields], roles, chosen, need_label=False)
    return found.row, str(found.columns["text"])


def say(bad: Iterable[Result], shown: int) -> int:
    """Name rows without a vector on stderr, `MOST_SHOWN` in all; return how many there were."""
    for result in bad:
        shown += 1
        if shown <= MOST_SHOWN:
            log.warning("%s: %s", result.record.place, result.error)
    return shown


def id_of(fields: Fields, column: str | None) -> Any:
    """The id in a record: in the column named, else in one that is called so; None without one."""
    if column is not None and column in fields:
        return fields[column]
    name = next((name for name in fields if plain(name) in IDS | OTHER_IDS), None)
    return None if name is None else fields[name]


def _hit(record: Record, column: str, config: SearchConfig) -> Hit:
    text = record.fields.get(column)
    own = id_of(record.fields, config.id_column)
    return Hit(record.row, own, text if isinstance(text, str) else None)
