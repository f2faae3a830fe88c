"""`hfkit predict`: rows in, the same rows with answers out, as a Unix filter.

Each input row has one output row, in order. A row that cannot be answered says why and the rest go
on; the command then ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from hfkit.config import Columns, PredictConfig
from hfkit.data.inputs import Input, open_input
from hfkit.data.record import Fields, Record
from hfkit.data.writer import Naming, Writer, make_writer
from hfkit.errors import InputError
from hfkit.run.tally import Tally
from hfkit.run.writing import check_resume, checked, format_of, open_answers

if TYPE_CHECKING:
    from hfkit.infer.stream import Readable, ToRow
    from hfkit.run.opening import Opened

# Where else a role may come from than from the input.
ELSEWHERE = {
    "context": ", or the documents to look in with --documents",
    "candidates": ", or the labels of all texts with --labels",
}


def predictions(config: PredictConfig) -> Iterator[Fields]:
    """Answer rows lazily; yield each record with its answer under ``prediction``.

    A record that could not be answered has ``row`` (1-based) and ``error`` instead. Raises
    `InputError` at once for a missing file, model or column.
    """
    from hfkit.infer.stream import predict_stream
    from hfkit.run.predicting import make_predictor

    naming, given = _naming(config), open_input(config)
    opened, rows = _rows(config, naming, given)
    shorten = _shorten(config, opened)
    predictor = make_predictor(opened, config, once=given.single)
    results = predict_stream(rows, predictor, live=given.live)
    return (
        naming.merged((record, None if answer is None else shorten(answer), error))
        for window in results
        for record, answer, error in window
    )


def write_predictions(
    config: PredictConfig, progress: Callable[[int], None] = lambda rows: None
) -> Tally:
    """Answer rows and write them to ``config.output`` or standard output, window by window.

    `progress` is told the number of rows written so far. With ``config.resume`` what an earlier
    command has left is gone on with. Raises `BrokenPipeError` when the reader of a pipe is gone,
    `ResourceError` when the output cannot take more.
    """
    from hfkit.infer.stream import predict_stream
    from hfkit.run.journal import Journal, Position
    from hfkit.run.predicting import fingerprint, make_predictor
    from hfkit.run.speaking import spoken

    naming, given = _naming(config), open_input(config)
    check_resume(config, given)
    with open_answers(config) as output:
        opened, rows = _rows(config, naming, given)
        format = format_of(config, given, output)
        writer = _writer(config, given, naming, format)
        if given.empty and not config.resume:  # no model is loaded for it
            output.write(writer.end())
            return Tally()
        whole = format == "conll" or (format == "table" and given.single)
        shorten = (lambda answer: answer) if whole else _shorten(config, opened)
        journal = Journal(output, lambda: fingerprint(opened, config, format))
        begun = journal.go_on((r.record for r in rows), writer) if config.resume else Position()
        tally = Tally(begun.rows, begun.errors, begun.truncated)
        predictor = make_predictor(opened, config, once=given.single)
        if given.single and format == "table":
            writer = spoken(writer, predictor, output.write)
        for window in predict_stream(rows, predictor, live=given.live, before=begun.windows):
            for result in window:
                tally.add(result)
            output.write(
                writer.text(
                    [
                        (r.record, None if r.answer is None else shorten(r.answer), r.error)
                        for r in window
                    ]
                )
            )
            if not given.live:
                journal.add((r.record for r in window), writer, tally)
            progress(tally.rows)
        output.write(writer.end())
        tally.errors += writer.unfit
    tally.report("prediction")
    return tally


def _writer(config: PredictConfig, given: Input, naming: Naming, format: str) -> Writer:
    return make_writer(
        format,
        naming,
        separator=config.label_delimiter or "|",
        spread=config.scores,
        single=given.single,
    )


def _naming(config: PredictConfig) -> Naming:
    return Naming(config.prefix, config.only_prediction)


def _rows(config: PredictConfig, naming: Naming, given: Input) -> tuple[Opened, Iterator[Readable]]:
    """Open the run, all but what computes, and start the stream of its rows.

    The columns of a file are found before the model is loaded, as a wrong one is found in
    milliseconds. A pipe may be silent for long; its model is loaded meanwhile.
    """
    from hfkit.hashing import Hashes
    from hfkit.infer.stream import read_rows
    from hfkit.run.knowledge import with_documents
    from hfkit.run.opening import open_run

    if not config.model:
        raise InputError("no model", hint="name a run or a model: hfkit predict MODEL INPUT")
    opened = with_documents(open_run(config.model, config, hashes=Hashes()), config)
    rows: Iterator[Readable] = read_rows(
        checked(given.records, naming), lambda record: _to_row(config, opened, given, record)
    )
    return opened, rows if given.live else _started(rows)


def _started(rows: Iterator[Readable]) -> Iterator[Readable]:
    """Read the first row now, so that its errors come now."""
    first = next(rows, None)
    return rows if first is None else chain([first], rows)


def _to_row(config: PredictConfig, opened: Opened, given: Input, record: Record) -> ToRow:
    """Find what turns the fields of this input into rows; `record` is its first good one.

    Columns that the user names come first, then those the model was trained on, then a guess.
    """
    from hfkit.data.columns import find_columns

    roles, names = opened.task.columns, list(record.fields)
    chosen: Columns = config
    known = opened.columns or {}
    if given.single and len(names) == 1:  # a text typed here is in no column
        role = _role_of(names[0], list(roles), known)
        chosen, known = Columns(), {role: names[0]}
    kind, sample = opened.task.label_kind, [record.fields]
    columns = find_columns(names, sample, roles, chosen, known, need_label=False, label_kind=kind)
    if "text_pair" in (opened.columns or {}) and "text_pair" not in columns.columns:
        raise InputError(
            "no column for text_pair, which the model was trained with",
            place=record.path,
            hint="name it with --text-pair-column",
        )
    return columns.row


def _role_of(name: str, roles: list[str], trained: Mapping[str, Any]) -> str:
    """What the one text is that was typed. Raises `InputError` where the task reads two texts."""
    needed = [role for role in roles if not role.endswith("?")]
    if "text_pair" in trained and "text_pair" not in needed:
        needed.append("text_pair")
    if len(needed) > 1:
        typed = " ".join(f'{role}="…"' for role in needed)
        other = next((ELSEWHERE[role] for role in needed if role in ELSEWHERE), "")
        raise InputError(f"this model reads {' and '.join(needed)}", hint=f"give {typed}{other}")
    optional = [role.removesuffix("?") for role in roles]
    return next(iter(needed), name if name in optional else "text")


def _shorten(config: PredictConfig, opened: Opened) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return (lambda answer: answer) if config.scores else opened.task.brief
