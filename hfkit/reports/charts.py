"""The plots of a report, each a figure with a title, a line that says how to read it, and a text
for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hfkit.metrics.calibration import calibration_error, reliability
from hfkit.reports.curves import Ranked, average_precision, curve
from hfkit.reports.markup import clean, element, escaped
from hfkit.reports.material import Slice
from hfkit.reports.plots import FAINT, INK, ONE, SERIES, THREE, TWO, plot

DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))  # colour is never all that tells apart
LONGEST_NAME = 22
ALL = "all labels"  # a curve of every pair of a row and a label
BINS = 10  # of the reliability diagram
SMOOTHED = 20  # steps, at least, over which the loss is averaged


class Chart(NamedTuple):
    """A plot with its words. `told` is what it shows, in numbers."""

    title: str
    told: str
    svg: str

    def html(self) -> str:
        """The figure."""
        caption = element("figcaption", element("b", escaped(self.title)) + escaped(self.told))
        return element("figure", caption + self.svg, role="group")


def short(name: object) -> str:
    """A name that fits beside a plot.

    >>> short("a" * 30)
    'aaaaaaaaaaaaaaaaaaaaa…'
    """
    text = " ".join(clean(name).split())
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _legend(axes: Any) -> None:
    """Name the lines above the plot, where they cover nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0.2,
                columnspacing=1.2, handlelength=1.8)  # fmt: skip


def _whole_steps(axes: Any) -> None:
    """No half a step below the plot."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _up_to_one(axes: Any, values: Sequence[float]) -> None:
    """No score above 1 beside the plot, where there is none in it."""
    if max(values) <= 1:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02))
        axes.set_yticks([at for at in axes.get_yticks() if axes.get_ylim()[0] <= at <= 1])


def learning(events: Sequence[Mapping[str, Any]], score: str) -> list[Chart]:
    """The loss of each step, and the score that picked the checkpoint."""
    steps = [one for one in events if one.get("event") == "step" and one.get("loss") is not None]
    seen = [one for one in events if one.get("event") == "evaluation"]
    charts = []
    if len(steps) > 1:
        charts.append(_losses(steps, seen))
    points = [
        (one["step"], one["scores"][score], bool(one.get("best")))
        for one in seen
        if isinstance(one.get("scores"), Mapping) and one["scores"].get(score) is not None
    ]
    if len(points) > 1:
        charts.append(_course(points, score))
    return charts


def _losses(steps: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]) -> Chart:
    import numpy as np

    at = np.array([one["step"] for one in steps])
    losses = np.array([float(one["loss"]) for one in steps])
    wide = max(1, min(SMOOTHED, len(losses) // 8))
    sums = np.concatenate([[0.0], losses.cumsum()])
    first = np.maximum(np.arange(len(losses)) + 1 - wide, 0)
    smooth = (sums[1:] - sums[first]) / (np.arange(len(losses)) + 1 - first)
    held = [
        (one["step"], one["scores"]["loss"])
        for one in seen
        if (one.get("scores") or {}).get("loss") is not None
    ]

    def draw(axes: Any) -> None:
        axes.plot(at, losses, color=ONE, alpha=0.3, linewidth=1)
        axes.plot(at, smooth, color=ONE, label=f"training, mean of {wide} steps")
        if held:
            axes.plot(*zip(*held, strict=True), color=TWO, linestyle="--", marker="o",
                      label="validation")  # fmt: skip
        axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
        _whole_steps(axes)
        _legend(axes)

    told = f"from {smooth[min(wide, len(smooth)) - 1]:.3g} to {smooth[-1]:.3g} in {at[-1]} steps"
    return Chart("Loss", told, plot(draw, "loss"))


def _course(points: Sequence[tuple[int, float, bool]], score: str) -> Chart:
    at, values, best = zip(*points, strict=True)
    chosen = max((n for n, one in enumerate(best) if one), default=None)

    def draw(axes: Any) -> None:
        axes.plot(at, values, color=TWO, marker="o")
        if chosen is not None:
            axes.plot(at[chosen], values[chosen], color=TWO, marker="o", markersize=12,
                      markerfacecolor="none", linestyle="none", label="kept")  # fmt: skip
            _legend(axes)
        axes.set(xlabel="step", ylabel=short(score))
        axes.margins(y=0.15)
        _up_to_one(axes, values)
        _whole_steps(axes)

    kept = "" if chosen is None else f"; kept: step {at[chosen]}, {values[chosen]:.4f}"
    return Chart(f"Validation {score}", f"{len(at)} evaluations{kept}", plot(draw, "course"))


def calibration(confidences: Sequence[float], correct: Sequence[bool], of: str) -> Chart | None:
    """The reliability diagram: confidence against how often it is right."""
    pairs = np.array(
        [(c, r) for c, r in zip(confidences, correct, strict=True) if 0 <= c <= 1], dtype=float
    )
    if len(pairs) < 2:
        return None
    found = reliability(pairs[:, 0], pairs[:, 1], BINS)
    error = calibration_error(pairs[:, 0], pairs[:, 1], BINS)
    x, y, sizes = (
        np.array([one[name] for one in found]) for name in ("confidence", "accuracy", "count")
    )

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="as sure as right")
        axes.plot(x, y, color=ONE, linewidth=1.5)
        areas = 20 + 130 * sizes / sizes.max()
        axes.scatter(x, y, s=areas, color=ONE, label=f"{short(of)}, by number")
        axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.03), ylim=(0, 1.05))
        _legend(axes)

    told = f"expected calibration error {error:.4f}; points below the line: surer than right, "
    told += "above it: less sure than right"
    return Chart("Reliability", told, plot(draw, "reliability"))


def precision_recall(lines: Mapping[str, Ranked]) -> Chart | None:
    """Precision against recall, a line for each of up to six."""
    curves = {name: (one, curve(one)) for name, one in lines.items()}
    shown = [(name, one, found) for name, (one, found) in curves.items() if found][: len(SERIES)]
    if not shown:
        return None

    def draw(axes: Any) -> None:
        for (name, _, found), colour, dash in zip(shown, SERIES, DASHES, strict=False):
            point = "o" if len(found.recall) == 1 else None  # a line of one point is not seen
            axes.step(found.recall, found.precision, where="pre", color=colour, linestyle=dash,
                      marker=point, label=short(name))  # fmt: skip
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.03), ylim=(0, 1.05))
        _legend(axes)

    name, first, _ = shown[0]
    told = f"{short(name)}: average precision {average_precision(first):.3f}"
    if name == ALL:
        told += " of all rows and labels together (micro); under Scores stands the mean over labels"
    left_out = len(lines) - len(shown)
    more = f"; {left_out} more {'is' if left_out == 1 else 'are'} not drawn" if left_out > 0 else ""
    return Chart("Precision and recall", told + more, plot(draw, "precision-recall"))


def threshold(ranked: Ranked, named: Sequence[str]) -> Chart | None:
    """What a threshold on the score would do; `named` are the words for precision and recall, or
    for being right and for what is still answered."""
    found = curve(ranked)
    if found is None or len(found.thresholds) < 3:
        return None
    coverage = named[1] != "recall"
    second = found.kept if coverage else found.recall
    both = found.precision + found.recall

    def draw(axes: Any) -> None:
        axes.plot(found.thresholds, found.precision, color=ONE, label=named[0])
        axes.plot(found.thresholds, second, color=TWO, linestyle="--", label=named[1])
        if not coverage:
            f1 = 2 * found.precision * found.recall / both.clip(1e-12)
            axes.plot(found.thresholds, f1, color=THREE, linestyle="-.", label="F1")
        axes.set(xlabel="least score", ylabel="share", ylim=(0, 1.05))
        _legend(axes)

    enough = found.kept[found.precision >= 0.95]
    told = f"{named[0]} {found.precision[-1]:.3f} without a threshold"
    if coverage and enough.size:
        told += f"; at least 0.95 for {enough.max():.0%} of the rows"
    return Chart("Threshold", told, plot(draw, "threshold"))


def by_length(slices: Sequence[Slice], score: str) -> Chart | None:
    """The headline score of rows of about the same length, with its interval."""
    known = [one for one in slices if one.value is not None]
    if len(known) < 3:
        return None
    values = [one.value or 0.0 for one in known]
    low = [
        max(0.0, at - (at if one.low is None else one.low))
        for at, one in zip(values, known, strict=True)
    ]
    high = [
        max(0.0, (at if one.high is None else one.high) - at)
        for at, one in zip(values, known, strict=True)
    ]

    def draw(axes: Any) -> None:
        places = range(len(known))
        axes.errorbar(places, values, yerr=[low, high], color=ONE, marker="o", capsize=4,
                      linestyle="-", linewidth=1.2)  # fmt: skip
        axes.set_xticks(places, [one.name.replace("–", "–\n") for one in known])
        axes.set(xlabel="characters", ylabel=short(score))
        axes.grid(visible=False, axis="x")
        axes.margins(x=0.08, y=0.1)
        _up_to_one(axes, [at + up for at, up in zip(values, high, strict=True)])

    fewest, most = (end(one.count for one in known) for end in (min, max))
    size = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    told = f"{score} with 95% intervals, in {len(known)} groups of {size} rows"
    return Chart("Length", told, plot(draw, "length"))


def scatter(pairs: Sequence[tuple[float, float]], told: str, names: tuple[str, str]) -> Chart:
    """Right against predicted numbers, a point for each row, and the line of both being equal."""
    right, given = zip(*pairs, strict=True)
    low, high = min(*right, *given), max(*right, *given)
    faint = max(0.25, min(0.8, 12 / math.sqrt(len(pairs) + 1)))

    def draw(axes: Any) -> None:
        axes.plot([low, high], [low, high], color=INK, linestyle=":", linewidth=1, label="equal")
        axes.scatter(right, given, s=16, color=ONE, alpha=faint, linewidths=0)
        axes.set(xlabel=names[0], ylabel=names[1])
        _legend(axes)

    return Chart("Right and predicted", told, plot(draw, "scatter", height=4.2))


def histogram(values: Sequence[float], title: str, told: str, axis: str) -> Chart:
    """How often values of a size occur."""

    def draw(axes: Any) -> None:
        axes.hist(values, bins=min(30, max(5, len(values) // 5)), color=ONE)
        axes.set(xlabel=axis, ylabel="rows")
        axes.grid(visible=False, axis="x", color=FAINT)

    return Chart(title, told, plot(draw, "histogram"))
