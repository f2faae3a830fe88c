"""`hfkit score`: rows in, the same rows with their log-probability out, as a Unix filter.

Each input row has one output row, in order. A row that cannot be scored says why and the rest go
on; the command then ends with exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from hfkit.config import Columns, PredictConfig, Reading, ScoreConfig
from hfkit.data.inputs import Input, open_input
from hfkit.data.record import Fields, Record
from hfkit.data.writer import Naming, make_writer
from hfkit.errors import InputError
from hfkit.run.tally import Tally
from hfkit.run.writing import check_resume, checked, format_of, open_answers

if TYPE_CHECKING:
    from hfkit.infer.endpoint_scorer import EndpointScorer
    from hfkit.infer.likelihood import Scorer
    from hfkit.infer.stream import Readable, ToRow

TARGET: dict[str, str | list[str]] = {"label": "target"}  # the usual name of that column


def scores(config: ScoreConfig) -> Iterator[Fields]:
    """Score rows lazily; yield each record with its scores under ``prediction``.

    A record that could not be scored has ``row`` (1-based) and ``error`` instead. Raises
    `InputError` at once for a missing file, model or column.
    """
    from hfkit.infer.stream import predict_stream

    naming = Naming(config.prefix, config.only_prediction)
    given = _given(config)
    scorer, rows = _opened(config, naming, given)
    results = predict_stream(rows, scorer, live=given.live)
    return (naming.merged(result) for window in results for result in window)


def write_scores(config: ScoreConfig) -> Tally:
    """Score rows and write them to ``config.output`` or standard output, window by window.

    With ``config.resume`` what an earlier command has left is gone on with. Raises
    `BrokenPipeError` when the reader of a pipe is gone, `ResourceError` when the output cannot
    take more.
    """
    from hfkit.infer.stream import predict_stream
    from hfkit.run.journal import Journal, Position
    from hfkit.run.scoring import fingerprint

    naming = Naming(config.prefix, config.only_prediction)
    given = _given(config)
    check_resume(config, given)
    with open_answers(config) as output:
        scorer, rows = _opened(config, naming, given)
        format = format_of(config, given, output)
        writer = make_writer(format, naming, single=given.single)
        journal = Journal(output, lambda: fingerprint(config, format))
        begun = journal.go_on((r.record for r in rows), writer) if config.resume else Position()
        tally = Tally(begun.rows, begun.errors, begun.truncated)
        for window in predict_stream(rows, scorer, live=given.live, before=begun.windows):
            for result in window:
                tally.add(result)
            output.write(writer.text(window))
            if not given.live:
                journal.add((r.record for r in window), writer, tally)
        output.write(writer.end())
        tally.errors += writer.unfit
    tally.report("score")
    return tally


def _given(config: ScoreConfig) -> Input:
    """What the arguments are: texts, a file, a pipe."""
    if not config.model:
        raise InputError("no model", hint="name a language model: hfkit score MODEL INPUT")
    settings = {name: getattr(config, name) for name in Reading.model_fields}
    return open_input(
        PredictConfig(
            inputs=config.inputs,
            text=config.text,
            text_column=config.text_column,
            offline=config.offline,
            **settings,
        )
    )


def _opened(
    config: ScoreConfig, naming: Naming, given: Input
) -> tuple[Scorer | EndpointScorer, Iterator[Readable]]:
    """Open the model and start the stream of its rows."""
    from hfkit.infer.stream import read_rows
    from hfkit.run.scoring import open_scorer

    scorer = open_scorer(config)
    rows: Iterator[Readable] = read_rows(
        checked(given.records, naming), lambda record: _to_row(config, scorer, given, record)
    )
    if not given.live:
        first = next(rows, None)  # so that its errors come now
        rows = rows if first is None else chain([first], rows)
    return scorer, rows


def _to_row(
    config: ScoreConfig, scorer: Scorer | EndpointScorer, given: Input, record: Record
) -> ToRow:
    """Find what turns the fields of this input into rows; `record` is its first good one."""
    from hfkit.data.columns import find_columns

    names, roles = list(record.fields), scorer.columns
    if given.single and len(names) == 1 and len(roles) > 1:
        hint = 'give text="…" target="…"'
        raise InputError("this model reads a source and a target", hint=hint)
    chosen = Columns()
    if not (given.single and len(names) == 1):
        chosen = Columns(text_column=config.text_column, label_column=config.target_column)
    found = find_columns(
        names, [record.fields], roles, chosen, {**TARGET, **scorer.known},
        need_label="label" in roles, label_kind=scorer.label_kind,
    )  # fmt: skip
    return found.row
