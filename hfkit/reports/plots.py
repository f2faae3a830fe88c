"""Plots as SVG that belongs to the page: its colours are classes, so that the page's light and dark
palettes apply, its texts stay texts, and the same figures give the same bytes.

matplotlib draws with stand-ins for colours, writes looks into `style` attributes and puts a style
sheet of its own in front. None of that may reach the page, whose policy forbids styles but its own:
`cleaned` turns stand-ins into classes and styles into attributes.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from hfkit.errors import InputError

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
WIDTH, HEIGHT = 5.0, 3.6  # inches of 72 units: legible where a phone shows it 360 pixels wide
# Stand-ins, which no picture needs for itself. The page has a colour for each in both palettes.
INK, FAINT, PAPER = "#010203", "#010204", "#010205"
ONE, TWO, THREE, FOUR, FIVE, SIX = (f"#0102{number:02x}" for number in range(16, 22))
SERIES = (ONE, TWO, THREE, FOUR, FIVE, SIX)
CLASSES = {
    INK: "ink", FAINT: "faint", PAPER: "paper", ONE: "one", TWO: "two", THREE: "three",
    FOUR: "four", FIVE: "five", SIX: "six",
}  # fmt: skip
# Styles without which text of another font would not stand where it was put.
LOOKS = {
    "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap",
    "stroke-linejoin", "opacity", "fill-opacity", "stroke-opacity", "fill-rule", "clip-rule",
    "font-size", "font-weight", "text-anchor",
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "hfkit", "text.parse_math": False,
    "font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11, "legend.fontsize": 10,
    "xtick.labelsize": 10, "ytick.labelsize": 10, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK,
    "ytick.labelcolor": INK, "grid.color": FAINT, "grid.linewidth": 0.6, "axes.grid": True,
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "axes.facecolor": "none", "figure.facecolor": "none", "legend.frameon": False,
    "lines.linewidth": 2.0, "lines.markersize": 5, "path.simplify": True,
}  # fmt: skip


def check_packages() -> None:
    """Raise `InputError` where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise InputError("a report needs matplotlib", hint="pip install 'hfkit[report]'")


def plot(draw: Callable[[Any], None], name: str, *, height: float = HEIGHT) -> str:
    """Return what `draw` puts on an empty pair of axes, as SVG for an HTML page.

    `name` is unique on the page and goes in front of the ids. `height` is in inches.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a font without CJK: the page's own font draws the text
        return _plot(draw, name, height)


def _plot(draw: Callable[[Any], None], name: str, height: float) -> str:
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Nothing of a style that the user has set for plots of their own.
    usual = {key: rcParamsDefault[key] for key in rcParamsDefault if not key.startswith("backend")}
    with rc_context(usual), rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return cleaned(stream.getvalue().decode("utf-8"), name)


def cleaned(svg: str, name: str) -> str:
    """Return matplotlib's SVG without styles, comments and ids that nothing refers to."""
    root = ElementTree.fromstring(svg)
    kept = {link.removeprefix("#") for one in root.iter() for link in _links(one)}
    for parent in root.iter():
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for one in root.iter():
        _restyle(one)
        own = one.attrib.pop("id", None)
        if own in kept:
            one.set("id", f"{name}-{own}")
        _relink(one, name)
        one.tag = one.tag.removeprefix(f"{{{SVG}}}")
        one.tail = None if one.tag != "tspan" else one.tail
        if one.tag != "text" and one.text is not None and not one.text.strip():
            one.text = None
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("stroke-linejoin", "round")
    root.set("aria-hidden", "true")  # the figure has a text of its own
    return ElementTree.tostring(root, encoding="unicode")


def _restyle(one: ElementTree.Element) -> None:
    """Make attributes of an element's style, and classes of the stand-ins for colours."""
    for part in one.attrib.pop("style", "").split(";"):
        key, _, value = part.partition(":")
        if key.strip() in LOOKS:
            one.set(key.strip(), value.strip())
        elif key.strip() == "font":  # size and family at once
            size = re.search(r"([\d.]+)px", value)
            one.set("font-size", size.group(1) if size else "10")
    classes = []
    for kind in ("fill", "stroke"):
        colour = CLASSES.get(one.get(kind, ""))
        if colour is not None:
            classes.append(f"{kind}-{colour}")
            del one.attrib[kind]
    if one.tag == f"{{{SVG}}}text" and not classes:
        classes.append("fill-ink")
    if classes:
        one.set("class", " ".join(classes))


def _links(one: ElementTree.Element) -> list[str]:
    found = [one.get(LINK, ""), *re.findall(r"url\((#[^)]+)\)", one.get("clip-path", ""))]
    return [link for link in found if link.startswith("#")]


def _relink(one: ElementTree.Element, name: str) -> None:
    link = one.attrib.pop(LINK, None)
    if link is not None:
        one.set("href", link.replace("#", f"#{name}-"))
    if "clip-path" in one.attrib:
        one.set("clip-path", one.attrib["clip-path"].replace("#", f"#{name}-"))
