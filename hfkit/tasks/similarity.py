"""Say how alike two texts are, by a vector for each of them or by reading both together.

    in    {"text": "A man plays a flute.", "text_pair": "Someone makes music.", "label": 3.6}
    out   {"score": 3.4}                    on the scale of the labels
          {"score": 0.91, "same": true}     trained on 0 and 1; without labels: {"score": 0.91}

What the labels are decides the loss:

    numbers    the order of the pairs counts              CoSENT
    0 and 1    together, or a margin apart                online contrastive
    none       find the second text among all others,     multiple negatives ranking
               negatives included

A bi-encoder compares vectors, which can be stored and searched; a cross-encoder reads both texts at
once, more exactly and far more slowly.

The detail that people get wrong is what a loss sees. The last one learns from the other pairs of a
step, so cutting the step into micro-batches must not take them away, and a pair with the same text
must not count as wrong. All rows of an example stay in one step here, and the loss sees all of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from hfkit.errors import InputError, RowError
from hfkit.registry import TASKS
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import SimilarityOptions
from hfkit.thresholds import Cuts, rising_line
from hfkit.vectors import joined, normalized

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

GRADED, SAME, MATCHING = "graded", "same", "matching"
LOSSES = {GRADED: "cosent", SAME: "contrastive", MATCHING: "multiple-negatives"}
KINDS = {loss: kind for kind, loss in LOSSES.items()}
METRICS = {GRADED: "similarity", SAME: "binary-similarity", MATCHING: "retrieval"}
BEST = dict(zip(METRICS.values(), ("spearman", "average_precision", "ndcg@10"), strict=True))
FITTING = {GRADED: (GRADED, SAME), SAME: (SAME,), MATCHING: (MATCHING, SAME)}  # loss: labels
SAID = {
    GRADED: ("the labels are numbers", "pairs are put in their order (CoSENT)"),
    SAME: ("the labels are 0 and 1", "pairs are drawn together or kept apart (contrastive)"),
    MATCHING: ("there are no labels", "second texts are told apart (multiple negatives ranking)"),
}
CROSSED = "both texts are read together (binary cross entropy)"
SIDES = ("text", "text_pair", "negative")


class Similarity(Task[SimilarityOptions]):
    """How alike two texts are; vectors for search."""

    columns: ClassVar[Mapping[str, str]] = TASKS["similarity"].columns
    label_kind: ClassVar[LabelKind] = "scores"
    Options = SimilarityOptions

    def __init__(self, options: SimilarityOptions) -> None:
        super().__init__(options)
        self.crossed = options.architecture == "cross-encoder"
        self.kind = KINDS.get(options.similarity_loss)  # what the model learns
        self.judged: str | None = None  # what the rows that were last asked for their gold say
        self.scale: tuple[float, float] | None = None  # lowest and highest label

    @property
    def auto_class(self) -> str:
        """A vector for each text, or one number for both."""
        if self.crossed:
            return "AutoModelForSequenceClassification"
        return "hfkit.model.heads:Embedder"

    @property
    def grouped(self) -> bool:
        """The texts of an example are compared with each other, and with those of others."""
        return not self.crossed

    @property
    def metric(self) -> str:
        """By the labels that there are to compare with."""
        return METRICS[self.judged or self.kind or GRADED]

    @property
    def best(self) -> str:
        """What no scale and no threshold changes."""
        return BEST[self.metric]

    @property
    def loss(self) -> str:
        """Of the whole step for vectors; of each pair where both are read together."""
        loss = LOSSES[self.kind or GRADED].replace("-", "_")
        return "binary_cross_entropy" if self.crossed else loss

    @property
    def loss_options(self) -> Mapping[str, Any]:
        """How many numbers of a vector should be enough."""
        return {} if self.crossed else {"dimensions": tuple(self.options.dimensions)}

    def learn(self, rows: Sequence[Row]) -> None:
        """See from the labels what there is to learn, and on what scale.

        Raises `InputError` where all labels are the same and where they do not fit the options.
        """
        found = _kind(rows)
        said, loss = SAID[found]
        what = "a cross-encoder" if self.crossed else LOSSES[self.kind or found]
        if found not in FITTING[self.kind or found] or (self.crossed and found == MATCHING):
            raise InputError(f"{what} cannot learn from this: {said}")
        if self.kind is None:
            self.kind = found
            log.info(
                "%s: %s",
                said,
                CROSSED if self.crossed else f"{loss}; override with --similarity-loss",
            )
        if found == MATCHING:
            return
        labels = [_label(row, number) for number, row in enumerate(rows)]
        low, high = min(labels), max(labels)
        if low == high:
            hint = "without the column, pairs learn from each other" if low == 1 else ""
            raise InputError(f"every label is {low:g}; there is nothing to tell apart", hint=hint)
        self.scale = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)

    def resolved(self) -> dict[str, Any]:
        """The options, with the loss that was found."""
        loss = "auto" if self.crossed else LOSSES[self.kind or GRADED]
        return {**super().resolved(), "similarity_loss": loss}

    def head(self) -> dict[str, Any]:
        """One number for a pair; of vectors, how to make one of a text."""
        if self.crossed:
            names = {"id2label": {0: "similarity"}, "label2id": {"similarity": 0}}
            return {"num_labels": 1, "problem_type": "regression", **names}
        pooling = None if self.options.pooling == "auto" else self.options.pooling
        return {"hfkit_pooling": pooling, "hfkit_normalize": self.options.normalize}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """See which of both a model is, and the scale of its scores."""
        name = str((model_config.get("architectures") or [""])[0])
        if "architecture" not in self.options.model_fields_set:
            self.crossed = name.endswith("ForSequenceClassification")
        count = len(model_config.get("id2label") or "01")  # two labels, where it names none
        if self.crossed and count > 1:
            hint = "--architecture bi-encoder compares the vectors of its encoder"
            raise InputError(f"a classifier with {count} labels, no cross-encoder", hint=hint)
        if "scale" in self.decisions:
            self.kind = GRADED
            log.info("scores are on the scale of its labels, %g to %g", *self.decisions["scale"])

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Cross-encoder: pairs. Bi-encoder: each text on its own, with its ``side`` in the example.
        Either in windows where it is long; ``share`` is what a window weighs in its text."""
        options = self.options
        encode = partial(tokenizer.encode, on_long=options.on_long, stride=options.stride)
        if self.crossed:
            pairs = encode([row["text"] for row in rows], [row["text_pair"] for row in rows])
            return [
                {**part, "_row": number, "_share": 1 / len(parts)}
                for number, parts in enumerate(pairs)
                for part in parts
            ]
        asked = [
            (number, side, row[role])
            for number, row in enumerate(rows)
            for side, role in enumerate(SIDES)
            if row.get(role) is not None
        ]
        found = encode([text for *_, text in asked])
        return [
            {**part, "_row": number, "side": side, "share": float(len(part["input_ids"]))}
            for (number, side, _), parts in zip(asked, found, strict=True)
            for part in parts
        ]

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``labels``, and ``text_key``, by which equal texts are known; a cross-encoder learns
        the label between 0 and 1."""
        labelled = _kind(rows) != MATCHING
        low, high = self.scale or (0.0, 1.0)
        for part in encoded:
            number = part["_row"]
            label = _label(rows[number], number) if labelled else math.nan
            if self.crossed:
                part["labels"] = [(label - low) / (high - low)]
                part["loss_weight"] = part["_share"]
            else:
                part["labels"] = label
                text = rows[number][SIDES[part["side"]]].strip()
                part["text_key"] = crc32(text.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Join the windows; give the score, and for vectors, the ``vectors [sides, D]``, which
        `brief` leaves out."""
        import numpy as np

        tokens = np.array([len(part["input_ids"]) for part in encoded], dtype=np.float64)
        owner = np.array([part["_row"] for part in encoded])
        if self.crossed:
            logits = np.stack([output["logits"] for output in outputs]).astype(np.float64)
            likely = 0.5 * (1 + np.tanh(0.5 * logits.reshape(-1, 1)))  # the sigmoid
            alike = joined(likely, owner, tokens, len(rows))[:, 0].tolist()
            answers = [self._answer(one) for one in alike]
        else:
            slot = owner * len(SIDES) + np.array([part["side"] for part in encoded])
            vectors = np.stack([output["embeddings"] for output in outputs])
            texts = joined(vectors, slot, tokens, len(rows) * len(SIDES))
            there = np.bincount(slot, minlength=len(texts)) > 0
            answers = self._compared(texts.reshape(len(rows), 3, -1), there.reshape(-1, 3))
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    def _compared(self, texts: NDArray[Any], there: NDArray[Any]) -> list[Answer]:
        """Answers from the vectors ``[rows, sides, D]`` of the texts that there are."""
        import numpy as np

        units = normalized(texts)
        cosines = np.sum(units[:, 0] * units[:, 1], axis=1).tolist()
        kept = (units if self.options.normalize else texts).astype(np.float32)
        answers = []
        for number, sides in enumerate(there):
            alike = {**self._answer(cosines[number]), "cosine": cosines[number]}
            answers.append({**(alike if sides[1] else {}), "vectors": kept[number, sides]})
        return answers

    def _answer(self, alike: float) -> Answer:
        """The score for a cosine, or for a cross-encoder's number between 0 and 1."""
        decided = self.decisions
        score = alike * decided.get("slope", 1.0) + decided.get("offset", 0.0)
        if "threshold" in decided:
            return {"score": score, "same": score >= decided["threshold"]}
        return {"score": score}

    def decide(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> None:
        """Fit the line from cosines to labels, or the threshold with the best F1.

        Where no line rises, because there is little data or nothing was learnt, the range of the
        cosine is laid on that of the labels.
        """
        import numpy as np

        if "score" not in gold[0]:
            return
        labels = np.array([one["score"] for one in gold], dtype=np.float64)
        if self.judged == SAME:
            scores = np.array([one["score"] for one in answers], dtype=np.float64)
            if labels.any():
                self.decisions["threshold"] = Cuts(scores, labels == 1).best().f1_threshold
            return
        low, high = self.scale or (float(labels.min()), float(labels.max()))
        slope, offset = high - low, low
        if not self.crossed:
            line = rising_line(np.array([one["cosine"] for one in answers]), labels)
            slope, offset = line or ((high - low) / 2, (high + low) / 2)
        self.decisions.update(scale=[low, high], slope=slope, offset=offset)

    def brief(self, answer: Answer) -> Answer:
        """The score, without what it was made of."""
        return {key: value for key, value in answer.items() if key not in ("vectors", "cosine")}

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The labels; where there are none, the two texts that belong together."""
        found = _kind(rows)
        self.judged = GRADED if found == SAME and self.kind == GRADED else found
        if found == MATCHING:
            return [{"texts": (row["text"], row["text_pair"])} for row in rows]
        return [{"score": _label(row, number)} for number, row in enumerate(rows)]


def _kind(rows: Sequence[Row]) -> str:
    """What the labels say: numbers, 0 and 1, or nothing."""
    if all(row.get("label") is None for row in rows):
        return MATCHING
    labels = {_label(row, number) for number, row in enumerate(rows)}
    return SAME if labels <= {0.0, 1.0} else GRADED


def _label(row: Row, number: int) -> float:
    """The label as a number; raises `RowError` for anything else."""
    try:
        value = float(row["label"])
    except (TypeError, ValueError, KeyError):
        value = math.nan
    if not math.isfinite(value):
        found = f'expected a number as label, got "{row.get("label")!s:.40}"'
        raise RowError(found, row=number, hint="0 and 1, or how alike the texts are")
    return value
