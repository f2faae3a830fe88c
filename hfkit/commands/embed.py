"""`hfkit embed`: texts in, vectors out, in the order of the input.

A row without a text is an error where only vectors are written (.npy, .parquet): a gap would move
all rows behind it. In JSON Lines it says why it has none, and the rest go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hfkit.config import Columns, EmbedConfig
from hfkit.data.inputs import Input, open_texts
from hfkit.data.output import check_apart, open_output
from hfkit.data.record import Record
from hfkit.data.vector_files import check_names, format_of, make_file
from hfkit.errors import InputError
from hfkit.run.tally import Tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.infer.stream import Result, ToRow
    from hfkit.infer.vectorizer import Vectorizer


def vectors(config: EmbedConfig) -> NDArray[Any]:
    """Return the vectors of all texts, ``[texts, D]`` in float32.

    Raises `InputError` with its place for the first text that cannot be read.
    """
    import numpy as np

    found: list[NDArray[Any]] = []
    for window in _results(config):
        for record, answer, error in window:
            if answer is None:
                raise InputError(error, place=record.place)
            found.append(answer["vector"])
    return np.stack(found) if found else np.zeros((0, 0), dtype=np.float32)


def write_vectors(config: EmbedConfig) -> Tally:
    """Write the vectors to ``config.output`` or standard output, window by window.

    Raises `InputError` for a format that is not known and for a row without a text where the format
    has no place for one, `ResourceError` when the output cannot take more.
    """
    format = format_of(config.output)
    tally = Tally()
    check_apart(config.output, config.inputs)
    with open_output(config.output, config.overwrite) as output:
        file = make_file(format, output)
        try:
            for window in _results(config, format):
                for result in window:
                    tally.add(result)
                file.write(
                    [
                        (r.record, None if r.answer is None else r.answer["vector"], r.error)
                        for r in window
                    ]
                )
            file.close()
        except BaseException:
            file.abandon()
            raise
    tally.report("vector")
    return tally


def _results(config: EmbedConfig, format: str = "npy") -> Iterator[list[Result]]:
    """Open the input, then the model, and start the stream."""
    from hfkit.infer.stream import predict_stream, read_rows
    from hfkit.run.embedding import configured

    if not config.model:
        raise InputError("no model", hint="name one: hfkit embed minilm texts.txt -o vectors.npy")
    given = open_texts(
        config.inputs,
        config,
        text=config.text,
        column=config.text_column,
        offline=config.offline,
    )
    vectorizer: Vectorizer = configured(config).of("", config.prompt)
    rows = read_rows(_checked(given.records, format), lambda record: _to_row(config, given, record))
    return predict_stream(rows, vectorizer, live=given.live)


def _checked(records: Iterable[Record], format: str) -> Iterator[Record]:
    for record in records:
        check_names(record, format)
        yield record


def _to_row(config: EmbedConfig, given: Input, record: Record) -> ToRow:
    from hfkit.data.columns import find_columns

    names, roles = list(record.fields), {"text": "the text"}
    chosen = Columns() if given.single else Columns(text_column=config.text_column)
    return find_columns(names, [record.fields], roles, chosen, need_label=False).row
