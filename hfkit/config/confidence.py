"""The settings of `hfkit calibrate`."""

from __future__ import annotations

from hfkit.config.base import setting
from hfkit.config.machine import Computing, Machine, Trust
from hfkit.config.reading import Columns, Reading, Strictness
from hfkit.config.training import TaskSettings


class CalibrateConfig(Machine, Trust, Reading, Columns, Strictness, TaskSettings, Computing):
    """Settings of `hfkit calibrate`."""

    model: str | None = setting(
        None, "The folder of a run or of a model", flags=("-m", "--model-name-or-path")
    )
    data: str | None = setting(
        None, "Rows with the right answers that it was not trained on", flags=("-d",)
    )
    precision_at_least: float | None = setting(
        None, "Withhold what is less sure, so that this share of what is given is right", gt=0, le=1
    )
    reset: bool = setting(False, "Take back what was calibrated, and fit nothing")
    dry_run: bool = setting(False, "Fit and measure, but write nothing")
    json_output: bool = setting(False, "Print the result as JSON", flags=("--json",))
