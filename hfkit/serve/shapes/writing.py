"""Shapes of models that write: Hugging Face's summaries, translations and texts that go on.

    {"inputs": "…", "parameters": {"max_new_tokens": 20}, "stream": true}

A stream is Server-Sent Events, one for each piece of the text; the last one holds all of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from hfkit.prompts import cut_before, settled
from hfkit.serve.refusal import Refusal, bad, error_body
from hfkit.serve.served import Served, Way, as_refusal
from hfkit.serve.shapes.base import Body, Texts, post

NewTokens = Annotated[int, Field(ge=1, le=4096)]
Stop = Annotated[str, Field(min_length=1, max_length=100)]
Stops = Annotated[list[Stop], Field(max_length=16, fail_fast=True)]
PURPOSES = {"summarization": "summary_text", "translation": "translation_text"}


class Manner(Body):
    """How to write."""

    max_new_tokens: NewTokens | None = None
    do_sample: bool | None = None
    temperature: Annotated[float, Field(gt=0, le=100)] | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None

    def options(self, longest: str) -> dict[str, Any]:
        """The same as options of a task, where `longest` bounds the text. Raises `Refusal` for a
        setting of drawing without drawing."""
        drawing = {
            "sample_temperature": self.temperature,
            "sample_top_k": self.top_k,
            "sample_top_p": self.top_p,
            "sample_seed": self.seed,
        }
        if not self.do_sample and any(value is not None for value in drawing.values()):
            raise bad("temperature, top_k, top_p and seed need do_sample: true")
        return {longest: self.max_new_tokens, "sample": self.do_sample, **drawing}


class BeamManner(Manner):
    """How to write, and how many beginnings to follow."""

    min_new_tokens: Annotated[int, Field(ge=0, le=4096)] | None = None
    num_beams: Annotated[int, Field(ge=1, le=16)] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0, le=100)] | None = None

    def options(self, longest: str) -> dict[str, Any]:
        """The same as options of a task."""
        return {
            **super().options(longest),
            "min_new_tokens": self.min_new_tokens,
            "beams": self.num_beams,
            "length_penalty": self.length_penalty,
            "no_repeat_ngram": self.no_repeat_ngram_size,
        }


class Writing(Body):
    """Parameters of summaries and translations."""

    generate_parameters: BeamManner = BeamManner()
    truncation: Literal["do_not_truncate", "longest_first", "only_first"] | None = None
    src_lang: str | None = None
    tgt_lang: str | None = None


class Text2TextRequest(Body):
    """A text, or several, to write others from."""

    inputs: str | Texts
    parameters: Writing = Writing()


class Continuing(Manner):
    """Parameters of text generation."""

    return_full_text: bool | None = None
    stop: Stops | None = None
    details: Literal[False] | None = None
    decoder_input_details: Literal[False] | None = None


class TextGeneration(Body):
    """A text, or several, to go on with."""

    inputs: str | Texts
    parameters: Continuing = Continuing()
    stream: bool = False


def add_written(router: APIRouter, served: Served, path: str) -> None:
    """Add the route of a model that writes one text from another."""
    options: Any = served.task.options
    name = PURPOSES.get(options.purpose)
    names = [name] if name else ["generated_text", *PURPOSES.values()]
    known = {"src_lang": options.source_language, "tgt_lang": options.target_language}

    async def write(body: Text2TextRequest) -> Any:
        parameters = body.parameters
        for key, language in known.items():
            asked = getattr(parameters, key)
            if asked not in (None, language):
                raise bad(f"parameters.{key}: this server has {language or 'none'} there")
        cut = parameters.truncation and (
            "error" if parameters.truncation == "do_not_truncate" else "truncate"
        )
        manner = parameters.generate_parameters.options("max_target_length")
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        way = served.way({**manner, "on_long": cut})
        answers = await served.answers([{"text": text} for text in texts], way)
        return [dict.fromkeys(names, answer["text"]) for answer in answers]

    post(router, path, Text2TextRequest, write, f"Write texts with {served.name}")


def add_generation(router: APIRouter, served: Served, path: str) -> None:
    """Add the route of a model that goes on with a text."""

    async def write(body: TextGeneration) -> Any:
        asked = body.parameters
        way = served.way({**asked.options("max_new_tokens"), "stop": asked.stop})
        if body.stream:
            if not isinstance(body.inputs, str):
                raise bad("a stream is of one text")
            return await as_stream(_events(served, body.inputs, way))
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        answers = await served.answers([{"text": text} for text in texts], way)
        begins = texts if asked.return_full_text else [""] * len(texts)
        pairs = zip(begins, answers, strict=True)
        return [{"generated_text": begin + answer["text"]} for begin, answer in pairs]

    post(router, path, TextGeneration, write, f"Go on with texts with {served.name}")


async def _events(served: Served, text: str, way: Way) -> AsyncIterator[Mapping[str, Any]]:
    number = 0
    async for piece in pieces(served, {"text": text}, way):
        number += 1
        token = {"id": piece.token, "text": piece.text, "logprob": None, "special": False}
        yield {"index": number, "token": token, "generated_text": piece.whole, "details": None}


class Piece:
    """Some of a text as it comes; the last one has the `whole`."""

    def __init__(self, text: str, token: int, whole: str | None = None) -> None:
        self.text = text
        self.token = token
        self.whole = whole


async def pieces(served: Served, row: dict[str, Any], way: Way) -> AsyncIterator[Piece]:
    """Write a text and give it piece by piece. Raises what `Served.answers` does."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[list[int] | None]()

    def listen(tokens: list[int]) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, list(tokens))

    job = served.begin([row], way, listen if served.listens else None)
    future = asyncio.wrap_future(job.future)
    future.add_done_callback(lambda _: queue.put_nowait(None))
    show = shown_by(served, way)
    said, last = "", -1
    try:
        while True:
            async with asyncio.timeout(served.limits.timeout):
                tokens = await queue.get()
            if tokens is None:
                break
            text, last = show(tokens), tokens[-1]
            if text.startswith(said) and text != said:
                yield Piece(text[len(said) :], last)
                said = text
        (answer,) = future.result()
        if isinstance(answer, str):
            raise bad(answer)
        whole = answer["text"]
        yield Piece(whole[len(said) :] if whole.startswith(said) else "", last, whole)
    except TimeoutError:
        raise Refusal(503, f"not answered within {served.limits.timeout:g} seconds") from None
    finally:
        job.leave()


def shown_by(served: Served, way: Way) -> Callable[[list[int]], str]:
    """What makes the text of the tokens so far, as far as it is settled."""
    task: Any = way.task
    spelled, stop = served.predictor.tokenizer.spelled, task.stop

    def show(tokens: list[int]) -> str:
        (text,) = spelled([tokens])
        found = settled(cut_before(text, stop), stop)
        return found.lstrip() if task.is_chat else found

    return show


async def as_stream(
    events: AsyncIterator[Mapping[str, Any]], path: str = "/", end: str = ""
) -> StreamingResponse:
    """A response of Server-Sent Events; an error in the middle is the last one.

    The first event is waited for, so that what is refused at once is refused as any request is.
    """
    first = await anext(events)

    async def lines() -> AsyncIterator[str]:
        try:
            yield f"data: {json.dumps(first)}\n\n"
            async for event in events:
                yield f"data: {json.dumps(event)}\n\n"
        except Exception as error:
            refusal = as_refusal(error) or Refusal(500, "internal error")
            yield f"data: {json.dumps(error_body(path, refusal.status, refusal.message))}\n\n"
        if end:
            yield f"data: {end}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")
