"""Which file of a model's folder a library fails over, and which setting in it.

What transformers and tokenizers raise over other people's JSON mostly names neither. So after a
failure, and only then, each file is tried by itself, and of the one that fails each setting is left
out in turn: where all goes well without it, that one is to blame.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hfkit.errors import InputError
from hfkit.panics import is_panic, swallowed

CONFIG, TOKENIZER, SETTINGS = "config.json", "tokenizer.json", "tokenizer_config.json"
NO_MODEL, NO_TOKENIZER = "transformers cannot load this model", "the tokenizer does not load"
LONGEST_REASON = 160
LONGEST_VALUE = 40
# What transformers says of a wrong type before and behind what was expected; and where Rust stood
# in what it was given, which is not the file as it lies there.
AROUND = re.compile(
    r"^(?:Class v|V)alidation error for (?:field|validator) '\w+':\s*(?:\w+: )?(?:Field '\w+' )?"
    r"|\. Errors: .*| \(value: .*|<class |(?<=[a-z]')>| at line 1 column \d+$",
    re.DOTALL,
)
# A tokenizer that has nothing to do, to stand in the place of one part of another.
NEUTRAL: Mapping[str, Any] = {
    "version": "1.0", "added_tokens": [], "truncation": None, "padding": None, "normalizer": None,
    "pre_tokenizer": None, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"},
}  # fmt: skip


def in_config(folder: Path) -> InputError | None:
    """The error of a config.json that transformers does not read; None where it does."""
    from transformers import AutoConfig

    def read(settings: Mapping[str, Any]) -> None:
        with TemporaryDirectory(prefix="hfkit-") as alone:
            Path(alone, CONFIG).write_text(json.dumps(settings), "utf-8")
            AutoConfig.from_pretrained(alone, local_files_only=True)

    return _blamed(folder / CONFIG, NO_MODEL, read)


def in_model(folder: Path, build: Callable[[Any], object]) -> InputError | None:
    """The error of a config.json of which `build` makes no model, even one without weights."""
    import torch
    from transformers import AutoConfig

    def built(settings: Mapping[str, Any]) -> None:
        with TemporaryDirectory(prefix="hfkit-") as alone, torch.device("meta"):
            Path(alone, CONFIG).write_text(json.dumps(settings), "utf-8")
            build(AutoConfig.from_pretrained(alone, local_files_only=True))

    return _blamed(folder / CONFIG, NO_MODEL, built)


def in_tokenizer(folder: Path) -> InputError | None:
    """The error of a tokenizer.json that tokenizers does not read, or cannot use."""
    from tokenizers import Tokenizer

    def read(parts: Mapping[str, Any]) -> None:
        backend = Tokenizer.from_str(json.dumps(parts))
        with suppress(Exception):  # it may be a good one that does not know this letter
            backend.encode("a")

    if not (folder / TOKENIZER).exists():
        return None
    return _blamed(folder / TOKENIZER, NO_TOKENIZER, read, NEUTRAL)


def in_settings(folder: Path) -> InputError | None:
    """The error of a tokenizer_config.json with which transformers makes no tokenizer."""
    from transformers import AutoTokenizer

    def read(settings: Mapping[str, Any]) -> None:
        with TemporaryDirectory(prefix="hfkit-") as beside:
            for path in folder.iterdir():
                if path.is_file() and path.name != SETTINGS and path.suffix != ".safetensors":
                    Path(beside, path.name).symlink_to(path.resolve())
            Path(beside, SETTINGS).write_text(json.dumps(settings), "utf-8")
            AutoTokenizer.from_pretrained(beside, local_files_only=True)

    if not (folder / SETTINGS).exists():
        return None
    return _blamed(folder / SETTINGS, NO_TOKENIZER, read)


def reason_of(error: BaseException) -> str:
    """What an exception says, on one line.

    >>> text = "Validation error for field 'act':\\n TypeError: Field 'act' expected str (value: 7)"
    >>> reason_of(TypeError(text))
    'expected str'
    >>> reason_of(KeyError("zz")), reason_of(ValueError())
    ("'zz' is not known", 'ValueError')
    """
    if isinstance(error, KeyError):
        return f"{str(error)[:LONGEST_REASON]} is not known"
    lines = AROUND.sub("", str(error)).splitlines()
    reason = next((line.strip() for line in lines if line.strip()), "")
    return reason[:LONGEST_REASON] or type(error).__name__


def _blamed(
    path: Path,
    what: str,
    attempt: Callable[[Mapping[str, Any]], None],
    instead: Mapping[str, Any] | None = None,
) -> InputError | None:
    """Try a file's content, and where that fails again without each of its settings, or with what
    may stand `instead` of each; `what` goes wrong where none of them is to blame."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    error = _failure(partial(attempt, content))
    if error is None:
        return None
    reason = reason_of(error)
    for name, value in content.items():
        rest = {key: kept for key, kept in content.items() if key != name}
        rest |= {name: instead[name]} if instead and name in instead else {}
        if _failure(partial(attempt, rest)) is None:
            message = f'"{name}" is {_shown(value)} ({reason})'
            return InputError(message, place=str(path), hint="download the model again")
    return InputError(f"{what} ({reason})", place=str(path))


def _failure(attempt: Callable[[], object]) -> BaseException | None:
    try:
        with swallowed():
            attempt()
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        return error
    return None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
