"""`hfkit search`: for each query the texts of a corpus that are most like it; exact.

The corpus passes by in blocks: in memory are the queries and the texts found so far, never the
corpus. It may also be the vectors that `hfkit embed` wrote (.npy), or records that hold theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hfkit.config import SearchConfig
from hfkit.data.inputs import open_texts
from hfkit.data.output import open_output
from hfkit.data.record import Fields, Record
from hfkit.data.writer import rounded, to_json
from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.infer.stream import Result
    from hfkit.infer.vectorizer import Vectorizer
    from hfkit.metrics.statistics import Scores
    from hfkit.run.corpus import Block, Hit
    from hfkit.vectors import Nearest

log = logging.getLogger(__name__)

HITS = "hits"
DEPTH = 10  # ranks that the scores look at
SNIPPET = 72  # characters of a text in a table


@dataclass(frozen=True)
class Searched:
    """What came of it: queries, rows of both files that could not be read, and the scores where
    right answers were given."""

    queries: int
    errors: int
    scores: Scores | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        scores = {} if self.scores is None else self.scores.to_json()
        return {"queries": self.queries, "errors": self.errors, **scores}


class Query(NamedTuple):
    """A query with the hits for it, best first, and their scores; `error` says why it has none."""

    record: Record
    id: str
    hits: list[tuple[Hit, float]]
    error: str = ""

    @property
    def text(self) -> str:
        """What a person takes for the query: all its texts."""
        return " ".join(value for value in self.record.fields.values() if isinstance(value, str))


def hits(config: SearchConfig) -> Iterator[Fields]:
    """Search; yield each query's record with its ``hits``, or with ``row`` and ``error``."""
    found, _ = _search(config)
    return (_as_record(query, config.top_k) for query in found)


def write_hits(config: SearchConfig) -> Searched:
    """Search, write each query with its hits to ``config.output`` or standard output, and score
    the search where ``config.qrels`` says what is right.

    Raises `InputError` for files that cannot be read and for vectors of another length than the
    model's, `ResourceError` when the output cannot take more.
    """
    from hfkit.data.qrels import read_qrels

    judgements = read_qrels(config.qrels) if config.qrels else None
    with open_output(config.output, config.overwrite) as output:
        found, errors = _search(config)
        for query in found:
            record = _as_record(query, config.top_k)
            text = _table(record, query.text) if output.is_terminal else to_json(record) + "\n"
            output.write(text)
    bad = sum(bool(query.error) for query in found)
    if bad:
        log.warning("%d of %d queries have no hits", bad, len(found))
    scores = None if judgements is None else _scored(found, judgements, config.qrels or "")
    return Searched(len(found), bad + errors, scores)


def _as_record(query: Query, most: int) -> Fields:
    if query.error:
        return {**query.record.fields, "row": query.record.row, "error": query.error}
    found = [
        {
            "rank": rank,
            "row": hit.row,
            **({} if hit.id is None else {"id": hit.id}),
            "score": rounded(score),
            **({} if hit.text is None else {"text": hit.text}),
        }
        for rank, (hit, score) in enumerate(query.hits[:most], start=1)
    ]
    return {**query.record.fields, HITS: found}


def _search(config: SearchConfig) -> tuple[list[Query], int]:
    """All queries with their hits, and the number of rows of the corpus that could not be read."""
    import numpy as np

    from hfkit.run.corpus import id_of
    from hfkit.run.embedding import configured
    from hfkit.vectors import Nearest

    if not config.model or not config.corpus:
        missing = "corpus" if config.model else "model"
        raise InputError(f"no {missing}", hint="as: hfkit search minilm corpus.jsonl queries.jsonl")
    vectorizer = configured(config)
    answered = _queries(config, vectorizer.of("query", config.query_prompt))
    vectors = [result.answer["vector"] for result in answered if result.answer is not None]
    ranked: Iterator[list[tuple[Hit, float]]] = iter([])
    errors = 0
    if vectors:
        depth = max(config.top_k, DEPTH) if config.qrels else config.top_k
        likeness: Any = "cosine" if config.normalize else "dot"
        nearest = Nearest(np.stack(vectors), depth, likeness=likeness)
        kept, errors = _pass_by(config, vectorizer.of("document", config.prompt), nearest)
        ranked = (
            [(kept[row], score) for row, score in zip(rows, scores, strict=True)]
            for rows, scores in zip(nearest.rows.tolist(), nearest.scores.tolist(), strict=True)
        )
    found = []
    for record, answer, error in answered:
        own = id_of(record.fields, config.id_column)
        name = str(record.row if own is None else own)
        found.append(Query(record, name, [] if answer is None else next(ranked), error))
    return found, errors


def _queries(config: SearchConfig, vectorizer: Vectorizer) -> list[Result]:
    """All queries with their vectors."""
    from hfkit.infer.stream import predict_stream, read_rows
    from hfkit.run.corpus import say, text_of

    given = open_texts(
        config.queries,
        config,
        text=config.text,
        column=config.query_column,
        offline=config.offline,
    )
    column = None if given.single else config.query_column
    rows = read_rows(_checked(given.records), lambda record: text_of(record, column)[0])
    found = [result for window in predict_stream(rows, vectorizer) for result in window]
    say((result for result in found if result.answer is None), 0)
    return found


def _checked(records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        if HITS in record.fields:
            problem = f'the queries have a field "{HITS}" already'
            raise InputError(problem, place=record.place, hint="rename it")
        yield record


def _pass_by(
    config: SearchConfig, vectorizer: Vectorizer, nearest: Nearest
) -> tuple[dict[int, Hit], int]:
    """Let the corpus pass; return what was found of it, by its place among the texts that passed,
    and the number of rows that have no vector."""
    import numpy as np

    from hfkit.run.corpus import blocks

    corpus = config.corpus or ""
    kept: dict[int, Hit] = {}
    errors = 0
    for block in blocks(config, vectorizer):
        errors += block.bad
        before = nearest.seen
        if block.hits:
            _check(block, nearest, corpus)
            nearest.add(block.vectors)
        needed = np.unique(nearest.rows).tolist()
        kept = {row: kept[row] if row < before else block.hits[row - before] for row in needed}
    if errors:
        log.warning("%s: rows that cannot be found, for want of a text: %d", corpus, errors)
    if not nearest.seen:
        raise InputError("no row of it can be searched", place=corpus)
    return kept, errors


def _check(block: Block, nearest: Nearest, corpus: str) -> None:
    import numpy as np

    width = block.vectors.shape[1]
    if width != nearest.width:
        problem = f"its vectors have {width} numbers, the model's {nearest.width}"
        raise InputError(problem, place=corpus, hint="embed it with the same model")
    if not np.isfinite(block.vectors).all():
        raise InputError("its vectors are not finite numbers", place=corpus)


def _scored(
    found: list[Query], judgements: Mapping[str, Mapping[str, float]], qrels: str
) -> Scores:
    """Score the queries that are judged. Raises `InputError` where none is."""
    from hfkit.metrics.retrieval import Retrieval
    from hfkit.metrics.statistics import score

    judged = [query for query in found if query.id in judgements]
    if not judged:
        some = f"'{found[0].id:.40}'" if found else "none"
        raise InputError(f"judges none of the queries, whose ids are {some}, …", place=qrels)
    for what, count in (
        ("queries that are not judged", len(found) - len(judged)),
        ("judged queries that were not asked", len(judgements) - len(judged)),
    ):
        if count:
            log.info("%s: %s: %d", qrels, what, count)
    answers, gold = [], []
    for query in judged:
        names = (str(hit.row if hit.id is None else hit.id) for hit, _ in query.hits)
        answers.append({"ranking": list(dict.fromkeys(names))})
        gold.append({"relevant": judgements[query.id]})
    return score(Retrieval(answers, gold, []))


def _table(record: Fields, text: str) -> str:
    """A query and its hits for a person at a terminal."""
    lines = [_line(text)]
    if "error" in record:
        lines.append(f"    {_line(record['error'])}")
    for hit in record.get(HITS, []):
        name = _line(str(hit.get("id", hit["row"])))
        lines.append(f"{hit['rank']:>4}  {hit['score']:.3f}  {name}  {_line(hit.get('text', ''))}")
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """One line of a text, without characters that could drive a terminal."""
    shown = " ".join(text.split())[:SNIPPET]
    return "".join(character if character.isprintable() else "?" for character in shown)
