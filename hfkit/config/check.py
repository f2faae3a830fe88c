"""Settings of `hfkit check`."""

from __future__ import annotations

from hfkit.config.base import setting
from hfkit.config.machine import Machine
from hfkit.config.reading import Columns, Reading
from hfkit.config.training import TaskSettings


class CheckConfig(Machine, Reading, Columns, TaskSettings):
    """Settings of `hfkit check`."""

    train: str | None = setting(
        None,
        "Training data: file, glob, - or Hub id",
        flags=("-d", "--train-file", "--dataset-name"),
    )
    validation: str | None = setting(None, "Validation data", flags=("--validation-file",))
    test: str | None = setting(None, "Test data", flags=("--test-file",))
    model: str | None = setting(
        None,
        "Model whose tokenizer counts the tokens, if it is at hand; nothing is downloaded",
        flags=("-m", "--model-name-or-path", "--base-model"),
    )
    near_duplicates: bool = setting(True, "Also look for rows that are nearly the same")
    redact: bool = setting(
        False, "Write a copy of TRAIN to --output, with [EMAIL] and the like for personal data"
    )
    output: str | None = setting(None, "File that --redact writes", flags=("-o",))
    overwrite: bool = setting(False, "Replace the output file")
    json_output: bool = setting(False, "Print the report as JSON", flags=("--json",))
