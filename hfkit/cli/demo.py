"""What `hfkit demo` shows: two models on the same test rows, and three answers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, TextIO

from hfkit.cli.console import number, show, table

if TYPE_CHECKING:
    from hfkit.commands.demo import Demo
    from hfkit.metrics.statistics import Scores

SHOWN = ("accuracy", "f1_macro")


def show_demo(done: Demo, stream: TextIO) -> None:
    """Write the scores of both models with their intervals, the answers, and what to try next."""
    scores = done.scores
    rows = [
        {"test": "MiniLM, fine-tuned", **_columns(scores)},
        {"test": "TF-IDF + logistic regression", **_columns(done.tfidf)},
    ]
    width = max(len(answer["label"]) for _, answer in done.predictions)
    answers = [
        f"{answer['label']:<{width}}  {answer['score']:.2f}  {text}"
        for text, answer in done.predictions
    ]
    folder = shlex.quote(str(done.run.folder))
    following = [
        f'hfkit predict {folder} "some text"',
        f"hfkit evaluate {folder} your-test.csv",
        "hfkit finetune your.csv -m minilm",
    ]
    title = f"\nScores on {scores.count} test rows, with {scores.confidence:.0%} intervals"
    show(
        [title, table(rows, SHOWN), "", *answers, "\nNext:", *(f"  {one}" for one in following)],
        stream,
    )


def _columns(scores: Scores) -> dict[str, str]:
    shown = {}
    for name in SHOWN:
        low, high = scores.intervals[name]
        shown[name] = f"{number(scores.values[name])} ({number(low)} to {number(high)})"
    return shown
