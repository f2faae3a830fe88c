"""`hfkit demo`: the three verbs on sample data, offline, through the public Python API.

Beside the fine-tuned model stands TF-IDF with logistic regression, fitted and scored on the same
rows: what a model of 22 million parameters adds is the difference, with its intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import hfkit
from hfkit.samples import sample

if TYPE_CHECKING:
    from hfkit.metrics.statistics import Scores
    from hfkit.run.finishing import Finetuned
    from hfkit.tasks.base import Answer

MODEL = "minilm"
OUTPUT = "runs/demo"
EPOCHS = 4
TEXTS = (
    "The courier says he rang, but nobody came all day.",
    "Charged twice for the same pair of shoes, please check!",
    "Does the kettle switch itself off when it is empty?",
)


@dataclass(frozen=True)
class Demo:
    """What the demo came to: the run, its scores on the test rows, those of the baseline, and three
    texts with their answers."""

    run: Finetuned
    scores: Scores
    tfidf: Scores
    predictions: list[tuple[str, Answer]]


def demo(output: str | None = None) -> Demo:
    """Fine-tune MiniLM on the sample data, score it on the test part, answer three texts.

    Needs the extra ``demo`` and no network. Raises `InputError` where the extra is not installed.
    """
    train, validation, test = (
        str(sample(f"support/{part}.csv")) for part in ("train", "validation", "test")
    )
    run = cast(
        "Finetuned",
        hfkit.finetune(
            train,
            model=MODEL,
            task="classification",
            validation=validation,
            output=output or OUTPUT,
            epochs=EPOCHS,
            offline=True,
        ),
    )
    folder = str(run.folder)
    scores = hfkit.evaluate(folder, test, offline=True).scores
    answers = hfkit.load(folder, offline=True).predict(TEXTS)
    return Demo(run, scores, _tfidf(train, test), list(zip(TEXTS, answers, strict=True)))


def _tfidf(train: str, test: str) -> Scores:
    """Score TF-IDF with logistic regression, both as scikit-learn has them, on the same rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from hfkit.config import Reading
    from hfkit.data.record import strict
    from hfkit.data.source import read
    from hfkit.metrics.classification import SingleLabel
    from hfkit.metrics.statistics import score

    rows = {
        name: [record.fields for record in strict(read(path, Reading()))]
        for name, path in (("train", train), ("test", test))
    }
    baseline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    baseline.fit([row["text"] for row in rows["train"]], [row["label"] for row in rows["train"]])
    answers = [
        {"label": label} for label in baseline.predict([row["text"] for row in rows["test"]])
    ]
    gold = [{"label": row["label"]} for row in rows["test"]]
    return score(SingleLabel(answers, gold, list(baseline.classes_)))
