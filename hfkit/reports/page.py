"""A report as one HTML file that asks nobody for anything.

The styles and the script stand in the page, and its policy allows these two by their hashes and
nothing else: no image, no font, no request, no style or script that data could smuggle in.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from string import Template
from typing import Any

from hfkit.reports import charts
from hfkit.reports.charts import Chart
from hfkit.reports.decided import decisions
from hfkit.reports.errors import browser
from hfkit.reports.markup import element, escaped, facts, isolated, number, table
from hfkit.reports.material import Material, Slice
from hfkit.reports.views import view_of
from hfkit.reports.views.base import View

WAYS_OF_SLICING = {"length": "Length of the text", "kind": "Kind of row"}


def render(material: Material) -> str:
    """Return the page."""
    view = view_of(material.metric)
    style, script = _part("page.css"), _part("page.js")
    parts = {
        "scores": _columns(_scores(material), view.tables(material)),
        "plots": _figures(_plots(material, view)),
        "slices": _slices(material),
        "decisions": decisions(material),
        "errors": _errors(material, view),
        "training": _figures(_learning(material)),
        "run": _run(material),
    }
    titles = {
        "scores": "Scores", "plots": "Behaviour", "slices": "Slices",
        "decisions": "Decisions", "errors": "Errors", "training": "Training", "run": "Run",
    }  # fmt: skip
    kept = {name: part for name, part in parts.items() if part}
    sections = "".join(
        element("section", element("h2", titles[name]) + part, id=name)
        for name, part in kept.items()
    )
    links = "".join(f'<a href="#{name}">{titles[name]}</a>' for name in kept)
    return Template(_part("page.html")).substitute(
        title=escaped(f"{material.name}: report"),
        name=isolated(material.name),
        about=_about(material),
        headline=_headline(material),
        links=links,
        sections=sections,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        version=escaped(material.versions.get("hfkit", "")),
    )


def _part(name: str) -> str:
    return files("hfkit.reports").joinpath("template", name).read_text("utf-8").strip()


def _hash(content: str) -> str:
    """What a policy calls an inline part by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _about(material: Material) -> str:
    data = f"{isolated(material.data)}, {len(material.rows):,} rows"
    return f"{escaped(material.task)} on {data} ({escaped(material.origin)})"


def _headline(material: Material) -> str:
    """The one number to remember, and what it is to be compared with."""
    scores = material.scores
    name = scores.headline
    low, high = scores.intervals.get(name, (None, None))
    told = []
    if low is not None:
        told.append(f"{scores.confidence:.0%} interval {number(low)}–{number(high)}")
    if name in scores.baseline:
        told.append(f"baseline, without reading the text: {number(scores.baseline[name])}")
    value = element("span", number(scores.values[name]), kind="value")
    label = element("span", escaped(name.replace("_", " ")), kind="name")
    return value + element("span", label + element("span", escaped("; ".join(told)), kind="told"))


def _scores(material: Material) -> str:
    scores = material.scores
    names = sorted(scores.values, key=lambda name: name != scores.headline)
    rows = []
    for name in names:
        low, high = scores.intervals.get(name, (None, None))
        cells = (scores.values[name], low, high, scores.baseline.get(name))
        rows.append([escaped(name), *map(number, cells)])
    note = f"{scores.count:,} rows"
    if scores.intervals:
        note += f"; {scores.confidence:.0%} intervals from {scores.resamples:,} resamples"
    if material.truncated:
        note += f"; {material.truncated:,} texts are longer than the model reads and were cut"
    reasons: dict[str, list[str]] = {}
    for name, reason in (scores.tables.get("undefined") or {}).items():
        reasons.setdefault(reason, []).append(name)
    why = "".join(
        element("p", escaped(f"Left out, as {reason}: {', '.join(left)}."), kind="note below")
        for reason, left in reasons.items()
    )
    head = ["score", "value", "low", "high", "baseline"]
    return element("p", note, kind="note") + table(head, rows, numbers=range(1, 5)) + why


def _columns(*parts: str) -> str:
    """Parts beside each other, where there is room."""
    inner = "".join(element("div", part) for part in parts if part)
    return element("div", inner, kind="columns")


def _plots(material: Material, view: View) -> list[Chart]:
    sure = view.sure(material.answers, material.gold)
    cut = view.cut(material)
    found = [
        *view.charts(material),
        charts.calibration(*sure) if sure else None,
        charts.precision_recall(view.ranked(material)),
        charts.threshold(cut, view.thresholds) if cut else None,
        charts.by_length(material.by_length, material.scores.headline),
    ]
    return [one for one in found if one is not None]


def _learning(material: Material) -> list[Chart]:
    return charts.learning(material.events, material.scores.headline)


def _figures(shown: list[Chart]) -> str:
    inner = "".join(one.html() for one in shown)
    return (
        element("div", inner, kind="figures four" if len(shown) == 4 else "figures")
        if inner
        else ""
    )


def _slices(material: Material) -> str:
    """The headline score of each part of the rows, with its interval as a line."""
    if not material.slices:
        return ""
    whole = material.scores.values[material.scores.headline]
    known = [end for one in material.slices for end in (one.value, one.low, one.high)
             if end is not None]  # fmt: skip
    low, high = min([whole, *known]), max([whole, *known])
    parts = []
    for of in dict.fromkeys(one.of for one in material.slices):
        rows = [
            [isolated(one.name), f"{one.count:,}", number(one.value) or "–",
             _interval(one), _line(one, low, high, whole)]
            for one in material.slices if one.of == of
        ]  # fmt: skip
        first = "characters" if of == "length" else ""
        head = [first, "rows", escaped(material.scores.headline), "interval", ""]
        title = WAYS_OF_SLICING.get(of) or f"Column {of.removeprefix('column ')}"
        parts.append(element("h3", isolated(title)) + table(head, rows, numbers=(1, 2)))
    note = f"The upright line is the score of all rows, {number(whole)}."
    return element("p", escaped(note), kind="note") + _columns(*parts)


def _interval(one: Slice) -> str:
    return "" if one.low is None else f"{number(one.low)}–{number(one.high)}"


def _line(one: Slice, low: float, high: float, whole: float) -> str:
    """A score and its interval on a scale that all slices share."""
    if one.value is None:
        return ""

    def at(value: float) -> str:
        return f"{4 + 112 * (value - low) / ((high - low) or 1):.1f}"

    ends = (one.value if one.low is None else one.low, one.value if one.high is None else one.high)
    return (
        '<svg class="interval" viewBox="0 0 120 16" aria-hidden="true">'
        f'<path class="stroke-faint" d="M{at(whole)} 1V15"/>'
        f'<path class="stroke-one" stroke-width="2" d="M{at(ends[0])} 8H{at(ends[1])}"/>'
        f'<circle class="fill-one" r="3.5" cx="{at(one.value)}" cy="8"/></svg>'
    )


def _errors(material: Material, view: View) -> str:
    if not material.examples:
        return element("p", "The texts are left out (--no-examples).", kind="note")
    return browser(material, view)


def _run(material: Material) -> str:
    sealed: dict[str, Any] = dict(material.sealed)
    parts = ""
    data = [
        [escaped(name), isolated(one["source"]), f"{one['rows']:,}", _code(one["sha256"])]
        for name, one in sealed.get("data", {}).items()
    ]
    data.append(["this report", isolated(material.data), f"{len(material.rows):,}",
                 _code(material.digest)])  # fmt: skip
    parts += element("h3", "Data") + table(["part", "source", "rows", "sha256"], data, numbers=(2,))
    base = sealed.get("base_model") or {}
    about = {"task": escaped(material.task)}
    if base:
        revision = f" at {base['revision']}" if base.get("revision") else ""
        about["base model"] = isolated(f"{base['name']}{revision}")
    if "seed" in sealed:
        about["seed"] = escaped(sealed["seed"])
    about |= {f"trained: {k}": escaped(v) for k, v in (sealed.get("hardware") or {}).items()}
    parts += element("h3", "Model") + facts(about)
    trained, now = sealed.get("versions") or {}, material.versions
    names = list(dict.fromkeys([*trained, *now]))
    rows = [[escaped(n), escaped(trained.get(n, "–")), escaped(now.get(n, "–"))] for n in names]
    parts += element("h3", "Versions") + table(["package", "trained", "this report"], rows)
    if material.settings:
        inner = element("summary", "Settings") + element("pre", escaped(material.settings))
        parts += element("details", inner)
    return parts


def _code(text: object) -> str:
    return element("code", escaped(text))
