"""The settings of `hfkit embed` and `hfkit search`."""

from __future__ import annotations

from typing import Literal

from hfkit.config.base import setting
from hfkit.config.machine import Computing, Machine, Trust
from hfkit.config.reading import Reading


class Vectors(Computing):
    """How a text becomes a vector."""

    max_length: int | None = setting(
        None,
        "Longest window in tokens; default: the model's own limit, at most 512",
        flags=("--max-seq-length",),
        ge=4,
    )
    on_long: Literal["window", "truncate", "error"] = setting(
        "window", "Texts longer than max_length: average their windows, cut, or stop"
    )
    normalize: bool = setting(True, "Vectors of length 1")
    dimensions: int | None = setting(
        None, "Keep only the first N numbers of each vector (Matryoshka models)", ge=1
    )


class EmbedConfig(Machine, Trust, Reading, Vectors):
    """Settings of `hfkit embed`."""

    model: str | None = setting(
        None, "A run of similarity or any encoder", flags=("-m", "--model-name-or-path")
    )
    inputs: list[str] = setting([], "Texts, a file, or - for stdin", flags=("-d", "--data"))
    output: str | None = setting(
        None, "File to write: .npy, .parquet or .jsonl; default: stdout, JSON Lines", flags=("-o",)
    )
    text: bool = setting(False, "Take the input as text even if it looks like a file name")
    text_column: str | None = setting(None, "Column with the text", flags=("--column",))
    prompt: str | None = setting(None, "Put this in front of each text; default: as the model says")
    overwrite: bool = setting(False, "Replace the output file")


class SearchConfig(Machine, Trust, Reading, Vectors):
    """Settings of `hfkit search`."""

    model: str | None = setting(
        None, "A run of similarity or any encoder", flags=("-m", "--model-name-or-path")
    )
    corpus: str | None = setting(
        None, "Texts to search: a file, or one that `hfkit embed` wrote", flags=("-d", "--data")
    )
    queries: list[str] = setting([], "Texts to search for, a file, or - for stdin")
    output: str | None = setting(None, "File to write; default: stdout", flags=("-o",))
    top_k: int = setting(10, "Texts found for each query", flags=("-k",), ge=1, le=10_000)
    qrels: str | None = setting(
        None, "File with the right answers: query-id, corpus-id, score; scores the search"
    )
    text: bool = setting(False, "Take the query as text even if it looks like a file name")
    text_column: str | None = setting(None, "Column with the text of the corpus")
    query_column: str | None = setting(None, "Column with the text of the queries")
    id_column: str | None = setting(None, "Column with the id; default: one called id or _id")
    prompt: str | None = setting(
        None, "Put this in front of each text of the corpus; default: as the model says"
    )
    query_prompt: str | None = setting(
        None, "Put this in front of each query; default: as the model says"
    )
    overwrite: bool = setting(False, "Replace the output file")
    json_output: bool = setting(False, "Print the scores as JSON", flags=("--json",))
