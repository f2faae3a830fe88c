"""Give a text, or a pair of texts, one label, several labels or a number.

    in    {"text": "Where is my parcel?", "label": "delivery"}
    out   {"label": "delivery", "score": 0.97}                         one label
          {"labels": ["delivery", "complaint"], "scores": {...}}       several labels
          {"value": 3.8}                                               a number

A pair is encoded as the model was trained to read pairs, with its separator and segment numbers;
joining the two texts with a space loses the border between them, and points of accuracy.

The detail that people get wrong is the long text. Cutting it at 512 tokens throws away what may
decide. Here it is read in overlapping windows: in training each window of a text with n windows
weighs 1/n, so that a long text counts as much as a short one; in prediction the probabilities of
the windows are averaged, each by its number of tokens.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.choices import stored_labels
from hfkit.errors import InputError, RowError
from hfkit.registry import TASKS
from hfkit.tasks.base import Answer, EncodedRow, Outputs, Row, Task
from hfkit.tasks.options import ClassificationOptions
from hfkit.temperature import sigmoid, softmax, tempered, tempered_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

IMBALANCED = 3.0  # above this ratio of class sizes accuracy hides the rare classes
HEAVIEST = 100.0  # cap of a positive label's weight: one in ten thousand would drown the rest

KINDS = {
    "single-label": "each row has one label",
    "multi-label": "a row has any number of labels",
    "regression": "the label is a number",
}
PROBLEM_TYPES = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


class Classification(Task[ClassificationOptions]):
    """One label, several labels or a number for a text or a pair of texts."""

    columns: ClassVar[Mapping[str, str]] = TASKS["classification"].columns
    Options = ClassificationOptions

    def __init__(self, options: ClassificationOptions) -> None:
        super().__init__(options)
        self.problem: str = options.problem
        self.imbalanced = False
        self.class_weights: list[float] = []

    @property
    def auto_class(self) -> str:
        """The head of every family of transformers for one answer per text."""
        return "AutoModelForSequenceClassification"

    @property
    def metric(self) -> str:
        """One metric family per kind of problem."""
        return self.problem

    @property
    def best(self) -> str:
        """Macro-F1 when the classes are imbalanced, as accuracy then rewards ignoring the rare."""
        if self.problem == "single-label":
            return "f1_macro" if self.imbalanced else "accuracy"
        return "f1_micro" if self.problem == "multi-label" else "-mse"

    @property
    def loss(self) -> str:
        """The usual loss of each kind of problem."""
        return {
            "single-label": "cross_entropy",
            "multi-label": "binary_cross_entropy",
            "regression": "mean_squared_error",
        }[self.problem]

    @property
    def loss_options(self) -> Mapping[str, float]:
        """Label smoothing belongs to one label of several."""
        return {"smoothing": self.options.label_smoothing} if self.problem == "single-label" else {}

    def learn(self, rows: Sequence[Row]) -> None:
        """Find the kind of problem and the labels, in a fixed order; weigh the classes.

        Raises `InputError` when there is nothing to tell apart.
        """
        cells = [row["label"] for row in rows]
        if self.problem == "auto":
            self.problem = _kind(cells)
            log.info("%s; override with --problem", KINDS[self.problem])
            if self.problem == "single-label" and all(str(cell).isdigit() for cell in cells):
                log.info("whole numbers are classes; -t regression takes them as numbers")
        if self.problem == "regression" and self.options.class_weights != "none":
            raise InputError("a number has no class to weigh", place="--class-weights")
        if self.problem == "regression":
            self.gold(rows)  # each label is a number
            return
        names = Counter(name for cell in cells for name in _names(cell))
        if self.problem == "single-label":
            for number, cell in enumerate(cells):
                if len(_names(cell)) != 1:
                    raise RowError(
                        f"{len(_names(cell))} labels; single-label needs one",
                        row=number,
                        hint="use --problem multi-label",
                    )
            if len(names) < 2:
                raise InputError(f'only one class ("{min(names)}"); there is nothing to tell apart')
        if not names:
            raise InputError("no row has a label")
        self.labels = sorted(names, key=_by_number_then_name)
        self.imbalanced = max(names.values()) > IMBALANCED * min(names.values())
        if self.options.class_weights == "balanced":
            self.class_weights = self._balanced(names, len(rows))

    def _balanced(self, names: Counter[str], count: int) -> list[float]:
        """n / (k n_c) for one label of k; negatives / positives, capped, for each of several."""
        if self.problem == "single-label":
            return [count / (len(names) * names[label]) for label in self.labels]
        return [min((count - names[label]) / names[label], HEAVIEST) for label in self.labels]

    def resolved(self) -> dict[str, Any]:
        """The options, with the kind of problem that was found."""
        return {**super().resolved(), "problem": self.problem}

    def head(self) -> dict[str, Any]:
        """What config.json says of the head."""
        if self.problem == "regression":
            return {"num_labels": 1, "problem_type": "regression"}
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": {label: number for number, label in enumerate(self.labels)},
            "problem_type": PROBLEM_TYPES[self.problem],
        }

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """Take labels and kind of problem from a model's config.json."""
        self.labels = stored_labels(model_config)
        kinds = {value: key for key, value in PROBLEM_TYPES.items()}
        stored = kinds.get(model_config.get("problem_type") or "")
        guessed = "regression" if len(self.labels) == 1 else "single-label"
        self.problem = (stored or guessed) if self.problem == "auto" else self.problem
        self.labels = [] if self.problem == "regression" else self.labels

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row per window; ``_share`` is the weight of a window within its text."""
        pairs = [row["text_pair"] for row in rows if "text_pair" in row]
        windows = tokenizer.encode(
            [row["text"] for row in rows],
            pairs or None,
            on_long=self.options.on_long,
            stride=self.options.stride,
        )
        return [
            {**part, "_row": number, "_share": 1 / len(parts)}
            for number, parts in enumerate(windows)
            for part in parts
        ]

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``labels`` (a class number, a 0/1 vector or a number) and ``loss_weight``."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        answers = self.gold(rows)
        for part in encoded:
            answer = answers[part["_row"]]
            part["loss_weight"] = part["_share"]
            if self.problem == "regression":
                part["labels"] = answer["value"]
            elif self.problem == "single-label":
                part["labels"] = numbers[answer["label"]]
                if self.class_weights:
                    part["loss_weight"] *= self.class_weights[part["labels"]]
            else:
                chosen = {numbers[label] for label in answer["labels"]}
                part["labels"] = [float(number in chosen) for number in range(len(numbers))]
                if self.class_weights:
                    part["loss_weight"] = [
                        part["_share"] * (weight if number in chosen else 1.0)
                        for number, weight in enumerate(self.class_weights)
                    ]

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Average the windows of each text; name the best label, or all above the threshold."""
        import numpy as np

        logits = np.stack([output["logits"] for output in outputs]).astype(np.float64)
        owner = np.array([part["_row"] for part in encoded])
        tokens = np.array([len(part["input_ids"]) for part in encoded], dtype=np.float64)
        pooled = np.zeros((len(rows), logits.shape[1]))
        np.add.at(pooled, owner, self._activated(logits) * tokens[:, None])
        pooled /= np.bincount(owner, weights=tokens, minlength=len(rows))[:, None]
        change = tempered_each if self.problem == "multi-label" else tempered
        scores = change(pooled, self.decisions.get("temperature", 1.0))
        answers = list(map(self._answer, pooled, scores))
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    def _activated(self, logits: NDArray[Any]) -> NDArray[Any]:
        if self.problem == "regression":
            return logits
        return (sigmoid if self.problem == "multi-label" else softmax)(logits)

    def _answer(self, raw: NDArray[Any], scores: NDArray[Any]) -> Answer:
        if self.problem == "regression":
            return {"value": float(scores[0])}
        named = dict(zip(self.labels, scores.tolist(), strict=True))
        if self.problem == "single-label":
            best = self.labels[int(raw.argmax())]  # rounding may have made a tie of the others
            return {"label": best, "score": named[best], "scores": named}
        own, usual = self.decisions.get("thresholds", {}), self.options.threshold
        chosen = [label for label in self.labels if named[label] >= own.get(label, usual)]
        return {"labels": chosen, "scores": named}

    def brief(self, answer: Answer) -> Answer:
        """Leave out the scores of the labels that were not chosen."""
        if "label" in answer:
            return {key: value for key, value in answer.items() if key != "scores"}
        if "labels" in answer:
            chosen = {label: answer["scores"][label] for label in answer["labels"]}
            return {**answer, "scores": chosen}
        return answer

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The label column as answers; raises `RowError` for a label the model does not know."""
        known = set(self.labels)
        answers: list[Answer] = []
        for number, row in enumerate(rows):
            if self.problem == "regression":
                answers.append({"value": _number(row, number)})
                continue
            names = _names(row["label"])
            for name in names:
                if name not in known:
                    raise RowError(
                        f'label "{name}" was not seen at training',
                        row=number,
                        hint="known: " + ", ".join(f'"{label}"' for label in self.labels[:20]),
                    )
            if self.problem == "single-label" and len(names) != 1:
                raise RowError(f"{len(names)} labels; this model gives one", row=number)
            single = self.problem == "single-label"
            answers.append({"label": names[0]} if single else {"labels": sorted(names)})
        return answers


def _kind(cells: Sequence[Any]) -> str:
    """Lists are several labels; numbers with a fraction are values; all else is one label.
    Whole numbers stay classes (``-t regression``); one word among five numbers is a mistake."""
    if any(isinstance(cell, list) for cell in cells):
        return "multi-label"
    numbers = [number for number in map(_as_number, cells) if math.isfinite(number)]
    fractions = any(not number.is_integer() for number in numbers)
    return "regression" if fractions and len(numbers) * 5 > len(cells) * 4 else "single-label"


def _names(cell: Any) -> list[str]:
    return list(cell) if isinstance(cell, list) else [cell]


def _number(row: Row, number: int) -> float:
    value = _as_number(row["label"])
    if math.isfinite(value):
        return value
    found = f"{row['label']!s:.40}"
    hint = "write decimals with a point" if "," in found else "or --problem single-label"
    raise RowError(f'expected a number as label, got "{found}"', row=number, hint=hint)


def _as_number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


def _by_number_then_name(label: str) -> tuple[bool, int, str, str]:
    """Labels that are whole numbers, of however many digits, stand in their order: 2 before 10."""
    digits = label.lstrip("0") if label.isascii() and label.isdigit() else None
    return digits is None, len(digits or ""), digits or "", label
