"""Simple models beside the one that was fine-tuned, on the same rows and by the same metric.

    classification   tf-idf: words, or characters where words have no spaces, and logistic
                     regression (ridge for numbers); frozen: the vectors of the untrained encoder,
                     and the same
    ner              lookup: each word has the tag it had most often
    qa               sentence: the sentence of the context that is most like the question
    similarity       tf-idf: the cosine of the two texts

A fine-tuning that is hardly better than these is not worth its cost, and often there is a mistake.
None is tuned; each is fitted once, without chance, so that the same rows give the same scores.
Other tasks have the baseline that costs nothing (`Metric.baseline`) and no more.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hfkit.errors import InputError
from hfkit.registry import find_metric
from hfkit.spans import OUTSIDE, convert, lenient_spans
from hfkit.words import Passage, on_characters

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row, Task

log = logging.getLogger(__name__)

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

MOST = 20_000  # training rows that words are counted in
MOST_ENCODED = 2_000  # training rows that the untrained encoder reads
SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, Japanese, Chinese


def baseline_scores(
    task: Task[Any],
    training: Sequence[Row],
    rows: Sequence[Row],
    gold: Sequence[Answer],
    embed: Embed | None = None,
) -> dict[str, dict[str, float]]:
    """The scores of each simple model of the task on `rows`, learnt from `training`.

    `embed` gives the vectors of texts, where there is an encoder; without it those are left out.
    """
    from hfkit.tasks.classification import Classification
    from hfkit.tasks.ner import Ner
    from hfkit.tasks.qa import QuestionAnswering
    from hfkit.tasks.similarity import Similarity

    found: dict[str, list[Answer]] = {}
    if isinstance(task, Classification):
        known = _drawn(training, MOST, "tf-idf")
        words = _Words(known)
        found["tf-idf"] = _classified(task, known, words.features(known), words.features(rows))
        if embed is not None:
            known = _drawn(training, MOST_ENCODED, "frozen")
            vectors = (_joined_vectors(embed, some) for some in (known, rows))
            found["frozen"] = _classified(task, known, *vectors)
    elif isinstance(task, Ner):
        found["lookup"] = _looked_up(_drawn(training, MOST, "lookup"), rows)
    elif isinstance(task, QuestionAnswering):
        found["sentence"] = _nearest_sentences(rows)
    elif isinstance(task, Similarity) and "score" in gold[0]:
        found["tf-idf"] = _cosines(_drawn(training, MOST, "tf-idf"), rows)
    if not found:
        log.info("--baselines: there are none for this task but the one that is always shown")
    metric = find_metric(task.metric)
    return {
        name: metric(answers, gold, list(task.labels)).values() for name, answers in found.items()
    }


def encoder_of(name: str, *, offline: bool, device: str, computing: Any, code: str | None) -> Embed:
    """What gives the vectors of an encoder as it was before it was trained."""
    from hfkit.run.embedding import open_vectorizer

    vectorizer = open_vectorizer(
        name, offline=offline, computing=computing, device=device, code=code, normalize=True
    )
    return vectorizer.vectors


def _drawn(rows: Sequence[Row], most: int, name: str) -> list[Row]:
    """All rows, or as many as a simple model learns from."""
    if len(rows) <= most:
        return [rows[number] for number in range(len(rows))]
    log.info("baseline %s: learns from %d of %d training rows", name, most, len(rows))
    return [rows[number] for number in sorted(Random(0).sample(range(len(rows)), most))]


# Features


def _texts(row: Row) -> list[str]:
    return [str(row[role]) for role in ("text", "text_pair") if row.get(role) is not None]


class _Words:
    """TF-IDF of words and pairs of words; of characters in languages without spaces."""

    def __init__(self, rows: Sequence[Row]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = [text for row in rows for text in _texts(row)]
        letters = "".join(texts[:500])
        unspaced = len(UNSPACED.findall(letters)) > 0.2 * max(len(letters), 1)
        kind: dict[str, Any] = {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 2)}
        if unspaced:
            kind = {"analyzer": "char", "ngram_range": (1, 3)}
        self.vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=200_000, **kind)
        try:
            self.vectorizer.fit(texts)
        except ValueError as error:
            raise InputError("the training texts hold no words", place="--baselines") from error

    def features(self, rows: Sequence[Row]) -> Any:
        """A sparse row per text; of a pair those of both, and what they share."""
        from scipy.sparse import hstack

        columns = [self.vectorizer.transform(texts) for texts in _columns(rows)]
        if len(columns) == 1:
            return columns[0]
        return hstack([*columns, columns[0].multiply(columns[1])]).tocsr()


def _columns(rows: Sequence[Row]) -> list[list[str]]:
    return [list(column) for column in zip(*map(_texts, rows), strict=True)]


def _joined_vectors(embed: Embed, rows: Sequence[Row]) -> NDArray[np.float32]:
    """The vector of a text; of a pair both, their distance and product (Conneau et al. 2017)."""
    vectors = [embed(texts) for texts in _columns(rows)]
    if len(vectors) == 1:
        return vectors[0]
    one, other = vectors
    return np.concatenate([one, other, np.abs(one - other), one * other], axis=1)


# Answers


def _classified(task: Any, known: Sequence[Row], features: Any, asked: Any) -> list[Answer]:
    """Logistic regression on labels, one for each of several labels; ridge on numbers."""
    gold = task.gold(known)
    if task.problem == "regression":
        from sklearn.linear_model import Ridge

        numbers = Ridge(solver="lsqr").fit(features, [one["value"] for one in gold]).predict(asked)
        return [{"value": float(number)} for number in numbers]
    if task.problem == "single-label":
        shares = _shares(features, [one["label"] for one in gold], asked)
        return [
            {
                "label": max(row, key=row.__getitem__),
                "scores": {label: row.get(label, 0.0) for label in task.labels},
            }
            for row in shares
        ]
    answers: list[Answer] = [{"labels": [], "scores": {}} for _ in range(asked.shape[0])]
    for label in task.labels:
        shares = _shares(features, [label in one["labels"] for one in gold], asked)
        for answer, row in zip(answers, shares, strict=True):
            answer["scores"][label] = row.get(True, 0.0)
            if row.get(True, 0.0) >= 0.5:
                answer["labels"].append(label)
    return answers


def _shares(features: Any, labels: Sequence[Any], asked: Any) -> list[dict[Any, float]]:
    """The probability of each class that was seen, for each row that is asked."""
    from sklearn.linear_model import LogisticRegression

    if len(set(labels)) == 1:
        return [{labels[0]: 1.0}] * int(asked.shape[0])
    model = LogisticRegression(C=10.0, max_iter=1000).fit(features, labels)
    classes = model.classes_.tolist()
    return [dict(zip(classes, row, strict=True)) for row in model.predict_proba(asked).tolist()]


def _looked_up(known: Sequence[Row], rows: Sequence[Row]) -> list[Answer]:
    """The tag that each word had most often, and O for words that were not seen."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in known:
        passage = Passage.of(row)
        for word, tag in zip(passage.words, _tags(passage, row["label"]), strict=True):
            seen[word][tag] += 1
    usual = {word: min(tags, key=lambda tag: (-tags[tag], tag)) for word, tags in seen.items()}
    answers: list[Answer] = []
    for row in rows:
        passage = Passage.of(row)
        tags = [usual.get(word, OUTSIDE) for word in passage.words]
        spans = on_characters(lenient_spans(tags), passage.places)
        answer: Answer = {"entities": passage.entities(spans)}
        if passage.given:
            answer["tags"] = convert(tags)
        answers.append(answer)
    return answers


def _tags(passage: Passage, label: Sequence[Any]) -> list[str]:
    """A tag for each word; an entity of characters tags the words that begin in it."""
    if passage.given:
        return convert(label)
    tags = [OUTSIDE] * len(passage.places)
    for span in passage.marked(label):
        inside = [
            n for n, (start, _) in enumerate(passage.places) if span.start <= start < span.end
        ]
        for place, number in enumerate(inside):
            tags[number] = f"{'I' if place else 'B'}-{span.label}"
    return tags


def _nearest_sentences(rows: Sequence[Row]) -> list[Answer]:
    """The sentence of each context that shares the most and rarest words with the question."""
    answers: list[Answer] = []
    for row in rows:
        context, question = row["context"], set(_pieces(row["question"]))
        sentences = [one for one in SENTENCE_ENDS.split(context) if one and one.strip()]
        often = Counter(piece for one in sentences for piece in set(_pieces(one)))
        weight = {piece: 1 / often[piece] for piece in often}
        best = max(
            sentences or [""],
            key=lambda one: sum(weight[piece] for piece in question & set(_pieces(one))),
        ).strip()
        start = context.find(best)
        answers.append({"answer": best, "start": start, "end": start + len(best)})
    return answers


def _pieces(text: str) -> list[str]:
    """Words, and single characters where words have no spaces."""
    return re.findall(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|\w+", text.lower())


def _cosines(known: Sequence[Row], rows: Sequence[Row]) -> list[Answer]:
    words = _Words(known)
    one, other = (words.vectorizer.transform(texts) for texts in _columns(rows))
    cosines = np.asarray(one.multiply(other).sum(axis=1)).ravel()
    return [{"score": float(cosine)} for cosine in cosines]
