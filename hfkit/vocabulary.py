"""Whether a tokenizer has its vocabulary, and its numbers a row in the embeddings of its model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hfkit.errors import InputError

ROWS = ("vocab_size", "n_words")  # what config.json calls the rows
WHOLE = ("tokenizer.json", "tokenizer.model", "tekken.json")  # read by tokenizers of any class
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer_config.json")


def check_files(folder: Path, names: Mapping[str, str]) -> None:
    """Refuse a folder without any of the files that tokenizers of this class are made from, by
    their `names`: in silence one without words would be made. Classes that read bytes have none.
    """
    known = {*names.values(), *WHOLE}
    if names and not any((folder / name).is_file() for name in known):
        raise InputError(
            f"no tokenizer in this folder ({', '.join(sorted(known))})",
            place=str(folder),
            hint="download the model again",
        )


def check_numbers(
    folder: Path, vocabulary: Callable[[], Mapping[str, int]], added: Mapping[int, Any]
) -> None:
    """Check the numbers of all tokens against the config.json in `folder`.

    `added` are the tokens beside the vocabulary, by number. Special ones may lack a row, as the
    <mask> of bart-large-cnn does: no text gives them, unless it spells one out. Raises `InputError`
    naming the first file of the tokenizer, the highest number and the rows.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    rows = next((config[key] for key in ROWS if isinstance(config.get(key), int)), None)
    if rows is None:  # it reads characters
        return
    special = {number for number, token in added.items() if token.special}
    beyond = {
        number: token
        for token, number in vocabulary().items()
        if number >= rows and number not in special
    }
    if beyond:
        highest = max(beyond)
        name = next((name for name in FILES if (folder / name).exists()), "")
        raise InputError(
            f"token {beyond[highest][:40]!r} has the number {highest}, and the embeddings have "
            f"{rows} rows (vocab_size in config.json)",
            place=str(folder / name),
            hint="download the model again",
        )
