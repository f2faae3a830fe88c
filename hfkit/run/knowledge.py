"""A knowledge base in place of a context: a question answering model with documents to read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.config import PredictConfig
    from hfkit.infer.retrieval import Retriever
    from hfkit.run.opening import Opened

log = logging.getLogger(__name__)


def with_documents(opened: Opened, config: PredictConfig) -> Opened:
    """The model as it was opened, or, with ``--documents``, one that looks its contexts up there.

    Raises `InputError` where the model answers no questions, and for documents that cannot be read.
    """
    if config.documents is None:
        return opened
    from hfkit.data.documents import read_documents
    from hfkit.infer.retrieval import OpenQuestionAnswering, passages
    from hfkit.tasks.qa import QuestionAnswering

    if not isinstance(opened.task, QuestionAnswering):
        raise InputError(
            "documents are for question answering", place="--documents", hint="add -t qa"
        )
    documents = read_documents(config.documents, offline=config.offline)
    library = passages(documents)
    retriever = _retriever(config, [passage.findable for passage in library])
    log.info(
        "%s: documents %d, passages %d; %s finds %d of them for each question",
        config.documents, len(documents), len(library), config.retriever,
        min(config.passages, len(library)),
    )  # fmt: skip
    task = OpenQuestionAnswering(opened.task, library, retriever, config.passages)
    columns = {role: name for role, name in (opened.columns or {}).items() if role != "context"}
    return replace(opened, task=task, columns=columns or None)


def _retriever(config: PredictConfig, texts: Sequence[str]) -> Retriever:
    from hfkit.infer.retrieval import Bm25, ByVector
    from hfkit.run.embedding import open_vectorizer

    if config.retriever == "bm25":
        return Bm25(texts)
    vectorizer = open_vectorizer(
        config.retriever,
        offline=config.offline,
        device=config.device,
        computing=config,
    )
    return ByVector(vectorizer.of("document").vectors(texts), vectorizer.of("query").vectors)
