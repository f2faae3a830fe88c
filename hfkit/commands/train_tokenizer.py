"""`hfkit tokenizer train`: texts in, the folder of a tokenizer out.

Texts are read as they are needed, so files may be larger than memory. Nothing here imports torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hfkit.config import Columns, TokenizerConfig
from hfkit.errors import InputError
from hfkit.run.output import move_aside

log = logging.getLogger(__name__)

BATCH = 1000  # texts handed to the trainer at once


@dataclass(frozen=True)
class TrainedTokenizer:
    """The folder of a tokenizer, the tokens it knows, and the texts it has learnt from."""

    folder: Path
    tokens: int
    texts: int


def train_tokenizer(config: TokenizerConfig) -> TrainedTokenizer:
    """Train a tokenizer on ``config.files`` and write it to ``config.output``.

    Raises `InputError` for a text that cannot be read, where there are none, where the folder is
    not empty, and for a vocabulary that is too small.
    """
    from hfkit.run import tokenizer

    if not config.files:
        raise InputError("no texts", hint="hfkit tokenizer train FILE… -o FOLDER")
    if not config.output:
        raise InputError("no folder for the tokenizer", hint="name one, as -o tokenizer")
    tokenizer.check_size(config)
    folder = Path(config.output).expanduser()
    _check_free(folder, config)
    counted = _Counted(_texts(config))
    backend = tokenizer.trained(_batches(counted), config)
    if not counted.count:
        raise InputError("no texts", place=", ".join(config.files))
    _check_free(folder, config)
    if config.overwrite:
        move_aside(folder)
    tokenizer.write(folder, backend, config)
    size = backend.get_vocab_size()
    log.info("%d tokens, learnt from %d texts", size, counted.count)
    if size < config.vocab_size:
        log.warning("the texts give %d tokens, not %d", size, config.vocab_size)
    return TrainedTokenizer(folder, size, counted.count)


def _check_free(folder: Path, config: TokenizerConfig) -> None:
    """Nothing is ever overwritten unasked, and what is moved aside must not be what is read."""
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file", place=str(folder))
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not config.overwrite:
        hint = "use another -o, or --overwrite to move it aside"
        raise InputError("is not empty", place=str(folder), hint=hint)
    inside = folder.resolve()
    for name in config.files:
        if Path(name).exists() and Path(name).resolve().is_relative_to(inside):
            problem = f"{name} lies in the folder that --overwrite moves"
            raise InputError(problem, place="--overwrite")


class _Counted:
    """Texts, counted as they pass."""

    def __init__(self, texts: Iterator[str]) -> None:
        self.count = 0
        self._texts = texts

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            self.count += 1
            yield text


def _batches(texts: _Counted) -> Iterator[list[str]]:
    left = iter(texts)
    while batch := list(islice(left, BATCH)):
        yield batch


def _texts(config: TokenizerConfig) -> Iterator[str]:
    """Every text of every file. Lines without anything are passed over."""
    from hfkit.data.source import read

    for source in config.files:
        columns: list[Any] = []
        for record in read(source, config, offline=config.offline):
            if record.error:
                raise InputError(record.error, place=record.place)
            columns = columns or _columns(record.fields, config.text_column)
            for column in columns:
                text = record.fields.get(column)
                if not isinstance(text, str):
                    raise InputError(f"no text in column {column!r}", place=record.place)
                if text.strip():
                    yield text


def _columns(fields: Mapping[str, Any], wanted: str | None) -> list[Any]:
    """The columns with texts: that of the name, those of several names, or the one that is found.
    Raises `InputError` for one that is not there."""
    from hfkit.data.columns import find_columns

    several = "," in (wanted or "") and wanted not in fields
    names: list[str | None] = list((wanted or "").split(",")) if several else [wanted]
    found = []
    for name in names:
        chosen = Columns(text_column=name.strip() if name else name)
        sample = [dict(fields)]
        columns = find_columns(list(fields), sample, {"text": ""}, chosen, need_label=False).columns
        found.append(columns["text"])
    return found
