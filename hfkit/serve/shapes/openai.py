"""The shapes of OpenAI's clients: vectors, texts that go on, conversations.

    POST /v1/embeddings        {"model": "…", "input": "a text"}
    POST /v1/completions       {"model": "…", "prompt": "The river"}
    POST /v1/chat/completions  {"model": "…", "messages": [{"role": "user", "content": "Hi"}]}

`model` chooses among the models that are served; where one is served alone, any name will do. The
temperature is 0 where none is given: the likeliest text, as `hfkit predict` writes it.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from hfkit.serve.refusal import Refusal, bad
from hfkit.serve.served import Served, Way
from hfkit.serve.shapes.base import Body, Several, Texts, post
from hfkit.serve.shapes.writing import NewTokens, Stops, as_stream, pieces

User = Annotated[str, Field(max_length=1000)]
END = "[DONE]"


class Embeddings(Body):
    """Texts for their vectors."""

    model: str | None = None
    input: str | Texts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: User | None = None


class Writing(Body):
    """How to write."""

    model: str | None = None
    max_tokens: NewTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: Annotated[str, Field(min_length=1, max_length=100)] | Stops | None = None
    n: Literal[1] = 1
    stream: bool = False
    user: User | None = None

    def options(self) -> dict[str, Any]:
        """The same as options of the task."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        found: dict[str, Any] = {"max_new_tokens": self.max_tokens, "stop": stop}
        if self.temperature is not None:
            found["sample"] = self.temperature > 0
        if self.temperature:
            found |= {
                "sample_temperature": self.temperature,
                "sample_top_p": self.top_p,
                "sample_seed": self.seed,
            }
        return found


class Completions(Writing):
    """A text to go on with."""

    prompt: str | Texts


class Message(Body):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant", "developer"]
    content: str


class ChatCompletions(Writing):
    """A conversation to go on with."""

    messages: Annotated[Several[Message], Field(max_length=256)]
    max_completion_tokens: NewTokens | None = None

    def options(self) -> dict[str, Any]:
        """The same as options of the task."""
        longest = self.max_completion_tokens or self.max_tokens
        return {**super().options(), "max_new_tokens": longest, "chat": True}


def add_openai(router: APIRouter, models: Sequence[Served]) -> None:
    """Add the routes that fit the models."""
    begun = int(time.time())

    @router.get("/v1/models", summary="The models")
    async def listed() -> Any:
        entry = {"object": "model", "created": begun, "owned_by": "hfkit"}
        return {"object": "list", "data": [{"id": one.name, **entry} for one in models]}

    vectors = [one for one in models if one.has_vectors and one.kind == "similarity"]
    writers = [one for one in models if one.kind == "generation"]
    if vectors:
        _add_embeddings(router, Choice(models, vectors))
    if writers:
        _add_completions(router, Choice(models, writers))
    chats = [one for one in writers if getattr(one.predictor.tokenizer, "chat", None)]
    if chats:
        _add_chat(router, Choice(models, chats))


class Choice:
    """All models of a server, and those `fitting` a route."""

    def __init__(self, models: Sequence[Served], fitting: Sequence[Served]) -> None:
        self._models = {served.name: served for served in models}
        self._fitting = {served.name: served for served in fitting}

    def named(self, name: str | None) -> Served:
        """The model of this name; the one that is served alone, whatever its name; without a name
        the one that fits alone. Raises `Refusal` for others, which would be answered wrongly."""
        if len(self._models) == 1 or (name is None and len(self._fitting) == 1):
            return next(iter(self._fitting.values()))
        if name is not None and name in self._fitting:
            return self._fitting[name]
        if name is None:
            found = "no model is named"
        elif name in self._models:
            found = f"{name} is {self._models[name].kind}, which this is not for"
        else:
            found = f"no model {name[:40]!r} here"
        raise Refusal(404, f"{found}; known here: {', '.join(self._fitting)}")


def _add_embeddings(router: APIRouter, models: Choice) -> None:
    async def embeddings(body: Embeddings) -> Any:
        served = models.named(body.model)
        texts = [body.input] if isinstance(body.input, str) else body.input
        way = served.vectors(dimensions=body.dimensions)
        answers = await served.answers([{"text": text} for text in texts], way)
        found = [answer["vector"] for answer in answers]
        data = [
            {"object": "embedding", "index": number, "embedding": _as(body.encoding_format, one)}
            for number, one in enumerate(found)
        ]
        tokens = sum(map(len, served.predictor.tokenizer.pieces(texts)))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": served.name, "usage": usage}

    post(router, "/v1/embeddings", Embeddings, embeddings, "Vectors of texts")


def _as(format: str, vector: Any) -> Any:
    if format == "float":
        return vector.tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


def _add_completions(router: APIRouter, models: Choice) -> None:
    async def complete(body: Completions) -> Any:
        served = models.named(body.model)
        way = served.way(body.options())
        head = _head(served, "text_completion", "cmpl")
        if body.stream:
            if not isinstance(body.prompt, str):
                raise bad("a stream is of one text")

            def choice(text: str, end: str | None) -> dict[str, Any]:
                return {"index": 0, "text": text, "finish_reason": end, "logprobs": None}

            return await _stream(served, {"text": body.prompt}, way, head, choice)
        texts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        answers = await served.answers([{"text": text} for text in texts], way)
        written = [answer["text"] for answer in answers]
        choices = [
            {"index": number, "text": text, "finish_reason": "stop", "logprobs": None}
            for number, text in enumerate(written)
        ]
        return {**head, "choices": choices, "usage": _usage(served, texts, written)}

    post(router, "/v1/completions", Completions, complete, "Go on with texts")


def _add_chat(router: APIRouter, models: Choice) -> None:
    async def chat(body: ChatCompletions) -> Any:
        served = models.named(body.model)
        way = served.way(body.options())
        row = {"messages": [message.model_dump() for message in body.messages]}
        if body.stream:
            head = _head(served, "chat.completion.chunk", "chatcmpl")

            def choice(text: str, end: str | None) -> dict[str, Any]:
                delta = {"role": "assistant", "content": text}
                return {"index": 0, "delta": delta, "finish_reason": end, "logprobs": None}

            return await _stream(served, row, way, head, choice)
        (answer,) = await served.answers([row], way)
        message = {"role": "assistant", "content": answer["text"]}
        choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
        asked = [message.content for message in body.messages]
        usage = _usage(served, asked, [answer["text"]])
        head = _head(served, "chat.completion", "chatcmpl")
        return {**head, "choices": choices, "usage": usage}

    post(router, "/v1/chat/completions", ChatCompletions, chat, "Go on with a conversation")


def _head(served: Served, kind: str, prefix: str) -> dict[str, Any]:
    name = f"{prefix}-{uuid.uuid4().hex}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": served.name}


def _usage(served: Served, asked: Sequence[str], written: Sequence[str]) -> dict[str, int]:
    count = served.predictor.tokenizer.pieces
    read, wrote = (sum(map(len, count(list(texts)))) for texts in (asked, written))
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


async def _stream(
    served: Served,
    row: dict[str, Any],
    way: Way,
    head: Mapping[str, Any],
    choice: Callable[[str, str | None], dict[str, Any]],
) -> Any:
    async def events() -> AsyncIterator[Mapping[str, Any]]:
        async for piece in pieces(served, row, way):
            end = None if piece.whole is None else "stop"
            yield {**head, "choices": [choice(piece.text, end)]}

    return await as_stream(events(), "/v1/", END)
