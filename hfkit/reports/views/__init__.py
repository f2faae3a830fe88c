"""How answers are judged one by one and shown, by the metric that scores them all."""

from __future__ import annotations

from hfkit.registry import load_object
from hfkit.reports.views.base import View

VIEWS = {
    "single-label": "classes:SingleLabel",
    "multi-label": "classes:MultiLabel",
    "regression": "numbers:Values",
    "similarity": "numbers:Graded",
    "binary-similarity": "numbers:Same",
    "entities": "entities:Entities",
    "answers": "spans:Answers",
    "texts": "writing:Written",
    "summaries": "writing:Written",
    "translations": "writing:Written",
    "written-texts": "writing:Written",
    "retrieval": "numbers:Graded",
    "masked-words": "writing:Language",
    "next-tokens": "writing:Language",
    "next-sentence": "writing:Pairs",
}


def view_of(metric: str) -> View:
    """The view of a metric; one that fits any answers for a metric of a third party."""
    if metric not in VIEWS:
        return View()
    view: View = load_object(f"hfkit.reports.views.{VIEWS[metric]}")()
    return view
