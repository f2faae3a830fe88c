"""The settings of `hfkit tokenizer train` and `hfkit score`."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import setting
from hfkit.config.machine import Machine
from hfkit.config.reading import Reading

TokenizerKind = Literal["wordpiece", "bpe", "unigram"]
TokenizerFamily = Literal["auto", "bert", "roberta", "gpt2", "t5"]


class TokenizerConfig(Machine, Reading):
    """Settings of `hfkit tokenizer train`."""

    files: list[str] = setting(
        [], "Texts to learn from: files, globs, - or Hub data sets", flags=("-d", "--data")
    )
    output: str | None = setting(None, "Folder of the tokenizer", flags=("-o", "--output-dir"))
    kind: TokenizerKind = setting("wordpiece", "How words are cut into pieces")
    family: TokenizerFamily = setting(
        "auto",
        "Whose special tokens it has; auto: bert for wordpiece, gpt2 for bpe, t5 for unigram",
    )
    vocab_size: int = setting(30_000, "Tokens in the vocabulary, the special ones included", ge=16)
    min_frequency: int = setting(2, "Times that a pair of pieces must occur to be joined", ge=1)
    lowercase: bool = setting(False, "Read texts in lower case; wordpiece then drops accents too")
    max_length: int = setting(512, "Tokens that the model will read at once", ge=4)
    text_column: str | None = setting(None, "Column with the text", flags=("--column",))
    overwrite: bool = setting(False, "Move what stands in the output folder aside")
