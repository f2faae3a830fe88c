"""The settings of `hfkit tokenizer train` and `hfkit score`."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import setting
from hfkit.config.machine import Computing, Machine, Trust
from hfkit.config.reading import Reading

LanguageModelKind = Literal["auto", "causal", "masked", "seq2seq"]
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
    text_column: str | None = setting(
        None, "Column with the text, or several: source,target", flags=("--column",)
    )
    overwrite: bool = setting(False, "Move what stands in the output folder aside")


class ScoreConfig(Machine, Trust, Reading, Computing):
    """Settings of `hfkit score`."""

    model: str | None = setting(
        None, "A language model: a run or a model", flags=("-m", "--model-name-or-path")
    )
    inputs: list[str] = setting(
        [], "A text, a file, - for stdin, or column=value pairs", flags=("-d", "--data")
    )
    output: str | None = setting(None, "File to write; default: stdout", flags=("-o",))
    kind: LanguageModelKind = setting(
        "auto", "How the model reads: from left to right, with a mask, or a source before the text"
    )
    text: bool = setting(False, "Take the input as text even if it looks like a file name")
    text_column: str | None = setting(
        None, "Column with the text, or the source of a target", flags=("--column",)
    )
    target_column: str | None = setting(
        None, "Column with the target that is scored", flags=("--label-column",)
    )
    source_language: str | None = setting(
        None, "Language of the sources, as the model spells it (en, en_XX, eng_Latn)"
    )
    target_language: str | None = setting(None, "Language of the targets, as the model spells it")
    endpoint: str | None = setting(
        None, "URL of an OpenAI-compatible server that scores instead of a model here"
    )
    max_length: int | None = setting(
        None,
        "Longest window in tokens; default: the model's own limit, at most 1024",
        flags=("--max-seq-length",),
        ge=4,
    )
    stride: int | None = setting(
        None, "Tokens by which a window moves on; default: half a window", ge=1
    )
    format: Literal["auto", "jsonl", "csv", "tsv", "table"] = setting(
        "auto", "Format of the output"
    )
    only_prediction: bool = setting(False, "Leave out the fields of the input")
    prefix: str = setting("", "Put this in front of the names of the fields hfkit adds")
    resume: bool = setting(False, "Go on with the output file that a kill left unfinished")
    overwrite: bool = setting(False, "Replace the output file")
