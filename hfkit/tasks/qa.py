"""Answer a question with the part of a context that answers it, or with nothing.

    in    {"question": "Where is the key?", "context": "Anna said the key is under the mat.",
           "label": [{"text": "under the mat", "start": 21}]}
    out   {"answer": "under the mat", "start": 21, "end": 34, "score": 0.93}
          {"answer": "", "start": None, "end": None, "score": 0.88}     where it holds no answer

The model gives each token two numbers: how well the answer starts there, and how well it ends
there. A span scores the sum of both. That there is no answer is a span too: the one of the token
CLS, which every window holds; it is searched for, as not every family puts it first.

The detail that people get wrong is the context that is longer than a window. In training, a window
that does not hold the whole answer has none: its target is CLS. Each window weighs as much as any
other, because each is a decision of its own, and all of them are compared in the end: the spans of
all windows are pooled, the same characters once, and no answer is only as likely as the window that
is least sure of it (the *minimum* of the scores of CLS). With a maximum or a mean, an answer that
stands in one window of fifty would lose to the forty-nine that rightly do not see it.

``no_answer_score`` is the score of no answer minus that of the best span. Above the null threshold,
fitted on the validation data for F1, the question is left unanswered. A model that was trained
without unanswerable questions always answers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.nbest import Span, best_spans, confidences, inside, pooled, tokens_of, trimmed
from hfkit.registry import TASKS
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import QaOptions

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

USUAL_LENGTH = 30  # tokens: 99 of 100 English answers are shorter
INTERNAL = ("no_answer_score", "best_answer")


class QuestionAnswering(Task[QaOptions]):
    """The part of a context that answers a question, or nothing."""

    columns: ClassVar[Mapping[str, str]] = TASKS["qa"].columns
    label_kind: ClassVar[LabelKind] = "answers"
    Options = QaOptions
    token_outputs = ("start_logits", "end_logits")

    def __init__(self, options: QaOptions) -> None:
        super().__init__(options)
        self.unanswerable = False  # whether the training data has questions without an answer
        self.lengths: list[int] = []  # of the training answers, in tokens

    @property
    def auto_class(self) -> str:
        """The head of every family of transformers with two numbers per token."""
        return "AutoModelForQuestionAnswering"

    @property
    def metric(self) -> str:
        """Exact match and F1, as SQuAD counts."""
        return "answers"

    @property
    def best(self) -> str:
        """F1 knows answers that are nearly right; exact match does not."""
        return "f1"

    @property
    def loss(self) -> str:
        """Cross entropy over the tokens of a window, of the start and of the end."""
        return "span"

    @property
    def null_threshold(self) -> float | None:
        """The margin above which there is no answer; None: there always is one."""
        if self.options.null_threshold is not None:
            return self.options.null_threshold
        fitted: float | None = self.decisions.get("null_threshold")
        return 0.0 if fitted is None and self.unanswerable else fitted

    @property
    def max_answer_length(self) -> int:
        """As asked for; else so long that 99 % of the training answers are found, at least 30."""
        if self.options.max_answer_length is not None:
            return self.options.max_answer_length
        if self.lengths:
            most = -(-99 * len(self.lengths) // 100)  # rounded up: of a few, all
            return max(USUAL_LENGTH, sorted(self.lengths)[most - 1])
        found: int = self.decisions.get("max_answer_length", USUAL_LENGTH)
        return found

    def learn(self, rows: Sequence[Row]) -> None:
        """See whether some questions have no answer."""
        without = sum(not row["label"] for row in rows)
        self.unanswerable = without > 0
        if without:
            log.info("%d of %d questions have no answer", without, len(rows))

    def head(self) -> dict[str, Any]:
        """Two numbers per token, whatever the base model's config says."""
        return {"num_labels": 2}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """Nothing of it stands in config.json; what was decided stands in decisions.json."""
        if "unanswerable" not in self.decisions and self.options.null_threshold is None:
            log.info("it answers every question; --null-threshold 0 lets it find no answer")

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row per window of the context, the whole question in each.

        ``_starts`` and ``_ends`` hold the characters of each token of the context, ``_null`` the
        place of CLS, ``_from`` and ``_to`` the characters of the context that the window covers.
        """
        windows = tokenizer.encode(
            [row["question"].strip() for row in rows],
            [row["context"] for row in rows],
            on_long=self.options.on_long,
            stride=self.options.stride,
            located=True,
            side="second",
        )
        encoded: list[EncodedRow] = []
        for number, parts in enumerate(windows):
            for place, part in enumerate(parts):
                covered = [end for start, end in zip(part["_starts"], part["_ends"], strict=True)
                          if start >= 0]  # fmt: skip
                first = next((start for start in part["_starts"] if start >= 0), 0)
                whole = place == len(parts) - 1 and not part.get("_truncated")
                part["_row"] = number
                part["_null"] = _place(tokenizer.null_id, part["input_ids"])
                part["_from"] = first if place else 0
                part["_to"] = len(rows[number]["context"]) if whole else max(covered, default=0)
                encoded.append(part)
        return encoded

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``start_positions`` and ``end_positions``: the tokens of the first gold answer, or
        CLS where the window does not hold it whole. Says which answers cannot be learnt as given.
        """
        lengths: dict[int, int] = {}
        inexact: set[int] = set()
        for part in encoded:
            number, answers = part["_row"], rows[part["_row"]]["label"]
            part["start_positions"] = part["end_positions"] = part["_null"]
            if not answers:
                continue
            start = answers[0]["start"]
            place = trimmed(rows[number]["context"], start, start + len(answers[0]["text"]))
            if place[0] < part["_from"] or place[1] > part["_to"]:
                continue
            tokens = tokens_of(part["_starts"], part["_ends"], *place)
            if tokens is None:
                continue
            first, last = part["start_positions"], part["end_positions"] = tokens
            lengths[number] = last - first + 1
            if (part["_starts"][first], part["_ends"][last]) != place:
                inexact.add(number)
        self.lengths += lengths.values()
        self._tell(sum(bool(row["label"]) for row in rows), lengths, len(inexact))

    def _tell(self, count: int, lengths: Mapping[int, int], inexact: int) -> None:
        longest = self.max_answer_length
        long = sum(length > longest for length in lengths.values())
        if len(lengths) < count:
            log.warning("%d of %d answers lie in no window as a whole", count - len(lengths), count)
        if inexact:
            log.info("%d of %d answers begin or end within a token", inexact, count)
        if long or longest > USUAL_LENGTH:
            say = log.warning if long else log.info
            say("answers of up to %d tokens are looked for, %d of %d are longer; override with "
                "--max-answer-length", longest, long, count)  # fmt: skip

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Pool the best spans of the windows of each context; answer with the best, or nothing."""
        answers = [self.answer(*found) for found in self.candidates(outputs, encoded, rows)]
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    def candidates(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[tuple[list[Span], float]]:
        """For each row its best spans, the best first, and the score of no answer."""
        spans: list[list[Span]] = [[] for _ in rows]
        nulls = [float("inf")] * len(rows)
        for output, part in zip(outputs, encoded, strict=True):
            number, null = part["_row"], part["_null"]
            spans[number] += self._spans(output, part, rows[number])
            score = float(output["start_logits"][null]) + float(output["end_logits"][null])
            nulls[number] = min(nulls[number], score)
        return [(pooled(found, self._kept), null) for found, null in zip(spans, nulls, strict=True)]

    @property
    def _kept(self) -> int:
        return max(self.options.n_best, self.options.top_k)

    def _spans(self, output: Outputs, part: EncodedRow, row: Row) -> list[Span]:
        context, starts, ends = row["context"], part["_starts"], part["_ends"]
        first, last, scores = best_spans(
            output["start_logits"],
            output["end_logits"],
            inside(starts, ends),
            self._kept,
            self.max_answer_length,
        )
        spans = []
        for one, other, score in zip(first, last, scores.tolist(), strict=True):
            start, end = trimmed(context, starts[one], ends[other])
            if start < end:
                spans.append(Span(context[start:end], start, end, score))
        return spans

    def answer(self, spans: Sequence[Span], null: float) -> Answer:
        """One answer from pooled spans and the score of no answer.

        The confidence is the softmax over the spans and no answer, the latter lowered by the
        threshold, so that what is answered is also what has the highest confidence.
        """
        if not spans:
            return {**NOTHING, "score": 1.0, "no_answer_score": None, "best_answer": "",
                    "answers": [{**NOTHING, "score": 1.0}]}  # fmt: skip
        threshold = self.null_threshold
        temperature = self.decisions.get("temperature", 1.0)
        shares, none = confidences(spans, null - (threshold or 0.0), temperature)
        answers = [_record(span, share) for span, share in zip(spans, shares, strict=True)]
        if threshold is not None:
            worse = sum(share >= none for share in shares)
            answers.insert(worse, {**NOTHING, "score": none})
        return {
            **answers[0],
            "no_answer_score": null - spans[0].score,
            "best_answer": spans[0].text,
            "answers": answers[: self.options.top_k],
        }

    def decide(self, answers: Sequence[Answer], gold: Sequence[Answer]) -> None:
        """Fit the null threshold: the margin that gives these questions the best F1."""
        from hfkit.answers import best_threshold

        self.decisions["unanswerable"] = self.unanswerable
        self.decisions["max_answer_length"] = self.max_answer_length
        if not self.unanswerable or self.options.null_threshold is not None:
            return
        without = sum(not one["answers"] for one in gold)
        if not without:
            log.debug("every question of the validation data has an answer: null threshold 0")
            self.decisions["null_threshold"] = 0.0
            return
        f1, threshold = best_threshold(answers, gold)
        self.decisions |= {"null_threshold": threshold, "null_threshold_f1": f1,
                           "questions": len(gold), "without_answer": without}  # fmt: skip

    def brief(self, answer: Answer) -> Answer:
        """Leave out what only a metric reads, and the list where one answer was asked for."""
        left_out = INTERNAL if self.options.top_k > 1 else (*INTERNAL, "answers")
        return {key: value for key, value in answer.items() if key not in left_out}

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """All right answers; none where there is no answer. The language, where it was named."""
        language = self.options.answer_language
        named = {"language": language} if language else {}
        return [{"answers": list(row["label"] or []), **named} for row in rows]


NOTHING: dict[str, Any] = {"answer": "", "start": None, "end": None}


def _record(span: Span, share: float) -> Answer:
    found: Answer = {"answer": span.text, "start": span.start, "end": span.end, "score": share}
    return found if span.document is None else {**found, "document": span.document}


def _place(token: int | None, ids: Sequence[int]) -> int:
    """Where CLS stands; the first token for a family that has none."""
    return 0 if token is None or token not in ids else ids.index(token)
