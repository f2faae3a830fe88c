"""From the name of a language model to what scores texts with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hfkit import garbage
from hfkit.errors import InputError
from hfkit.languages import unnamed
from hfkit.processor import without_buffers
from hfkit.registry import find_task

if TYPE_CHECKING:
    from hfkit.config import FinetuneConfig, ScoreConfig
    from hfkit.infer.endpoint_scorer import EndpointScorer
    from hfkit.infer.likelihood import Scorer

log = logging.getLogger(__name__)

USUAL_LENGTH = 1024
# Kinds by the end of an architecture's name.
KIND_OF_HEAD = {
    "ForMaskedLM": "masked",
    "ForPreTraining": "masked",
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForConditionalGeneration": "seq2seq",
    "ForSeq2SeqLM": "seq2seq",
    "MTModel": "seq2seq",
}
SAID = {
    "causal": "each token given those before it",
    "masked": "each token given all others (pseudo-log-likelihood)",
    "seq2seq": "each token of the target given the source",
}


def open_scorer(config: ScoreConfig) -> Scorer | EndpointScorer:
    """Load a language model and put it behind a scorer, or a server in its place.

    Raises `InputError` for a name that leads nowhere, for a model that gives no probabilities, and
    as loading does.
    """
    from hfkit.infer.likelihood import Scorer, make_question
    from hfkit.model.facts import describe
    from hfkit.model.locate import locate
    from hfkit.run.engines import Wanted, open_engine
    from hfkit.run.opening import (
        check_settings,
        checked_length,
        data_of,
        load_tokenizer,
        read_settings,
    )

    name = config.model or ""
    if config.endpoint is not None:
        garbage.usual()
        return _of_server(config, config.endpoint)
    without_buffers()
    located = locate(name, offline=config.offline, code=config.allow_remote_code)
    saved = read_settings(located.folder)
    if saved:
        check_settings(located.folder)
    facts = describe(located.folder, code=located.code)
    settings = json.loads((located.folder / "config.json").read_text("utf-8"))
    kind = _kind(config.kind, facts.architecture, settings, name)
    manner = _manner(config, saved)
    source, target = manner.get("source_language"), manner.get("target_language")
    named = (source, target) if kind == "seq2seq" and source and target else None
    log.info("%s: %s; override with --kind", name, SAID[kind])
    longest = min(facts.max_length, USUAL_LENGTH)
    max_length = checked_length(config.max_length or longest, facts.max_length)
    question = make_question(kind, config.stride, max_length, manner.get("source_prefix") or "")
    tokenizer = load_tokenizer(located, max_length, of_run=saved is not None, languages=named)
    if kind == "seq2seq" and tokenizer.has_languages:
        raise unnamed()
    tokenizer.padding["answers"] = tokenizer.padding["input_ids"]
    wanted = Wanted(
        located.folder, question.auto_class, None, config.device, name, code=located.code
    )
    engine = open_engine(wanted, config)
    known = data_of(located.folder).get("columns")
    return Scorer(question, tokenizer, engine, config.batch_size, config.batch_tokens, known)


def fingerprint(config: ScoreConfig, format: str) -> dict[str, Any]:
    """What a file of scores depends on beside its rows."""
    from hfkit.model.locate import locate
    from hfkit.run.predicting import digest_of_model, settings_of_answers

    name = config.model or ""
    if config.endpoint is None:
        located = locate(name, offline=config.offline, code=config.allow_remote_code)
        name = digest_of_model(located.folder)
    return {**settings_of_answers(config, format), "the model": name}


def _of_server(config: ScoreConfig, url: str) -> EndpointScorer:
    from hfkit.infer.endpoint_scorer import EndpointScorer
    from hfkit.infer.server import AT_ONCE

    if config.kind not in ("auto", "causal"):
        raise InputError("a server reads from left to right", place=f"--kind {config.kind}")
    at_once = config.batch_size or AT_ONCE
    return EndpointScorer(config.model or "", url, offline=config.offline, at_once=at_once)


def _manner(config: ScoreConfig, saved: FinetuneConfig | None) -> dict[str, Any]:
    """What a run has put before its sources, and the languages, of which flags win."""
    writes = saved is not None and find_task(saved.task or "")[0] == "text2text"
    given = {name: getattr(config, name) for name in ("source_language", "target_language")}
    return {
        **(saved.options if saved and writes else {}),
        **{name: value for name, value in given.items() if value is not None},
    }


def _kind(wanted: str, architecture: str, settings: Mapping[str, Any], name: str) -> str:
    """The kind that is named, or that of the architecture."""
    if wanted != "auto":
        return wanted
    for end, kind in KIND_OF_HEAD.items():
        if architecture.endswith(end):
            return "seq2seq" if settings.get("is_encoder_decoder") else kind
    hint = "a model …ForCausalLM, …ForMaskedLM or …ForConditionalGeneration does"
    what = f"a {architecture}" if architecture else "a model that names no architecture"
    raise InputError(f"{what} gives no probabilities of texts", place=name, hint=hint)
