"""The shapes of Hugging Face's Text Embeddings Inference, where a model fits them.

POST /embed       {"inputs": "a text"}                           [[0.1, …]]
POST /similarity  {"inputs": {"source_sentence", "sentences"}}   [0.8, …]
POST /rerank      {"query": "…", "texts": ["…"]}                 [{"index": 1, "score": 0.9}, …]
POST /predict     {"inputs": "a text"}                           [{"label", "score"}, …]
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from hfkit.serve.served import Served
from hfkit.serve.shapes.base import Body, Several, Texts, post
from hfkit.serve.shapes.huggingface import Compared, Nothing, compared, ranked

One = Annotated[Texts, Field(max_length=2)]  # a text, or a pair of texts


class Embed(Body):
    """Texts for their vectors."""

    inputs: str | Texts
    normalize: bool | None = None
    truncate: bool | None = None
    truncation_direction: Literal["Right", "right"] | None = None
    prompt_name: Literal["query", "document"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None


class Similarity(Body):
    """A text, and others to compare it with."""

    inputs: Compared
    parameters: Nothing | None = None


class Rerank(Body):
    """Texts to be put in order by how well they answer a query."""

    query: str
    texts: Texts
    return_text: bool = False
    raw_scores: Literal[False] = False
    truncate: bool | None = None
    truncation_direction: Literal["Right", "right"] | None = None


class Predict(Body):
    """A text, a pair of texts, or a list with one or two texts in each place."""

    inputs: str | One | Several[One]
    raw_scores: Literal[False] = False
    truncate: bool | None = None


def add_tei(router: APIRouter, served: Served, prefix: str) -> None:
    """Add the routes that fit the task of a model."""
    if served.kind == "similarity":
        _add_ranking(router, served, prefix)
    if served.has_vectors and served.kind == "similarity":
        _add_vectors(router, served, prefix)
    if served.kind == "classification":
        _add_classes(router, served, prefix)


def _add_vectors(router: APIRouter, served: Served, prefix: str) -> None:
    async def embed(body: Embed) -> Any:
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        way = served.vectors(
            kind=body.prompt_name or "",
            normalize=body.normalize,
            dimensions=body.dimensions,
            on_long="truncate" if body.truncate else None,
        )
        answers = await served.answers([{"text": text} for text in texts], way)
        return [answer["vector"].tolist() for answer in answers]

    post(router, f"{prefix}/embed", Embed, embed, f"Vectors of texts, by {served.name}")


def _add_ranking(router: APIRouter, served: Served, prefix: str) -> None:
    async def similarity(body: Similarity) -> Any:
        return await compared(served, body.inputs.source_sentence, body.inputs.sentences)

    async def rerank(body: Rerank) -> Any:
        scores = await compared(served, body.query, body.texts)
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        text = {index: {"text": body.texts[index]} if body.return_text else {} for index in order}
        return [{"index": index, "score": scores[index], **text[index]} for index in order]

    post(router, f"{prefix}/similarity", Similarity, similarity, f"Compare, by {served.name}")
    post(router, f"{prefix}/rerank", Rerank, rerank, f"Order texts by {served.name}")


def _add_classes(router: APIRouter, served: Served, prefix: str) -> None:
    def row(texts: list[str]) -> dict[str, str]:
        served.check_pair(len(texts) == 2)
        return dict(zip(("text", "text_pair"), texts, strict=False))

    async def predict(body: Predict) -> Any:
        given = body.inputs
        if isinstance(given, str):
            rows, several = [row([given])], False
        elif isinstance(given[0], str):
            rows, several = [row([str(text) for text in given])], False
        else:
            rows, several = [row(list(one)) for one in given], True
        shown = [ranked(answer) for answer in await served.answers(rows)]
        return shown if several else shown[0]

    post(router, f"{prefix}/predict", Predict, predict, f"Classify texts with {served.name}")
