"""How probable a text is: what a language model is asked, and what its answers add up to.

    causal    log p(text)            = sum of log p(token | tokens before it)
    masked    pseudo-log-likelihood  = sum of log p(token | all others)      (Salazar et al. 2020)
    seq2seq   log p(target | source) = sum of log p(token | source, tokens before it)

A causal model with a token that begins texts (GPT-2's <|endoftext|>) is given it, so that the first
token of the text counts; without one the first token has no probability and is left out. A text
that is longer than a window is read in several that overlap. Each of its tokens counts once: in the
first window all, in each further one those that are new in it; a masked model is asked for each
token in the window where it stands most central.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hfkit.errors import InputError, RowError
from hfkit.infer.flow import Answerer, Batch
from hfkit.infer.predictor import cut_batches, is_unpadded, tokens_of
from hfkit.masking import Vocabulary
from hfkit.windows import central, cut

if TYPE_CHECKING:
    from hfkit.infer.engine import Engine
    from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row
    from hfkit.text import Tokenizer

TEXT = {"text": "the text"}


class Question(Protocol):
    """What a kind of language model is asked: a class of that kind's head, the columns it needs,
    the encoded rows of each text, and the log-probabilities in its outputs."""

    auto_class: str
    columns: Mapping[str, str]
    label_kind: LabelKind
    token_outputs: Sequence[str]

    def encode(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Encoded rows with ``_row``. Raises `RowError` for a text without a token to score."""
        ...

    def answered(self, output: Outputs, part: EncodedRow) -> Any:
        """The log-probabilities of the tokens that count in an encoded row."""
        ...


class Causal:
    """Tokens given those before them."""

    auto_class = "hfkit.model.likelihood:Causal"
    columns: Mapping[str, str] = TEXT
    label_kind: LabelKind = "none"
    token_outputs: Sequence[str] = ("answered",)

    def __init__(self, stride: int | None) -> None:
        self.stride = stride

    def encode(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Windows; ``_from`` is the place of the first token that counts in one."""
        size = tokenizer.max_length
        step = min(self.stride or size // 2, size - 1)
        begin = [] if tokenizer.null_id is None else [tokenizer.null_id]
        parts: list[EncodedRow] = []
        for number, pieces in enumerate(tokenizer.pieces([row["text"] for row in rows])):
            tokens = begin + pieces
            if len(tokens) < 2:
                raise RowError("no token that could be scored", row=number)
            counted, end = 1, min(size, len(tokens))
            while True:
                start = max(0, end - size)
                part = {"input_ids": tokens[start:end], "_from": counted - start, "_row": number}
                parts.append(part)
                if end == len(tokens):
                    break
                counted, end = end, min(end + step, len(tokens))
        return parts

    def answered(self, output: Outputs, part: EncodedRow) -> Any:
        """Those of the tokens that are new in the window."""
        return output["answered"][part["_from"] :]


class Masked:
    """Each token given all others: a text of n tokens is computed n times."""

    auto_class = "hfkit.model.pretraining:MaskedWords"
    columns: Mapping[str, str] = TEXT
    label_kind: LabelKind = "none"
    token_outputs: Sequence[str] = ()

    def __init__(self, stride: int | None) -> None:
        self.stride = stride

    def encode(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """One encoded row for each token, with the mask in its place."""
        plain = int(Vocabulary(tokenizer).plain[0])
        before = tokenizer.framed([plain])["input_ids"].index(plain)
        room = tokenizer.room()
        step = min(self.stride or room // 2, room)
        parts: list[EncodedRow] = []
        for number, tokens in enumerate(tokenizer.pieces([row["text"] for row in rows])):
            if not tokens:
                raise RowError("no token that could be scored", row=number)
            windows = cut(len(tokens), room, room - step)
            places = central(windows, len(tokens))
            for token, (window, place) in zip(tokens, places, strict=True):
                here = windows[window]
                part = tokenizer.framed(tokens[here.start : here.stop])
                part["input_ids"][before + place] = tokenizer.mask_id
                part |= {"positions": [before + place], "answers": [token], "_row": number}
                parts.append(part)
        return parts

    def answered(self, output: Outputs, part: EncodedRow) -> Any:
        """That of the one token."""
        return output["answered"][:1]


class Conditional:
    """The tokens of a target given its source, behind `prefix`, and those before them. The token of
    a language is given too."""

    auto_class = "hfkit.model.likelihood:Conditional"
    columns: Mapping[str, str] = {"text": "the source", "label": "the target"}
    label_kind: LabelKind = "texts"
    token_outputs: Sequence[str] = ()

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def encode(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Sources with their targets; ``_from`` and ``_to`` bound the tokens that count. Raises
        `InputError` for a source that is too long, `RowError` for a target."""
        texts = [f"{self.prefix}{row['text']}" for row in rows]
        sources = tokenizer.encode(texts, on_long="error")
        most = tokenizer.max_length
        targets = tokenizer.encode_targets([row["label"] for row in rows], most)
        parts: list[EncodedRow] = []
        for number, ((source,), (target, long)) in enumerate(zip(sources, targets, strict=True)):
            if long:
                raise RowError(f"the target has more than {most} tokens", row=number)
            language = tokenizer.language_id
            part: EncodedRow = {"input_ids": source["input_ids"], "answers": target}
            part["_from"] = int(target[0] == language)
            part["_to"] = len(target) - int(target[-1] == language)
            parts.append({**part, "_row": number})
        return parts

    def answered(self, output: Outputs, part: EncodedRow) -> Any:
        """Those of its tokens that count."""
        return output["answered"][part["_from"] : part["_to"]]


class Scorer(Answerer):
    """A language model with its tokenizer and engine, ready to score texts."""

    def __init__(
        self,
        question: Question,
        tokenizer: Tokenizer,
        engine: Engine,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        known: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        self.known = known or {}  # which column a run has read as what
        self.question = question
        self.tokenizer = tokenizer
        self.engine = engine
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens or tokens_of(engine)

    @property
    def columns(self) -> Mapping[str, str]:
        """The columns that are read."""
        return self.question.columns

    @property
    def label_kind(self) -> LabelKind:
        """What the column with a target holds."""
        return self.question.label_kind

    @property
    def token_outputs(self) -> Sequence[str]:
        """The outputs that have one entry for each token of a row."""
        return self.question.token_outputs

    def encode(self, rows: Sequence[Row]) -> list[EncodedRow]:
        """Turn texts into what the model is asked."""
        return self.question.encode(rows, self.tokenizer)

    def batches(self, encoded: Sequence[EncodedRow]) -> list[Batch]:
        """Batches by the longer of source and target."""
        sides = ((row["input_ids"], row.get("answers", [])) for row in encoded)
        longest = [{"input_ids": max(pair, key=len)} for pair in sides]
        unpadded = is_unpadded(self.engine)
        return cut_batches(longest, self.batch_size, self.batch_tokens, unpadded=unpadded)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Add up the log-probabilities of each text, in double precision."""
        sums, counts = [0.0] * len(rows), [0] * len(rows)
        for output, part in zip(outputs, encoded, strict=True):
            likely = self.question.answered(output, part)
            sums[part["_row"]] += float(likely.astype(float).sum())
            counts[part["_row"]] += len(likely)
        return [told(total, count) for total, count in zip(sums, counts, strict=True)]


def told(log_prob: float, tokens: int) -> Answer:
    """The log-probability of a text, its mean over the tokens, and the perplexity.

    >>> round(told(-2 * math.log(4), 2)["perplexity"], 9)
    4.0
    """
    mean = log_prob / tokens
    return {
        "log_prob": log_prob,
        "tokens": tokens,
        "mean_log_prob": mean,
        "perplexity": math.exp(-mean) if mean > -700 else math.inf,
    }


def make_question(kind: str, stride: int | None, max_length: int, prefix: str = "") -> Question:
    """What a kind of model is asked; `prefix` stands before each source.

    Raises `InputError` for a stride that leaves tokens out.
    """
    if stride is not None and stride >= max_length:
        raise InputError(
            f"a window of {max_length} tokens cannot move on by {stride}", place="--stride"
        )
    if kind == "seq2seq":
        return Conditional(prefix)
    return Causal(stride) if kind == "causal" else Masked(stride)
