"""What was decided after training, as a section of the report: temperatures, thresholds, and below
which confidence answers are withheld."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfkit.reports.markup import element, escaped, facts, isolated, table
from hfkit.reports.material import Material

NAMES = {
    "temperature": "temperature of the confidences",
    "threshold": "threshold of the score",
    "null_threshold": "margin from which there is no answer",
    "abstain_below": "answers are withheld below",
    "score_slope": "slope of the confidences",
    "score_offset": "offset of the confidences",
}


def decisions(material: Material) -> str:
    """The decisions and the rows they were fitted on; nothing where there are none."""
    content = material.decisions
    decided = content.get("decisions") or {}
    if not decided:
        return ""
    calibration = content.get("calibration") or {}
    set_later = calibration.get("set") or []
    first = _data(content.get("fitted_on") or {}, "the training")
    later = _data(calibration, "hfkit calibrate")
    rows = [
        [escaped(NAMES.get(name, name.replace("_", " "))), _value(value),
         later if name in set_later else first]
        for name, value in decided.items()
    ]  # fmt: skip
    note = "Confidences are calibrated (hfkit calibrate). " if calibration else ""
    if "abstain_below" in decided:
        of = "entities" if material.metric == "entities" else "answers"
        note += (
            f"hfkit predict withholds {of} that are less sure than {decided['abstain_below']:.4g}: "
            f"of {material.withheld:,} of these {len(material.rows):,} rows. "
            "The scores above are of all answers, withheld or not."
        )
    told = element("p", escaped(note.strip()), kind="note") if note else ""
    return (
        told + table(["decision", "value", "fitted on"], rows, numbers=(1,)) + _worth(calibration)
    )


def _data(fitted: Mapping[str, Any], by: str) -> str:
    if not fitted.get("data"):
        return escaped(f"unknown data, by {by}")
    rows = f", {fitted['rows']:,} rows" if fitted.get("rows") else ""
    return f"{isolated(fitted['data'])}{escaped(rows)}, by {escaped(by)}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{isolated(name)} {one:.4g}" for name, one in value.items())
    if isinstance(value, list):
        return " to ".join(_value(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else escaped(value)


def _worth(calibration: Mapping[str, Any]) -> str:
    """What the calibration was worth on rows held out of it."""
    before, after = calibration.get("before") or {}, calibration.get("after") or {}
    told = {}
    if "ece" in before and "ece" in after:
        change = f"{before['ece']:.4f} before, {after['ece']:.4f} after"
        told["calibration error on rows held out"] = change
    held = (calibration.get("abstaining") or {}).get("held_out") or {}
    if held.get("coverage") is not None and held.get("precision") is not None:
        share = f"{held['coverage']:.1%} of them, {held['precision']:.1%} of these right"
        told["answers given on rows held out"] = share
    return facts({name: escaped(value) for name, value in told.items()}) if told else ""
