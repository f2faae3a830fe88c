"""`hfkit report`: how a model does on labelled rows, as one HTML file that loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfkit.config.report import ReportConfig
from hfkit.data.output import open_output
from hfkit.data.predictions import is_predictions
from hfkit.errors import InputError

PAGE = "report.html"


@dataclass(frozen=True)
class Reported:
    """A report: its file, and the scores in it."""

    path: str
    scores: dict[str, float]
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"path": self.path, "rows": self.rows, "scores": self.scores}


def report(config: ReportConfig) -> Reported:
    """Write a report of ``config.model`` on ``config.data``, or on the run's own data.

    Raises `InputError` where the file exists and ``overwrite`` is not asked for, where there are
    no data, and as `evaluate` does.
    """
    from hfkit.reports.page import render
    from hfkit.reports.plots import check_packages
    from hfkit.run.reporting import gather

    if not config.model:
        raise InputError("no model", hint="name a run: hfkit report RUN")
    if is_predictions(config.model):
        raise InputError(
            "a report asks the model itself",
            place=config.model,
            hint="name the run; hfkit evaluate scores a file of predictions",
        )
    check_packages()
    path = config.output or default_path(config.model)
    with open_output(path, config.overwrite) as output:
        material = gather(config)
        output.write(render(material))
    return Reported(path, material.scores.values, len(material.rows))


def default_path(model: str) -> str:
    """Where a report goes unless told: into the run's folder, else beside the user."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return str(folder / PAGE)
    return f"{model.rstrip('/').split('/')[-1]}-{PAGE}"
