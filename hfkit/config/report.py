"""The settings of `hfkit report` and `hfkit audit`."""

from __future__ import annotations

from hfkit.config.base import setting
from hfkit.config.machine import Computing, Machine, Processes, Trust
from hfkit.config.reading import Columns, Reading, Strictness
from hfkit.config.training import TaskSettings


class ReportConfig(
    Machine, Trust, Reading, Columns, Strictness, TaskSettings, Computing, Processes
):
    """Settings of `hfkit report`."""

    model: str | None = setting(
        None, "A run, or a model with a trained head", flags=("-m", "--model-name-or-path")
    )
    data: str | None = setting(
        None,
        "Data with the right answers; default: the run's own test or validation data",
        flags=("-d",),
    )
    output: str | None = setting(
        None, "HTML file to write; default: report.html in the run's folder", flags=("-o",)
    )
    slice: list[str] = setting([], "Also score the rows by this column (repeatable)")
    errors: int = setting(50, "Most errors to show", ge=0, le=1000)
    no_examples: bool = setting(False, "Leave the texts of the data out")
    overwrite: bool = setting(False, "Replace the output file")


class AuditConfig(Machine, Trust, Reading, Columns, Strictness, TaskSettings, Computing):
    """Settings of `hfkit audit`."""

    train: str | None = setting(
        None, "Labelled data to look for wrong labels in", flags=("-d", "--train-file")
    )
    model: str | None = setting(
        None, "Encoder whose vectors are used: a folder or Hub id", flags=("-m", "--base-model")
    )
    output: str | None = setting(None, "File to write, JSON Lines; default: stdout", flags=("-o",))
    folds: int = setting(
        5, "Parts the rows are cut into; each is judged by the others", ge=2, le=50
    )
    top: int | None = setting(None, "Write only the N likeliest errors", flags=("-k",), ge=1)
    seed: int = setting(42, "Seed of the folds")
    overwrite: bool = setting(False, "Replace the output file")
