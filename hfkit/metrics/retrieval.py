"""Scores of rankings: nDCG@10, MRR@10, recall@1, @5, @10.

Each formula is a pure function of the gains along a ranking, ``[queries, ranks]``: how relevant the
document at each rank is, 0 where it is not or there is none. They are linear in the gain, as in
trec_eval, so that a document judged 2 counts twice one judged 1.

The fact that people get wrong: a text that stands in the collection twice, or answers two queries,
is one document. Counting its copy as a mistake, or as a second thing to find, changes the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.metrics.base import Answer, Counts, Metric, field
from hfkit.vectors import top_k

Floats = NDArray[np.float64]
Relevance = Mapping[Hashable, float]  # document -> gain; what is absent is not relevant

DEPTH = 10
RECALLS = (1, 5, 10)


class Retrieval(Metric):
    """How well each text finds the one that belongs to it among all that belong to some text.

    Reads either ``vectors``, ``[2 or 3, D]``: the vector of a text, then that of the text that
    belongs to it. All the latter together are the collection, each text once; a text that occurs
    several times has several right answers. Which texts are the same is told by the gold answer's
    ``texts``, the two of them; without it by the vectors, which one text read twice need not share
    to the last bit.

    Or ``ranking``, the documents found, best first, and of the gold answer ``relevant``, document
    -> gain.
    """

    headline: ClassVar[str] = "ndcg@10"

    def __init__(
        self, answers: Sequence[Answer], gold: Sequence[Answer], labels: Sequence[str]
    ) -> None:
        super().__init__(answers, gold, labels)
        if "ranking" in answers[0]:
            rankings = field(answers, "ranking", who="answer")
            relevance = field(gold, "relevant", who="gold answer")
        else:
            rankings, relevance = _searched(field(answers, "vectors", who="answer"), gold)
        self._relevance = [positive(one) for one in relevance]
        self._of_each = scores_of_each(rankings, self._relevance)

    def weighted(self, counts: Counts) -> dict[str, float]:
        """The mean over the queries that have something to find."""
        return {name: _mean(scores, counts) for name, scores in self._of_each.items()}

    def beside(self, other: Metric) -> Metric:
        """Each text was searched for among the vectors of its own model."""
        both = copy(self)
        both.count = self.count + other.count
        theirs = cast(Retrieval, other)._of_each
        both._of_each = {
            name: np.concatenate([scores, theirs[name]]) for name, scores in self._of_each.items()
        }
        return both

    def tables(self) -> dict[str, Any]:
        sizes = [len(one) for one in self._relevance]
        empty = sum(size == 0 for size in sizes)
        nothing = "no query has a relevant document"
        undefined = dict.fromkeys(self._of_each, nothing) if empty == self.count else {}
        documents = {document for one in self._relevance for document in one}
        return {
            "relevant_documents": len(documents),
            "relevant_per_query": sum(sizes) / max(self.count - empty, 1),
            "queries_without_relevant": empty,
            "undefined": undefined,
        }

    def baseline(self) -> dict[str, float]:
        """Always the documents that are relevant to most queries, in one order."""
        often = Counter(document for one in self._relevance for document in one)
        ranking = [document for document, _ in often.most_common(DEPTH)]
        found = scores_of_each([ranking] * self.count, self._relevance)
        ones = np.ones(self.count, dtype=np.int64)
        return {name: _mean(scores, ones) for name, scores in found.items()}


def scores_of_each(
    rankings: Sequence[Sequence[Hashable]], relevance: Sequence[Relevance]
) -> dict[str, Floats]:
    """Score each ranking; NaN for a query without a relevant document.

    >>> found = scores_of_each([["b", "a"]], [{"a": 1}])
    >>> {name: round(float(scores[0]), 4) for name, scores in found.items()}
    {'ndcg@10': 0.6309, 'mrr@10': 0.5, 'recall@1': 0.0, 'recall@5': 1.0, 'recall@10': 1.0}
    """
    gains, ideal = judged(rankings, relevance)
    relevant = np.array([len(positive(one)) for one in relevance])
    return {
        f"ndcg@{DEPTH}": ndcg(gains, ideal, DEPTH),
        f"mrr@{DEPTH}": np.where(relevant > 0, reciprocal_rank(gains, DEPTH), np.nan),
        **{f"recall@{depth}": recall(gains, relevant, depth) for depth in RECALLS},
    }


def judged(
    rankings: Sequence[Sequence[Hashable]], relevance: Sequence[Relevance]
) -> tuple[Floats, Floats]:
    """The gains along each ranking, and those of the best possible one; both ``[queries, 10]``.

    Raises `InputError` for a ranking that names a document twice.
    """
    gains = np.zeros((len(rankings), DEPTH))
    ideal = np.zeros((len(rankings), DEPTH))
    for row, (ranking, wanted) in enumerate(zip(rankings, relevance, strict=True)):
        found = list(ranking[:DEPTH])
        if len(set(found)) < len(found):
            twice = Counter(found).most_common(1)[0][0]
            raise InputError(f"'{twice!s:.40}' is found twice", place=f"ranking {row + 1}")
        gains[row, : len(found)] = [max(wanted.get(document, 0), 0) for document in found]
        best = sorted(positive(wanted).values(), reverse=True)[:DEPTH]
        ideal[row, : len(best)] = best
    return gains, ideal


def positive(relevance: Relevance) -> dict[Hashable, float]:
    """The documents that are relevant at all: judgements of 0 and below are not.

    >>> positive({"a": 2, "b": 0})
    {'a': 2}
    """
    return {document: gain for document, gain in relevance.items() if gain > 0}


def ndcg(gains: Floats, ideal: Floats, depth: int) -> Floats:
    """Normalised discounted cumulative gain at `depth`: sum of gain / log2(rank + 1), over the same
    of the best possible ranking (Järvelin & Kekäläinen, ACM TOIS 20, 2002). NaN where nothing is
    relevant.

    >>> ndcg(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]), 10).round(4).tolist()
    [0.6309]
    """
    best = _discounted(ideal, depth)
    empty = np.full(best.shape, np.nan)
    return np.asarray(np.divide(_discounted(gains, depth), best, out=empty, where=best > 0))


def _discounted(gains: Floats, depth: int) -> Floats:
    cut = gains[:, :depth]
    return np.asarray(cut @ (1 / np.log2(np.arange(2, cut.shape[1] + 2))))


def reciprocal_rank(gains: Floats, depth: int) -> Floats:
    """1 / rank of the first relevant document, 0 where none is among the first `depth`.

    >>> reciprocal_rank(np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]]), 10).round(4).tolist()
    [0.3333, 0.0]
    """
    hit = gains[:, :depth] > 0
    return np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1), 0.0)


def recall(gains: Floats, relevant: NDArray[np.integer], depth: int) -> Floats:
    """The share of the relevant documents that is among the first `depth`; NaN where there is none.

    >>> recall(np.array([[1.0, 0.0, 1.0]]), np.array([4]), 3).tolist()
    [0.5]
    """
    found = (gains[:, :depth] > 0).sum(axis=1).astype(np.float64)
    empty = np.full(found.shape, np.nan)
    return np.asarray(np.divide(found, relevant, out=empty, where=relevant > 0))


def _searched(
    vectors: Sequence[NDArray[Any]], gold: Sequence[Answer]
) -> tuple[list[list[Hashable]], list[dict[Hashable, float]]]:
    """Rank the collection for each text, and say which document is right for which text."""
    askers, queries = _distinct([one[0] for one in vectors], [_text(one, 0) for one in gold])
    rights, documents = _distinct([one[1] for one in vectors], [_text(one, 1) for one in gold])
    found = top_k(queries, documents, DEPTH)[0].tolist()
    relevant: list[dict[Hashable, float]] = [{} for _ in queries]
    for asker, right in zip(askers, rights, strict=True):
        relevant[asker][right] = 1.0
    return [found[asker] for asker in askers], [relevant[asker] for asker in askers]


def _text(gold: Answer, side: int) -> Hashable:
    texts = gold.get("texts")
    return None if texts is None else str(texts[side])


def _distinct(
    vectors: Sequence[NDArray[Any]], texts: Sequence[Hashable]
) -> tuple[list[int], NDArray[Any]]:
    """Number the distinct texts in order of appearance: the number of each, and their vectors."""
    numbers: dict[Hashable, int] = {}
    kept: list[NDArray[Any]] = []
    of_each: list[int] = []
    for vector, text in zip(vectors, texts, strict=True):
        name = np.ascontiguousarray(vector).tobytes() if text is None else text
        of_each.append(numbers.setdefault(name, len(numbers)))
        if len(numbers) > len(kept):
            kept.append(vector)
    return of_each, np.stack(kept)


def _mean(scores: Floats, counts: Counts) -> float:
    """The mean, each score taken as often as its query; NaN scores are left out."""
    taken = counts * np.isfinite(scores)
    total = taken.sum()
    return float(np.nan_to_num(scores) @ taken / total) if total else float("nan")
