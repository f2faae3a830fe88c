"""The errors of a model, one by one: the worst, and those it was most sure of, with a box to
filter them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hfkit.reports.markup import element, escaped
from hfkit.reports.material import Material
from hfkit.reports.views.base import View


class Wrong(NamedTuple):
    """An answer that is not right: its row, how wrong it is, how sure the model was."""

    row: int
    error: float
    confidence: float | None


def wrong_answers(material: Material, view: View) -> list[Wrong]:
    """Every answer that is not right, the worst first; of equal ones the surest."""
    found = []
    for row, (answer, gold) in enumerate(zip(material.answers, material.gold, strict=True)):
        error = view.error(answer, gold)
        if error > 0:
            found.append(Wrong(row, error, view.confidence(answer)))
    return sorted(found, key=lambda one: (-one.error, -(one.confidence or 0.0), one.row))


def chosen(found: Sequence[Wrong], most: int) -> list[Wrong]:
    """The worst and the surest of them, in turns, at most `most`; the worst come first.

    >>> some = [Wrong(0, 0.9, 0.1), Wrong(1, 0.8, 0.2), Wrong(2, 0.1, 0.9)]
    >>> [one.row for one in chosen(some, 2)]
    [0, 2]
    """
    surest = sorted(
        (one for one in found if one.confidence is not None),
        key=lambda one: -(one.confidence or 0.0),
    )
    kept: dict[int, Wrong] = {}
    for place in range(len(found)):
        for one in (found[place], *surest[place : place + 1]):
            if len(kept) < most:
                kept.setdefault(one.row, one)
    return [one for one in found if one.row in kept]


def browser(material: Material, view: View) -> str:
    """The errors as cards, with a box to filter them and their order to choose; HTML."""
    found = wrong_answers(material, view)
    if not found:
        return element("p", "No answer is wrong.", kind="note")
    shown = chosen(found, material.most_errors)
    if not shown:
        return ""
    cards = "".join(_card(material, view, one) for one in shown)
    count = f"{len(found):,} of {len(material.rows):,} answers are not right"
    if view.graded:
        count = f"The {len(shown):,} of {len(material.rows):,} answers that are furthest off"
    elif len(shown) < len(found):
        count += f"; the worst and the surest {len(shown):,} are here"
    sure = any(one.confidence is not None for one in shown)
    order = (
        '<label>Order <select id="order"><option value="error">worst first</option>'
        '<option value="sure">surest first</option></select></label>'
    )
    controls = (
        '<div class="controls"><label class="grow">Filter '
        '<input id="filter" type="search" autocomplete="off" '
        'placeholder="words, a label, a line"></label>'
        f'{order if sure else ""}<output id="shown" aria-live="polite">{len(shown)} shown</output>'
        "</div>"
    )
    return (
        element("p", escaped(count) + ".", kind="note")
        + _legend(view)
        + controls
        + element("div", cards, id="cards")
    )


def _legend(view: View) -> str:
    """What the marks in the texts say."""
    marks = " ".join(element("mark", escaped(told), kind=kind) for kind, told in view.legend)
    return element("p", marks, kind="note") if marks else ""


def _card(material: Material, view: View, one: Wrong) -> str:
    answer, gold = material.answers[one.row], material.gold[one.row]
    sure = "" if one.confidence is None else f"sure to {one.confidence:.3f}"
    place = element("span", escaped(material.places[one.row]), kind="place")
    meta = element("p", element("span", sure) + place, kind="meta")
    head = element("header", element("h3", view.said(answer, gold)) + meta)
    return element(
        "article",
        head + view.drawn(material.rows[one.row], answer, gold),
        kind="card",
        **{"data-error": f"{one.error:.6f}", "data-sure": f"{one.confidence or 0.0:.6f}"},
    )
