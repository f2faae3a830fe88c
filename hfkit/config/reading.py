"""How a file is read, and which of its columns is what."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from hfkit.config.base import Section, setting

InputFormat = Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "conll", "text"]


class Reading(Section):
    """How a file is read."""

    input_format: InputFormat = setting(
        "auto", "Format of the data; auto goes by the file name", changes_result=True
    )
    encoding: str = setting("utf-8", "Text encoding of the data files", changes_result=True)
    no_header: bool = setting(
        False, "The first line of a CSV or TSV file is data", changes_result=True
    )
    columns: list[str] | None = setting(
        None, "Names of the columns, comma-separated; _ drops one", changes_result=True
    )
    delimiter: str | None = setting(
        None, "Field separator: one character, or tab", changes_result=True
    )
    max_splits: int | None = setting(
        None, "Split a line at most N times, from the left", changes_result=True, ge=1
    )
    quoting: Literal["standard", "none"] = setting(
        "standard", "none: quotation marks are ordinary characters", changes_result=True
    )
    extra_columns: Literal["error", "ignore"] = setting(
        "error", "What to do with fields beyond the header", changes_result=True
    )
    tag_column: str | None = setting(
        None,
        "CoNLL files: column of the tags, counted from 1 (-1: the last), or its name",
        changes_result=True,
    )
    limit: int | None = setting(
        None,
        "Use only N rows: the first ones; for training drawn by the seed",
        flags=("-n", "--max-train-samples"),
        ge=1,
        lt=2**63,
        changes_result=True,
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


class Columns(Section):
    """Which column is what."""

    text_column: str | None = setting(
        None, "Column with the text", flags=("--column",), changes_result=True
    )
    text_pair_column: str | None = setting(
        None, "Column with the second text of a pair", changes_result=True
    )
    label_column: str | None = setting(
        None,
        "Column with the label, or the text to write (several 0/1 columns: a,b,c)",
        flags=("--target-column",),
        changes_result=True,
    )
    tokens_column: str | None = setting(
        None, "Column with the words of the text, as a list", changes_result=True
    )
    question_column: str | None = setting(None, "Column with the question", changes_result=True)
    context_column: str | None = setting(
        None, "Column with the text that holds the answer", changes_result=True
    )
    negative_column: str | None = setting(
        None, "Column with a text that does not belong to the first", changes_result=True
    )
    candidates_column: str | None = setting(
        None, "Column with the labels to choose from", changes_result=True
    )
    prompt_column: str | None = setting(
        None, "Column with a text to go on with", changes_result=True
    )
    completion_column: str | None = setting(
        None, "Column with how that text goes on", changes_result=True
    )
    messages_column: str | None = setting(
        None, "Column with the messages of a conversation, as a list", changes_result=True
    )
    document_column: str | None = setting(
        None, "Column that says to which document a row belongs", changes_result=True
    )
    label_names: str | None = setting(
        None, "File with one label name a line, for labels given as numbers", changes_result=True
    )
    label_delimiter: str | None = setting(
        None, "Separator between the labels of one row (multi-label)", changes_result=True
    )


class Strictness(Section):
    """What to do with rows that cannot be used as they are."""

    on_bad_row: Literal["error", "skip"] = setting(
        "error",
        "A row that cannot be read: error, or skip: leave it out, count it, list it",
        changes_result=True,
    )
    strict_labels: bool = setting(
        False,
        "Labels that differ only in case, width or white space are an error",
        changes_result=True,
    )
