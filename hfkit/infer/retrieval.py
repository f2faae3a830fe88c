"""Answers from many documents: find the passages that may hold the answer, and read those.

Documents are cut into overlapping passages of words; a retriever (BM25, or the vectors of a
similarity model) finds the best passages for a question, and question answering reads each as it
reads a context. The passages of a question are to it what windows are to a context: their spans are
pooled, and no answer is as likely as in the passage that is least sure of it. Offsets count in the
document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from hfkit.answers import CHARACTER
from hfkit.errors import InputError
from hfkit.nbest import Span
from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row
from hfkit.tasks.qa import QuestionAnswering
from hfkit.windows import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hfkit.data.documents import Document
    from hfkit.text import Tokenizer

WORDS = 200  # of a passage: with a question a window of most models
SHARED = 50  # words that neighbouring passages share, so that an answer stands whole in one
UNIT = re.compile(rf"{CHARACTER.pattern}|(?:(?!{CHARACTER.pattern})\S)+")
RUN = re.compile(rf"(?:{CHARACTER.pattern})+|(?:(?!{CHARACTER.pattern})\w)+")


class Passage(NamedTuple):
    """A part of a document, in characters, end exclusive."""

    document: Document
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters of the passage."""
        return self.document.text[self.start : self.end]

    @property
    def findable(self) -> str:
        """What it is found by: the title counts too."""
        return f"{self.document.title}\n{self.text}" if self.document.title else self.text


def passages(
    documents: Sequence[Document], size: int = WORDS, overlap: int = SHARED
) -> list[Passage]:
    """Cut documents into passages of `size` words that share `overlap`; a CJK character is a word.

    >>> from hfkit.data.documents import Document
    >>> [one.text for one in passages([Document("a", "one two  three 北京")], 3, 1)]
    ['one two  three', 'three 北京']
    """
    found = []
    for document in documents:
        units = [match.span() for match in UNIT.finditer(document.text)]
        for part in cut(len(units), size, overlap) if units else []:
            found.append(Passage(document, units[part.start][0], units[part.stop - 1][1]))
    return found


def terms(text: str) -> list[str]:
    """What BM25 counts: words in lower case; of CJK text each character and each pair of
    neighbours, as it has no spaces to tell words by.

    >>> terms("The Café, 北京市")
    ['the', 'café', '北', '京', '市', '北京', '京市']
    """
    found: list[str] = []
    for run in RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if CHARACTER.match(run):
            found += [*run, *(run[place : place + 2] for place in range(len(run) - 1))]
        else:
            found.append(run)
    return found


class Retriever(Protocol):
    """Finds the passages that may hold an answer."""

    def find(self, questions: Sequence[str], count: int) -> list[list[int]]:
        """For each question the numbers of at most `count` passages, the best first."""
        ...


class Bm25:
    """Passages by the words they share with a question, rare ones above all (Robertson 1994)."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the texts. Raises `InputError` without the package bm25s, or without a word."""
        try:
            import bm25s
        except ImportError:
            raise InputError(
                "searching documents needs bm25s", hint="pip install 'hfkit[retrieval]'"
            ) from None
        indexed = [terms(text) for text in texts]
        if not any(indexed):
            raise InputError("the documents hold no words")
        self.size = len(texts)
        self.index = bm25s.BM25(backend="numpy")
        self.index.index(indexed, show_progress=False)

    def find(self, questions: Sequence[str], count: int) -> list[list[int]]:
        """See `Retriever.find`; a passage that shares no word with the question is not found."""
        found, scores = self.index.retrieve(
            [terms(question) for question in questions],
            k=min(count, self.size),
            show_progress=False,
            backend_selection="numpy",
        )
        return [
            [int(number) for number, score in zip(*one, strict=True) if score > 0]
            for one in zip(found, scores, strict=True)
        ]


class ByVector:
    """Passages by the likeness of their vectors ``[passages, D]`` to that of the question; exact.
    `vectors` gives those of questions."""

    def __init__(
        self, corpus: NDArray[Any], vectors: Callable[[Sequence[str]], NDArray[Any]]
    ) -> None:
        self.corpus = corpus
        self.vectors = vectors

    def find(self, questions: Sequence[str], count: int) -> list[list[int]]:
        """See `Retriever.find`."""
        from hfkit.vectors import top_k

        rows, _ = top_k(self.vectors(questions), self.corpus, count)
        found: list[list[int]] = rows.tolist()
        return found


class OpenQuestionAnswering(QuestionAnswering):
    """The part of a document, out of many, that answers a question, or nothing."""

    columns: ClassVar[Mapping[str, str]] = {"question": "the question"}

    def __init__(
        self,
        reader: QuestionAnswering,
        library: Sequence[Passage],
        retriever: Retriever,
        count: int,
    ) -> None:
        """Read as `reader` does, the best `count` passages of the library for each question."""
        super().__init__(reader.options)
        self.decisions, self.unanswerable = reader.decisions, reader.unanswerable
        self.library, self.retriever, self.count = library, retriever, count

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row per window of each passage that is read; ``_passage`` tells which."""
        questions = [row["question"] for row in rows]
        pairs = [
            (number, self.library[place])
            for number, found in enumerate(self.retriever.find(questions, self.count))
            for place in found
        ]
        if not pairs:
            return []
        contexts = [
            {"question": questions[number], "context": passage.text} for number, passage in pairs
        ]
        encoded = super().features(contexts, tokenizer)
        for part in encoded:
            part["_row"], part["_passage"] = pairs[part["_row"]]
        return encoded

    def _spans(self, output: Outputs, part: EncodedRow, row: Row) -> list[Span]:
        passage: Passage = part["_passage"]
        found = super()._spans(output, part, {**row, "context": passage.text})
        return [
            span._replace(
                start=span.start + passage.start,
                end=span.end + passage.start,
                document=passage.document.id,
            )
            for span in found
        ]

    def answer(self, spans: Sequence[Span], null: float) -> Answer:
        """As in `QuestionAnswering`, with the document; None where there is no answer."""
        answer = super().answer(spans, null)
        answers = [{**one, "document": one.get("document")} for one in answer["answers"]]
        return {**answers[0], **answer, "answers": answers}
