"""How a tokenizer encodes texts to write, where that is not as it encodes texts to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hfkit.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Writing:
    """How texts to write are encoded, where that is not as texts to read are: `post_processor` adds
    their special tokens, `language_id` is that of their language. With it texts begin, or with
    `language_starts` the decoder does, and it is no part of what is written. `has_languages`: all
    depends on languages that nobody has named."""

    post_processor: Any = None
    language_id: int | None = None
    language_starts: bool = False
    has_languages: bool = False

    def encode(
        self, backend: Any, texts: Sequence[str], max_length: int
    ) -> list[tuple[list[int], bool]]:
        """The tokens of texts to write, at most so many, and whether some were left out. The one
        that ends a text is there in any case."""
        reading = backend.post_processor
        if self.post_processor is not None:
            backend.post_processor = self.post_processor
        try:
            whole = [found.ids for found in backend.encode_batch_fast(list(texts))]
            long = [number for number, ids in enumerate(whole) if len(ids) > max_length]
            backend.enable_truncation(max_length)
            cut = backend.encode_batch_fast([texts[number] for number in long])
        finally:
            backend.no_truncation()
            if self.post_processor is not None:
                backend.post_processor = reading
        shortened = dict(zip(long, (found.ids for found in cut), strict=True))
        return [(shortened.get(n, ids), n in shortened) for n, ids in enumerate(whole)]


def set_languages(loaded: Any, languages: tuple[str, str]) -> Writing:
    """Let a tokenizer of transformers read one language and write another (mBART, NLLB, M2M).

    Raises `InputError` for a language that it does not have.
    """
    names = getattr(loaded, "lang_code_to_id", None) or dict.fromkeys(loaded.all_special_tokens)
    for flag, language in zip(("--source-language", "--target-language"), languages, strict=True):
        if language not in names or _language_id(loaded, language) is None:
            hint = did_you_mean(language, list(names)[:200])
            raise InputError(f"the model has no language '{language}'", place=flag, hint=hint)
    loaded.src_lang, loaded.tgt_lang = languages
    loaded._switch_to_target_mode()
    post_processor = loaded.backend_tokenizer.post_processor if loaded.is_fast else None
    loaded._switch_to_input_mode()
    written = _language_id(loaded, languages[1])
    # mBART of 25 languages has it behind the end, from where it is turned to the front.
    starts = loaded(text_target="")["input_ids"][-1] == written
    return Writing(post_processor, written, starts)


def unnamed() -> InputError:
    """The error for a model of many languages where they are not named."""
    hint = "name both: --source-language and --target-language, as the model spells them"
    problem = "this model reads and writes several languages"
    return InputError(problem, place="--target-language", hint=hint)


def _language_id(loaded: Any, language: str) -> int | None:
    """The token of a language; None where it has none."""
    known = getattr(loaded, "lang_code_to_id", {})
    found = known.get(language, loaded.convert_tokens_to_ids(language))
    return None if found in (None, loaded.unk_token_id) else int(found)
