"""Names of tasks and metrics, and where their code is; nothing is imported until it is named.

A built-in and a third party's plug-in go through the same table: a name leads to ``module:object``.
Plug-ins come from the entry points ``hfkit.tasks`` and ``hfkit.metrics``, or are named directly
as ``module:Class``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hfkit.tasks.base import LabelKind, Task

log = logging.getLogger(__name__)


EXAMPLE = '"some text"'


@dataclass(frozen=True)
class TaskEntry:
    """One row of the table of tasks. `label_kind` says what the label column holds; `options` leads
    to the typed options, so that they become flags without importing the task; `aliases` are other
    names, each with what it implies. A task that is not `trainable` takes a model as it is.
    `example` is something to ask, as it is typed after ``hfkit predict MODEL``."""

    target: str
    summary: str
    columns: Mapping[str, str] = field(default_factory=dict)
    label_kind: LabelKind = "labels"
    options: str | None = None
    aliases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trainable: bool = True
    example: str = EXAMPLE


TASKS: dict[str, TaskEntry] = {
    "classification": TaskEntry(
        target="hfkit.tasks.classification:Classification",
        summary="one label, several labels or a number for a text or a pair of texts",
        columns={
            "text": "the text",
            "text_pair?": "a second text, read together with the first",
            "label?": "a name, a list of names, or a number",
        },
        options="hfkit.tasks.options:ClassificationOptions",
        aliases={
            "text-classification": {},
            "multi-label": {"problem": "multi-label"},
            "regression": {"problem": "regression"},
            "nli": {"problem": "single-label"},
        },
    ),
    "ner": TaskEntry(
        target="hfkit.tasks.ner:Ner",
        summary="the names in a text: a label for each of them, with its place",
        columns={
            "tokens?": "the words of the text, as a list; or",
            "text?": "the text as a whole",
            "label?": "a tag for each word, or entities with start and end in the text",
            "document?": "which document a row belongs to",
        },
        label_kind="entities",
        options="hfkit.tasks.options:NerOptions",
        aliases={"token-classification": {}, "named-entity-recognition": {}},
    ),
    "qa": TaskEntry(
        target="hfkit.tasks.qa:QuestionAnswering",
        summary="the part of a context that answers a question, or nothing",
        columns={
            "question": "the question",
            "context": "the text that holds the answer",
            "label?": "answers: a text and where it starts; none where there is no answer",
        },
        label_kind="answers",
        options="hfkit.tasks.options:QaOptions",
        aliases={"question-answering": {}, "extractive-qa": {}},
        example='question="Who wrote it?" context="Anna wrote it."',
    ),
    "similarity": TaskEntry(
        target="hfkit.tasks.similarity:Similarity",
        summary="how alike two texts are; vectors for search",
        columns={
            "text": "the first text",
            "text_pair": "the second text, or one that belongs to the first",
            "negative?": "a text that does not belong to the first",
            "label?": "a number: how alike they are; 0 and 1: whether they belong together",
        },
        label_kind="scores",
        options="hfkit.tasks.options:SimilarityOptions",
        aliases={"sentence-similarity": {}, "sts": {}, "embedding": {}},
        example='text="some text" text_pair="another one"',
    ),
    "mlm": TaskEntry(
        target="hfkit.tasks.pretraining:Mlm",
        summary="pre-training: words that are hidden in texts; fills masks",
        columns={"text": "the text", "document?": "which document a row belongs to"},
        label_kind="none",
        options="hfkit.tasks.options:MlmOptions",
        aliases={"masked-language-modeling": {}, "fill-mask": {}},
        example='"some [MASK]"',
    ),
    "nsp": TaskEntry(
        target="hfkit.tasks.pretraining:Nsp",
        summary="pre-training: whether one text follows the other, alone or with hidden words",
        columns={
            "text": "the text",
            "document?": "which document a row belongs to",
            "text_pair": "the text that may follow (to predict)",
        },
        label_kind="none",
        options="hfkit.tasks.options:NspOptions",
        aliases={"next-sentence-prediction": {}},
        example='text="some text" text_pair="another one"',
    ),
    "text2text": TaskEntry(
        target="hfkit.tasks.text2text:Text2Text",
        summary="a text written from another: its summary, its translation",
        columns={
            "text": "the text that is read",
            "label?": "the text to write",
        },
        label_kind="texts",
        options="hfkit.tasks.options:Text2TextOptions",
        aliases={
            "text2text-generation": {},
            "summarization": {"purpose": "summarization"},
            "translation": {"purpose": "translation"},
        },
    ),
    "generation": TaskEntry(
        target="hfkit.tasks.generation:Generation",
        summary="a text that goes on with another; answers in conversations; pre-training (clm)",
        columns={
            "text?": "the text, learnt as a whole; or",
            "prompt?": "a text to go on with, and",
            "completion?": "how it goes on, which is learnt; or",
            "messages?": "a conversation, of which the assistant's turns are learnt",
            "document?": "which document a row belongs to",
        },
        label_kind="none",
        options="hfkit.tasks.options:GenerationOptions",
        aliases={"text-generation": {}, "causal-lm": {}, "clm": {"join": True}},
    ),
    "zero-shot": TaskEntry(
        target="hfkit.tasks.zero_shot:ZeroShot",
        summary="labels that the model was not trained for, named by you",
        columns={
            "text": "the text",
            "label?": "the right label",
            "candidates?": "the labels to choose from for this row, as a list",
        },
        options="hfkit.tasks.options:ZeroShotOptions",
        aliases={"zero-shot-classification": {}},
        trainable=False,
    ),
}

METRICS: dict[str, str] = {
    "single-label": "hfkit.metrics.classification:SingleLabel",
    "multi-label": "hfkit.metrics.classification:MultiLabel",
    "regression": "hfkit.metrics.correlation:Regression",
    "similarity": "hfkit.metrics.similarity:Similarity",
    "binary-similarity": "hfkit.metrics.similarity:BinarySimilarity",
    "entities": "hfkit.metrics.entities:Entities",
    "answers": "hfkit.metrics.squad:Answers",
    "retrieval": "hfkit.metrics.retrieval:Retrieval",
    "masked-words": "hfkit.metrics.language:MaskedWords",
    "next-sentence": "hfkit.metrics.language:NextSentence",
    "next-tokens": "hfkit.metrics.language:NextTokens",
    "written-texts": "hfkit.metrics.written:WrittenTexts",
    "texts": "hfkit.metrics.text:Texts",
    "summaries": "hfkit.metrics.text:Summaries",
    "translations": "hfkit.metrics.text:Translations",
}


def load_object(target: str) -> Any:
    """Import ``module:object``; raise `InputError` where either does not exist."""
    module_name, _, attribute = target.partition(":")
    try:
        found: Any = import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"cannot load {target} ({error})") from error
    return found


def plugins(group: str) -> dict[str, str]:
    """Return the installed plug-ins of an entry point group as name -> ``module:object``."""
    from importlib.metadata import entry_points  # a tenth of a light command's start

    return {point.name: point.value for point in entry_points(group=group)}


def example_of(task: str) -> str:
    """Something to ask a model of the task, as it is typed after ``hfkit predict MODEL``."""
    return TASKS[task].example if task in TASKS else EXAMPLE


def task_names() -> list[str]:
    """All names that `-t` understands, aliases included."""
    aliases = [alias for entry in TASKS.values() for alias in entry.aliases]
    return [*TASKS, *aliases, *plugins("hfkit.tasks")]


def find_task(name: str) -> tuple[str, str, dict[str, Any]]:
    """Resolve what the user typed after `-t`.

    Returns the canonical name, the ``module:Class`` and the options that an alias implies.
    Raises `InputError` for an unknown name.
    """
    if name in TASKS:
        return name, TASKS[name].target, {}
    for canonical, entry in TASKS.items():
        if name in entry.aliases:
            return canonical, entry.target, dict(entry.aliases[name])
    installed = plugins("hfkit.tasks")
    if name in installed:
        return name, installed[name], {}
    if ":" in name:
        return name, name, {}
    raise InputError(
        f"unknown task '{name}'", place="--task", hint=did_you_mean(name, task_names())
    )


def make_task(name: str, options: Mapping[str, Any]) -> Task[Any]:
    """Import the task and give it its options, checked against their declared types."""
    from hfkit.layers import checked

    _, target, implied = find_task(name)
    task_class: type[Task[Any]] = load_object(target)
    if not hasattr(task_class, "features"):
        raise InputError(f"{target} is not a task", place="--task")
    _check_owner(name, task_class.Options, options)
    found = checked(task_class.Options, {**implied, **options})
    _tell_idle(found)
    return task_class(found)


def _tell_idle(options: BaseModel) -> None:
    """Say which settings play no part: those of drawing where tokens are not drawn, beams where
    they are."""
    from hfkit.layers import flag

    if getattr(options, "sample", True):
        if (getattr(options, "beams", None) or 1) > 1:
            log.warning("--beams: no part with --sample")
        return
    idle = [
        flag(name)
        for name, one in type(options).model_fields.items()
        if name.startswith("sample_") and getattr(options, name) != one.default
    ]
    if idle:
        log.warning("%s: no part without --sample", ", ".join(idle))


def _check_owner(task: str, known: type[BaseModel], options: Mapping[str, Any]) -> None:
    """Raise `InputError` for an option that only other tasks have."""
    from hfkit.layers import flag

    for option in options:
        if option in known.model_fields:
            continue
        for other, entry in TASKS.items():
            if entry.options and option in load_object(entry.options).model_fields:
                raise InputError(
                    f"a setting of {other}; the task is {task}",
                    place=flag(option),
                    hint=f"leave it out, or choose the task with -t {other}",
                )


def builtin_options(
    *, trainable: bool = False, tasks: Collection[str] = ()
) -> dict[str, type[BaseModel]]:
    """Return option name -> an options class that has it, over all built-in tasks, or over those
    that are `trainable`, or over some `tasks`."""
    found: dict[str, type[BaseModel]] = {}
    for name, entry in TASKS.items():
        if tasks and name not in tasks:
            continue
        if entry.options and (entry.trainable or not trainable):
            options = load_object(entry.options)
            for name in options.model_fields:
                found.setdefault(name, options)
    return found


def find_metric(name: str) -> Any:
    """Return the metric class behind a name of the table or of an installed plug-in."""
    table = {**METRICS, **plugins("hfkit.metrics")}
    if name not in table:
        raise InputError(f"unknown metric '{name}'", hint=did_you_mean(name, table))
    return load_object(table[name])
