"""`hfkit calibrate` on the terminal: what was fitted, and what it is worth on rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.cli.console import number, show, table

if TYPE_CHECKING:
    from hfkit.commands.calibrate import Calibrated

CALIBRATE = """Make the confidences of MODEL believable, by DATA.

MODEL is a run's folder; DATA has the right answers, and was not trained on. Fits a temperature,
thresholds for each of several labels, the null threshold of question answering, the scale of
similarity, and, with --precision-at-least, from which confidence on to answer at all. Goes into
decisions.json, which predict and serve use with every engine.

\b
  hfkit calibrate out dev.csv
  hfkit calibrate out dev.csv --precision-at-least 0.95
  hfkit calibrate out --reset
"""

MEANS = {
    "ece": "calibration error, 15 bins of equal width",
    "ece_equal_mass": "calibration error, 15 bins of equally many",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "mse": "mean squared error",
}
MOST_THRESHOLDS = 20


def show_calibrated(calibrated: Calibrated, stream: TextIO) -> None:
    """Write measures before and after, what was decided, and where it went."""
    fit = calibrated.fit
    if fit is None:
        said = "taken back" if calibrated.written else "nothing was written"
        show([f"{calibrated.folder}: {said}"], stream)
        return
    rows = [
        {"measure": MEANS.get(name, name), "before": number(value),
         "after, held out": number(fit.after.get(name))}
        for name, value in fit.before.items()
    ]  # fmt: skip
    title = f"{calibrated.rows} rows of {calibrated.data}, {fit.events} confidences"
    parts: list[Any] = [title, table(rows, ("before", "after, held out")), ""]
    parts += [f"{name.replace('_', ' ')}: {value}" for name, value in _shown(fit.decided).items()]
    if fit.abstaining is not None:
        parts += _abstaining(fit.abstaining.to_json())
    written = "written to" if calibrated.written else "not written:"
    show([*parts, f"{written} {calibrated.folder / 'decisions.json'}"], stream)


def _shown(decided: Mapping[str, Any]) -> dict[str, str]:
    """Decisions as a person reads them; of many thresholds some."""
    found: dict[str, str] = {}
    for name, value in decided.items():
        if isinstance(value, dict):
            pairs = [f"{label} {number(one)}" for label, one in value.items()]
            more = len(pairs) - MOST_THRESHOLDS
            found[name] = ", ".join(pairs[:MOST_THRESHOLDS]) + (f", {more} more" * (more > 0))
        else:
            found[name] = (
                ", ".join(map(number, value)) if isinstance(value, list) else number(value)
            )
    return found


def _abstaining(told: Mapping[str, Any]) -> list[str]:
    held_out = told["held_out"]
    precise = "none given" if held_out["precision"] is None else f"{held_out['precision']:.1%}"
    return [
        f"for a precision of {told['wanted']:g}: coverage {told['coverage']:.1%}, precision "
        f"{told['precision']:.1%}",
        f"held out: coverage {held_out['coverage']:.1%}, precision {precise}",
    ]
