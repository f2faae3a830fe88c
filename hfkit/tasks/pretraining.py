"""Pre-training: find hidden words (mlm), tell whether one text follows the other (nsp).

    in    {"text": "The river rose by two metres.", "document": 7}          texts alone
    mlm   {"filled": "The river rose by two metres.",                       for "The river [MASK] …"
           "masks": [[{"token": "rose", "score": 0.61}, …]]}
    nsp   {"label": "next", "score": 0.97}                                  for two texts

Nothing is labelled. For `mlm` texts are joined and cut into rows of `max_length` tokens,
[CLS] a [SEP] b [SEP], or stay apart (`line_by_line`); for `nsp` they make pairs, and words are
hidden too with its option `mlm`, as BERT was trained.

The detail that people get wrong is when words are hidden. Hidden once, they are the same in every
epoch; hidden as batches come, they change with the number of workers and after a resume. Here
`vary` hides them as a function of (seed, epoch, row). In a row that is scored they are a function
of its tokens, so that scores can be compared; `targets` shows them again for training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hfkit import masking
from hfkit.errors import InputError, RowError
from hfkit.masking import MASK, Hidden, Vocabulary, hide, key_of
from hfkit.registry import TASKS
from hfkit.segments import Pair, Segment, joined, pairs_of, segments
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import MaskingOptions, MlmOptions, NspOptions

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

NEXT = ("next", "not next")  # by the number of the label: 0 is next, as in BERT
NSP_FAMILIES = ("bert", "ernie", "fnet", "megatron-bert", "mobilebert")
M = TypeVar("M", bound=MaskingOptions)


class Pretraining(Task[M]):
    """What both have in common: texts without labels, and words hidden in them."""

    label_kind: ClassVar[LabelKind] = "none"
    only_torch: ClassVar[str] = (
        "a model in pre-training is not exported; fine-tune it for a task, and export that run"
    )

    def __init__(self, options: M) -> None:
        super().__init__(options)
        self._vocabulary: Vocabulary | None = None

    @property
    def joined(self) -> bool:
        """Rows are encoded together with their neighbours."""
        return not self.asked

    @property
    def best(self) -> str:
        """What is learnt."""
        return "-loss"

    @property
    def loss(self) -> str:
        """Over all words of the vocabulary, at the hidden places."""
        return "cross_entropy"

    def learn(self, rows: Sequence[Row]) -> None:
        """There is nothing to tell apart."""

    def head(self) -> dict[str, Any]:
        """Nothing of the head is the task's."""
        return {}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """Nothing is taken from it."""

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The texts themselves: what is right stands in them."""
        return [{"text": row["text"]} for row in rows]

    def vocabulary(self, tokenizer: Tokenizer) -> Vocabulary:
        """What there is to hide. Raises `InputError` for a tokenizer without a mask."""
        self._vocabulary = self._vocabulary or Vocabulary(tokenizer)
        return self._vocabulary

    def examined(self, part: EncodedRow, tokenizer: Tokenizer) -> EncodedRow:
        """An encoded row as it is scored: some words hidden, always the same."""
        ids = part["input_ids"]
        hidden = self._hidden(ids, key_of(ids), self.vocabulary(tokenizer))
        found = {"input_ids": hidden.ids, "positions": hidden.places, "answers": hidden.answers}
        return {**part, **found}

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Show what was hidden again: each epoch hides other words."""
        for part in encoded:
            places, answers = part.pop("positions"), part.pop("answers")
            for place, answer in zip(places, answers, strict=True):
                part["input_ids"][place] = answer

    def vary(self, encoded: EncodedRow, key: Sequence[int]) -> EncodedRow:
        """Hide the words of this epoch; ``labels`` are what stood at the ``positions``."""
        assert self._vocabulary is not None
        hidden = self._hidden(encoded["input_ids"], key, self._vocabulary)
        found = {"input_ids": hidden.ids, "positions": hidden.places, "labels": hidden.answers}
        return {**encoded, **found}

    def _hidden(self, ids: Sequence[int], key: Sequence[int], vocabulary: Vocabulary) -> Hidden:
        rate, whole = self.options.mask_rate, self.options.whole_words
        return hide(ids, key, vocabulary, rate=rate, whole_words=whole)


class Mlm(Pretraining[MlmOptions]):
    """Words that are hidden in a text, found by what stands around them."""

    columns: ClassVar[Mapping[str, str]] = TASKS["mlm"].columns
    Options = MlmOptions

    @property
    def auto_class(self) -> str:
        """A model for masked words, asked at the hidden places alone."""
        return "hfkit.model.pretraining:MaskedWords"

    @property
    def metric(self) -> str:
        """Loss, perplexity and accuracy over the hidden words."""
        return "masked-words"

    def head(self) -> dict[str, Any]:
        """How many words are wanted for each mask."""
        return {"hfkit_best": self.options.fills}

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Asked: the text as it is, and where its masks are. Scored or learnt: joined texts."""
        if self.asked:
            return self._questions(rows, tokenizer)
        if self.options.line_by_line:
            found = tokenizer.encode([row["text"] for row in rows], on_long="window", stride=0)
            parts = [{**part, "_row": n} for n, windows in enumerate(found) for part in windows]
        else:
            end, room = tokenizer.framed([])["input_ids"][-1:], tokenizer.room()
            cut = joined(_units(rows, tokenizer), end, room)
            parts = [{**tokenizer.framed(part.tokens), "_row": part.row} for part in cut]
        return [self.examined(part, tokenizer) for part in parts]

    def _questions(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        mask = self.vocabulary(tokenizer).mask
        texts = [row["text"].replace(MASK, mask) for row in rows]
        for number, text in enumerate(texts):
            if mask not in text:
                raise RowError(
                    f"nothing to find: no {MASK} in the text",
                    row=number,
                    hint=f"write {MASK} in place of a word; hfkit score judges whole texts",
                )
        self._text_of, self._mask = tokenizer.text_of, mask
        found = tokenizer.encode(texts, on_long="error")
        for number, (part,) in enumerate(found):
            places = [n for n, token in enumerate(part["input_ids"]) if token == tokenizer.mask_id]
            part |= {"positions": places, "_row": number}
        return [part for (part,) in found]

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Asked: the best words for each mask. Scored: how many words were hidden in a row, how
        many of them found, and the sum of their negative log-probabilities."""
        if self.asked:
            return [
                self._filled(output, len(part["positions"]), rows[part["_row"]]["text"])
                for output, part in zip(outputs, encoded, strict=True)
            ]
        answers: list[Answer] = [dict(masking.NONE_HIDDEN) for _ in rows]
        for output, part in zip(outputs, encoded, strict=True):
            masking.count_found(answers[part["_row"]], output, part["answers"])
        return answers

    def _filled(self, output: Outputs, count: int, text: str) -> Answer:
        masks = masking.best_words(
            output["best_ids"][:count], output["best"][:count], self._text_of
        )
        words = [found[0]["token"] for found in masks]
        return {"filled": masking.filled(text, self._mask, words), "masks": masks}


class Nsp(Pretraining[NspOptions]):
    """Whether one text follows the other; with `mlm`, hidden words too."""

    Options = NspOptions

    def build_on(self, model_config: Mapping[str, Any]) -> None:
        """Raise `InputError` for a family that has no head for pairs."""
        family = model_config["model_type"]
        if family not in NSP_FAMILIES:
            hint = f"families that have one: {', '.join(NSP_FAMILIES)}"
            raise InputError(f"a {family} has no head for next sentences", hint=hint)

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]
        """Texts of documents to learn from; two texts to ask about."""
        other = "document?" if self.asked else "text_pair"
        return {role: what for role, what in TASKS["nsp"].columns.items() if role != other}

    @property
    def auto_class(self) -> str:
        """One head, or both of BERT's."""
        alone = "AutoModelForNextSentencePrediction"
        return "hfkit.model.pretraining:Pretraining" if self.options.mlm else alone

    @property
    def metric(self) -> str:
        """How many pairs were told apart, and the hidden words."""
        return "next-sentence"

    @property
    def loss(self) -> str:
        """Of two classes, or of both heads together."""
        return "pretraining" if self.options.mlm else "cross_entropy"

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Asked: the two texts. Scored or learnt: pairs cut from the documents; ``_next`` is the
        number of the label."""
        if self.asked:
            texts, pairs = ([row[role] for row in rows] for role in ("text", "text_pair"))
            found = tokenizer.encode(texts, pairs, on_long="error")
            none: EncodedRow = {"positions": []} if self.options.mlm else {}
            return [{**part, **none, "_row": n} for n, (part,) in enumerate(found)]
        parts = []
        for pair in self._pairs(rows, tokenizer):
            part = tokenizer.framed(pair.first.tokens, pair.second.tokens)
            part |= {"_row": pair.first.row, "_next": int(not pair.follows)}
            parts.append(self.examined(part, tokenizer) if self.options.mlm else part)
        return parts

    def _pairs(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Pair]:
        longest = tokenizer.room(pair=True) // 2
        if longest < 2:
            raise InputError("too short for a pair", place="--max-length")
        apart = groupby(_units(rows, tokenizer), lambda unit: rows[unit.row].get("document", 0))
        found = [segments(list(units), longest) for _, units in apart]
        documents = [parts for parts in found if parts]
        if short := len(found) - len(documents):
            log.warning("documents of a single token, which make no pair, left out: %d", short)
        if len(documents) == 1:
            hint = "a blank line ends a document, or --document-column tells them apart"
            log.warning("%d rows are one document: no second is of another; %s", len(rows), hint)
        return pairs_of(documents, [len(parts) for parts in documents])

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add the label: 0 where the second text is the next one."""
        if self.options.mlm:
            super().targets(rows, encoded)
        for part in encoded:
            part["next_sentence_label" if self.options.mlm else "labels"] = part["_next"]

    def vary(self, encoded: EncodedRow, key: Sequence[int]) -> EncodedRow:
        """Hide the words of this epoch, where that is learnt too."""
        return super().vary(encoded, key) if self.options.mlm else encoded

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Asked: next or not. Scored: the pairs of a row, how many of them were told right, and the
        sum of their losses; the same for hidden words."""
        import numpy as np

        name = "next_logits" if self.options.mlm else "logits"
        logits = [output[name].astype(float) for output in outputs]
        likely = [row - np.logaddexp.reduce(row) for row in logits]
        if self.asked:
            return [_told(np.exp(row).tolist()) for row in likely]
        zero = {"pairs": 0, "right": 0, "next_loss": 0.0}
        answers = [{**zero, **(masking.NONE_HIDDEN if self.options.mlm else {})} for _ in rows]
        for row, output, part in zip(likely, outputs, encoded, strict=True):
            answer, label = answers[part["_row"]], part["_next"]
            answer["pairs"] += 1
            answer["right"] += int(row.argmax() == label)
            answer["next_loss"] -= float(row[label])
            if self.options.mlm:
                masking.count_found(answer, output, part["answers"])
        return answers

    def brief(self, answer: Answer) -> Answer:
        """The label and its score."""
        return {key: value for key, value in answer.items() if key != "scores"}


def _units(rows: Sequence[Row], tokenizer: Tokenizer) -> list[Segment]:
    tokens = tokenizer.pieces([row["text"] for row in rows])
    return [Segment(ids, number) for number, ids in enumerate(tokens) if ids]


def _told(likely: Sequence[float]) -> Answer:
    """Whether the second text is the next one, with the scores of both answers."""
    scores = dict(zip(NEXT, likely, strict=True))
    label = max(scores, key=lambda name: scores[name])
    return {"label": label, "score": scores[label], "scores": scores}
