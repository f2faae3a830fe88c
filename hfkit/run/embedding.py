"""From the name of a model to a vectorizer: a run of similarity, or any encoder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError
from hfkit.processor import without_buffers

if TYPE_CHECKING:
    from hfkit.config import Computing, EmbedConfig, SearchConfig
    from hfkit.config.report import AuditConfig
    from hfkit.infer.vectorizer import Vectorizer

log = logging.getLogger(__name__)

PROMPTS = "config_sentence_transformers.json"
DOCUMENTS = ("document", "passage", "corpus")  # names of the prompt of what is searched


def open_vectorizer(
    model: str | None,
    *,
    offline: bool,
    computing: Computing,
    device: str = "auto",
    max_length: int | None = None,
    code: str | None = None,
    **settings: Any,
) -> Vectorizer:
    """Load an encoder and put it behind a vectorizer; `settings` are those of `Vectorizer`.

    `code` is the commit whose Python code may run. Raises `InputError` for a name that leads
    nowhere, for a cross-encoder, which has no vector for one text, and as loading does.
    """
    from hfkit.infer.vectorizer import Vectorizer
    from hfkit.model.facts import EMBEDDER, describe
    from hfkit.model.locate import locate
    from hfkit.run.engines import Wanted, open_engine
    from hfkit.run.opening import check_settings, checked_length, load_tokenizer, read_settings

    if not model:
        raise InputError("no model", hint="name a run of similarity or any encoder, as minilm")
    without_buffers()
    located = locate(model, offline=offline, code=code)
    saved = read_settings(located.folder)
    if saved and saved.options.get("architecture") == "cross-encoder":
        raise InputError(
            "a cross-encoder reads two texts together and has no vector for one",
            place=model,
            hint="fine-tune with --architecture bi-encoder",
        )
    if saved:
        check_settings(located.folder)
    facts = describe(located.folder, code=located.code)
    _say_what_it_is(located.folder, model)
    wanted = max_length or (saved.max_length if saved else None)
    max_length = checked_length(wanted, facts.max_length)
    tokenizer = load_tokenizer(located, max_length, of_run=saved is not None)
    wanted_model = Wanted(located.folder, EMBEDDER, None, device, model, code=located.code)
    engine = open_engine(wanted_model, computing)
    return Vectorizer(
        tokenizer,
        engine,
        computing.batch_size,
        computing.batch_tokens,
        prompts=stored_prompts(located.folder),
        **settings,
    )


def configured(config: EmbedConfig | SearchConfig) -> Vectorizer:
    """The vectorizer that a command's settings ask for."""
    return vectorizer_of(
        config,
        on_long=config.on_long,
        normalize=config.normalize,
        dimensions=config.dimensions,
    )


def vectorizer_of(config: AuditConfig | EmbedConfig | SearchConfig, **settings: Any) -> Vectorizer:
    """The vectorizer of the model that a command's settings name; `settings` are those of
    `Vectorizer`."""
    return open_vectorizer(
        config.model,
        offline=config.offline,
        computing=config,
        device=config.device,
        max_length=config.max_length,
        code=config.allow_remote_code,
        **settings,
    )


def stored_prompts(folder: Path) -> dict[str, str]:
    """What a model wants in front of texts, by what they are: ``query``, ``document``, or "" for
    any; without an entry where it wants nothing."""
    from hfkit.model import gate

    if not (folder / PROMPTS).is_file():
        return {}
    settings: dict[str, Any] = gate.read_object(folder, PROMPTS)
    found = settings.get("prompts")
    texts = (
        {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
    )
    usual = texts.get(str(settings.get("default_prompt_name")), "")
    document = next((texts[name] for name in DOCUMENTS if name in texts), usual)
    prompts = {"": usual, "query": texts.get("query", usual), "document": document}
    return {kind: prompt for kind, prompt in prompts.items() if prompt}


def _say_what_it_is(folder: Path, model: str) -> None:
    """Vectors of a model that was not trained for them are often poor ones."""
    from hfkit.model.pooling import stored_pooling

    if stored_pooling(folder) is None:
        log.info(
            "%s does not say how it makes vectors; taking the mean of its tokens' "
            "(hfkit finetune -t similarity trains it for them)",
            model,
        )
