"""The shapes of Hugging Face's inference services, as `huggingface_hub.InferenceClient` has them.

    POST /         {"inputs": …, "parameters": {…}}        with several models: POST /models/NAME

What is asked goes by the task of the model, not by the request. `inputs` may be a list, and the
answer is one then. Parameters that would change nothing here, or that hfkit has no such thing for,
are refused rather than passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from hfkit.masking import MASK, filled
from hfkit.serve.refusal import bad
from hfkit.serve.served import Served
from hfkit.serve.shapes.base import Body, Several, Texts, post

Answer = Mapping[str, Any]
TopK = Annotated[int, Field(ge=1, le=1000)]
FUNCTIONS = {"single-label": "softmax", "multi-label": "sigmoid", "regression": "none"}
ALWAYS = 1e9  # a margin that no model reaches, so that there always is an answer


class Labels(Body):
    """Parameters of text classification."""

    top_k: TopK | None = None
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = None


class Pair(Body):
    """A text and the one that is read with it."""

    text: str
    text_pair: str


class TextClassification(Body):
    """A text, or several."""

    inputs: str | Texts | Pair | Several[Pair]
    parameters: Labels = Labels()


class Names(Body):
    """Parameters of token classification."""

    aggregation_strategy: Literal["simple", "first", "average", "max"] | None = None
    ignore_labels: Annotated[list[str], Field(fail_fast=True)] | None = None
    stride: Annotated[int, Field(ge=0, le=4096)] | None = None


class TokenClassification(Body):
    """A text, or several, with names in it."""

    inputs: str | Texts
    parameters: Names = Names()


class Question(Body):
    """A question, and the text that may answer it."""

    question: str
    context: str


class Answering(Body):
    """Parameters of question answering."""

    top_k: Annotated[int, Field(ge=1, le=100)] | None = None
    doc_stride: Annotated[int, Field(ge=0, le=4096)] | None = None
    max_answer_len: Annotated[int, Field(ge=1, le=512)] | None = None
    handle_impossible_answer: bool | None = None


class QuestionAnswering(Body):
    """A question, or several."""

    inputs: Question | Several[Question]
    parameters: Answering = Answering()


class Choices(Body):
    """Parameters of zero-shot classification."""

    candidate_labels: Annotated[Texts, Field(max_length=100)] | None = None
    multi_label: bool | None = None
    hypothesis_template: Annotated[str, Field(max_length=1000)] | None = None


class ZeroShotClassification(Body):
    """A text, or several, and the labels to choose from."""

    inputs: str | Texts
    parameters: Choices = Choices()


class Compared(Body):
    """A text, and others to compare it with."""

    source_sentence: str
    sentences: Texts


class Nothing(Body):
    """There are no parameters."""


class SentenceSimilarity(Body):
    """How alike texts are; where the model makes vectors, a text or several for their vectors."""

    inputs: Compared
    parameters: Nothing = Nothing()


class FeatureExtraction(Body):
    """A text, or several, for their vectors."""

    inputs: str | Texts
    parameters: Nothing = Nothing()
    normalize: bool | None = None
    truncate: bool | None = None
    prompt_name: Literal["query", "document", "passage"] | None = None


class Vectors(FeatureExtraction):
    """A text, or several, for their vectors; or a text and others to compare it with."""

    inputs: str | Texts | Compared  # type: ignore[assignment]


class Masks(Body):
    """Parameters of masked words."""

    top_k: TopK | None = None


class FillMask(Body):
    """A text, or several, with words to find."""

    inputs: str | Texts
    parameters: Masks = Masks()


def add_huggingface(router: APIRouter, served: Served, path: str) -> None:
    """Add the route that Hugging Face's clients ask a model of this task by."""
    if served.kind in ROUTES:
        ROUTES[served.kind](router, served, path)


async def _each(
    served: Served,
    inputs: Any,
    row: Callable[[Any], dict[str, Any]],
    show: Callable[[Answer], Any],
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Answer one input, or each of a list; the answer has the same form."""
    several = inputs if isinstance(inputs, list) else [inputs]
    answers = await served.answers([row(one) for one in several], served.way(options))
    shown = [show(answer) for answer in answers]
    return shown if isinstance(inputs, list) else shown[0]


def _classification(router: APIRouter, served: Served, path: str) -> None:
    function = FUNCTIONS[getattr(served.task, "problem", "single-label")]

    def row(given: str | Pair) -> dict[str, Any]:
        found = {"text": given} if isinstance(given, str) else given.model_dump()
        served.check_pair("text_pair" in found)
        return found

    async def classify(body: TextClassification) -> Any:
        parameters = body.parameters
        if parameters.function_to_apply not in (None, function):
            raise bad(f"function_to_apply: this model's scores are made by {function}")
        found = await _each(served, body.inputs, row, lambda one: ranked(one, parameters.top_k))
        return found if isinstance(body.inputs, list) else [found]

    post(router, path, TextClassification, classify, f"Classify texts with {served.name}")


def ranked(answer: Answer, top_k: int | None = None) -> list[dict[str, Any]]:
    """The labels of an answer with their scores, the best first; a number is one label's score.

    >>> ranked({"label": "b", "score": 0.9, "scores": {"a": 0.1, "b": 0.9}}, 1)
    [{'label': 'b', 'score': 0.9}]
    """
    if "value" in answer:
        return [{"label": "LABEL_0", "score": answer["value"]}]
    pairs = sorted(answer["scores"].items(), key=lambda pair: -pair[1])
    return [{"label": label, "score": score} for label, score in pairs][:top_k]


def _tokens(router: APIRouter, served: Served, path: str) -> None:
    async def recognise(body: TokenClassification) -> Any:
        left_out = set(body.parameters.ignore_labels or ())
        options = {"stride": body.parameters.stride}
        served.check_stride("parameters.stride", body.parameters.stride)

        def show(answer: Answer) -> list[dict[str, Any]]:
            return [
                {
                    "entity_group": one["label"], "score": one["score"], "word": one["text"],
                    "start": one["start"], "end": one["end"],
                }
                for one in answer["entities"] if one["label"] not in left_out
            ]  # fmt: skip

        return await _each(served, body.inputs, lambda text: {"text": text}, show, options)

    post(router, path, TokenClassification, recognise, f"Find names with {served.name}")


def _questions(router: APIRouter, served: Served, path: str) -> None:
    async def answer(body: QuestionAnswering) -> Any:
        asked, impossible = body.parameters, body.parameters.handle_impossible_answer
        served.check_stride("parameters.doc_stride", asked.doc_stride)
        options: dict[str, Any] = {
            "top_k": asked.top_k,
            "stride": asked.doc_stride,
            "max_answer_length": asked.max_answer_len,
        }
        if impossible is not None:
            fitted = getattr(served.task, "null_threshold", None)
            options["null_threshold"] = (fitted or 0.0) if impossible else ALWAYS

        def show(found: Answer) -> Any:
            several = (asked.top_k or 1) > 1
            kept = found["answers"] if several else [found]
            shown = [
                {"answer": one["answer"] or "", "score": one["score"], "start": one["start"] or 0,
                 "end": one["end"] or 0} for one in kept
            ]  # fmt: skip
            return shown if several else shown[0]

        return await _each(served, body.inputs, lambda one: one.model_dump(), show, options)

    post(router, path, QuestionAnswering, answer, f"Answer questions with {served.name}")


def _zero_shot(router: APIRouter, served: Served, path: str) -> None:
    async def classify(body: ZeroShotClassification) -> Any:
        labels = body.parameters.candidate_labels
        if labels is None and not served.task.labels:
            raise bad("parameters.candidate_labels: there are no labels to choose from")
        own = {} if labels is None else {"candidates": labels}
        options = {
            "multi_label": body.parameters.multi_label,
            "template": body.parameters.hypothesis_template,
        }
        return await _each(served, body.inputs, lambda text: {"text": text, **own}, ranked, options)

    post(router, path, ZeroShotClassification, classify, f"Classify texts with {served.name}")


async def compared(served: Served, source: str, others: Sequence[str]) -> list[float]:
    """How alike a text and some others are, each as `hfkit predict` says."""
    answers = await served.answers([{"text": source, "text_pair": other} for other in others])
    return [answer["score"] for answer in answers]


def _similarity(router: APIRouter, served: Served, path: str) -> None:
    async def compare(body: SentenceSimilarity) -> Any:
        return await compared(served, body.inputs.source_sentence, body.inputs.sentences)

    async def vectors(body: Vectors) -> Any:
        if isinstance(body.inputs, Compared):
            return await compared(served, body.inputs.source_sentence, body.inputs.sentences)
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        name = "document" if body.prompt_name == "passage" else body.prompt_name
        way = served.vectors(
            kind=name or "",
            normalize=body.normalize,
            on_long="truncate" if body.truncate else None,
        )
        answers = await served.answers([{"text": text} for text in texts], way)
        return [answer["vector"].tolist() for answer in answers]

    if served.has_vectors:
        post(router, path, Vectors, vectors, f"Compare texts, or make vectors, with {served.name}")
    else:
        post(router, path, SentenceSimilarity, compare, f"Compare texts with {served.name}")


def _masks(router: APIRouter, served: Served, path: str) -> None:
    tokenizer = served.predictor.tokenizer
    known = tokenizer.vocabulary()
    mask = tokenizer.text_of([tokenizer.mask_id]) if tokenizer.mask_id is not None else MASK
    most = getattr(served.task.options, "fills", 1)

    def show(text: str, answer: Answer, top_k: int) -> Any:
        best = [found[0]["token"] for found in answer["masks"]]
        shown = []
        for place, found in enumerate(answer["masks"]):
            several = []
            for one in found[:top_k]:
                words = [*best[:place], one["token"], *best[place + 1 :]]
                several.append({
                    "score": one["score"], "token": known.get(one["token"]),
                    "token_str": one["token"], "sequence": filled(text, mask, words),
                })  # fmt: skip
            shown.append(several)
        return shown if len(shown) > 1 else shown[0]

    async def fill(body: FillMask) -> Any:
        top_k = body.parameters.top_k or most
        if top_k > most:
            raise bad(f"parameters.top_k: {most} words are the most; start it with --fills")
        texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
        answers = await served.answers([{"text": text} for text in texts])
        shown = [show(text, one, top_k) for text, one in zip(texts, answers, strict=True)]
        return shown[0] if isinstance(body.inputs, str) else shown

    post(router, path, FillMask, fill, f"Find masked words with {served.name}")


def _texts(router: APIRouter, served: Served, path: str) -> None:
    from hfkit.serve.shapes.writing import add_written

    add_written(router, served, path)


def _generation(router: APIRouter, served: Served, path: str) -> None:
    from hfkit.serve.shapes.writing import add_generation

    add_generation(router, served, path)


ROUTES: dict[str, Callable[[APIRouter, Served, str], None]] = {
    "classification": _classification,
    "ner": _tokens,
    "qa": _questions,
    "zero-shot": _zero_shot,
    "similarity": _similarity,
    "mlm": _masks,
    "text2text": _texts,
    "generation": _generation,
}
