"""Go on with a text: learn from texts, from prompts with completions, from conversations.

    in    {"text": "The river rose by two metres."}                        every token is learnt
          {"prompt": "The river", "completion": " rose by two metres."}    the completion is
          {"messages": [{"role": "user", "content": "Hi"}, …]}             the assistant's turns are
    out   {"text": " rose by two metres."}                                 for "The river"

A model that reads from left to right gives each token a probability, given those before it:

    training     the cross entropy of each token that is learnt, after all the tokens before it
    prediction   the likeliest token, or a drawn one, again and again, up to the one that ends texts

A text begins with the token that begins texts, where the tokenizer has one, and ends with the one
that ends them, or the model never learns to stop. A long one is cut into rows that share a token:
each token but the first of a text is learnt once, after one before it. Short ones stand in one
batch, and are computed without padding and without a look at one another.

The detail that people get wrong is where a prompt ends; `prompts` has it: prompt and completion are
encoded apart, in training as in prediction.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.chat import read_template
from hfkit.errors import InputError, RowError
from hfkit.families import BOTH_SIDES
from hfkit.prompts import (
    ASSISTANT,
    Prompts,
    Tokens,
    asking,
    blocks,
    cut_before,
    fitted,
    last_prompt,
)
from hfkit.registry import TASKS
from hfkit.targets import IGNORED
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import GenerationOptions

if TYPE_CHECKING:
    from pathlib import Path

    from hfkit.chat import Template
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

WRITING = "hfkit_writing"  # where a configuration in memory says how to write
USUAL = 128  # tokens written
POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


class Generation(Task[GenerationOptions]):
    """A text that goes on with another, an answer in a conversation."""

    label_kind: ClassVar[LabelKind] = "none"
    token_outputs: ClassVar[tuple[str, ...]] = ("answered", "right")
    only_torch: ClassVar[str] = (
        "a model that writes is asked once for each token, and is not exported"
    )
    auto_class = "hfkit.model.generator:Generator"
    best = "-loss"  # how probable the right tokens are
    loss = "cross_entropy"
    Options = GenerationOptions

    def __init__(self, options: GenerationOptions) -> None:
        super().__init__(options)
        self.is_chat = options.chat
        self._tokenizer: Tokenizer | None = None
        self._positions = 0  # 0: without bounds
        self._ends: list[int] = []

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]
        """What to learn from; of what is asked there is no completion yet."""
        left_out = ("completion?", "document?") if self.asked else ()
        found = TASKS["generation"].columns
        return {role: what for role, what in found.items() if role not in left_out}

    @property
    def writes(self) -> bool:
        """Whether texts are written, and not only judged."""
        return self.asked or self.options.written

    @property
    def joined(self) -> bool:
        """Whether rows hold several texts."""
        return self.options.join and not self.asked

    @property
    def metric(self) -> str:
        """Loss, perplexity and accuracy over the tokens; of what is written also the texts'."""
        return "written-texts" if self.options.written else "next-tokens"

    @property
    def new_tokens(self) -> int:
        """The most tokens that are written."""
        usual = min(USUAL, self._positions // 2) if self._positions else USUAL
        return self.options.max_new_tokens or usual

    def learn(self, rows: Sequence[Row]) -> None:
        """See what kind of rows these are. Raises `InputError` for settings that do not fit."""
        first = rows[0] if rows else {}
        self.is_chat = self.is_chat or "messages" in first
        if self.options.join and "text" not in first:
            raise InputError("joins texts, not prompts or conversations", place="--join")
        self._check_written(first)

    def _check_written(self, row: Row) -> None:
        """Of a text nothing is left to write."""
        if self.options.written and not self.asked and "text" in row:
            raise InputError("needs prompts with completions, or messages", place="--written")

    def resolved(self) -> dict[str, Any]:
        """The options; whether texts are parts of conversations was found."""
        return {**super().resolved(), "chat": self.is_chat}

    def build_on(self, model_config: Mapping[str, Any]) -> None:
        """See that the model goes from left to right, and how far."""
        kind = str(model_config.get("model_type"))
        if model_config.get("is_encoder_decoder"):
            hint = "-t text2text trains it, or take a model such as openai-community/gpt2"
            raise InputError(f"a {kind} writes one text for another", hint=hint)
        if kind in BOTH_SIDES and not model_config.get("is_decoder"):
            hint = "generation needs one that reads from left to right, as openai-community/gpt2"
            raise InputError(f"a {kind} reads texts and writes none", hint=hint)
        known = [model_config[name] for name in POSITIONS if model_config.get(name)]
        self._positions = min(known, default=0)
        ends = model_config.get("eos_token_id")
        self._ends = [ends] if isinstance(ends, int) else list(ends or [])
        if 0 < self._positions <= self.new_tokens:
            raise InputError(
                f"{self.new_tokens} tokens leave no room for a prompt: the model reads "
                f"{self._positions}",
                place="--max-new-tokens",
            )

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """As for a model to train."""
        self.build_on(model_config)

    def check_tokenizer(self, folder: Path) -> None:
        """See that there is a template, where the rows are conversations."""
        self._check_template(read_template(folder, {}) if self.is_chat else None)

    def read_with(self, tokenizer: Tokenizer) -> None:
        """Keep what encodes and decodes. Raises `InputError` where a template is missing."""
        self._tokenizer = tokenizer
        self._check_template(tokenizer.chat)
        if tokenizer.end_id is not None:
            self._ends = list(dict.fromkeys([tokenizer.end_id, *self._ends]))
        if not self._ends:
            log.warning("no token ends texts: a model does not learn when to stop")
        if self.is_chat and tokenizer.chat and not self.asked:
            which = "all turns are" if tokenizer.chat.is_marked else "last turn is"
            log.info("the assistant's %s learnt, as the chat template marks %s", which,
                     "them" if tokenizer.chat.is_marked else "none")  # fmt: skip
        if self.asked and tokenizer.chat and not self.is_chat:
            log.info("texts are gone on with as they are; --chat asks as in a conversation")

    def _check_template(self, template: Template | None) -> None:
        if self.is_chat and template is None:
            raise InputError(
                "the tokenizer has no chat template, which puts messages into words",
                hint="take a model for conversations, or columns prompt and completion",
            )

    def head(self) -> dict[str, Any]:
        """How to write; what is not set stays as the model has it."""
        settings = {
            "max_new_tokens": self.new_tokens,
            "ends": self._ends[:1],
            "room": self._room(),
            "stop": self.options.stop,
            "writes": self.writes,
        }
        return {WRITING: {**self.options.manner(), **settings}}

    def _room(self) -> int:
        """The most tokens of a prompt; 0: any number."""
        return max(self._positions - self.new_tokens, 0)

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Encode texts, cut into rows, or joined; prompts with what is to follow, or alone.

        ``_learnt`` says of each token whether it is learnt, ``prompt_length`` (where texts are
        written) how many tokens are the prompt.
        """
        self._check_written(rows[0] if rows else {})
        prompts = Prompts(tokenizer, self._ends, self.is_chat)
        if self.joined:
            return [_encoded(part, row) for part, row in prompts.joined(rows)]
        found = []
        for number, tokens in enumerate(prompts.tokens(rows, asked=self.asked)):
            if self.asked:
                found.append(self._asked_row(tokens, number))
            elif "text" in rows[number]:
                parts = blocks(tokens, tokenizer.max_length)
                found += [_encoded(part, number) for part in parts]
            else:
                found.append(self._learnt_row(tokens, number, tokenizer.max_length))
        return found

    def _asked_row(self, tokens: Tokens, number: int) -> EncodedRow:
        room = min(self._known().max_length, self._room() or self._known().max_length)
        self._refuse_long(len(tokens.ids), room, number)
        if not tokens.ids:
            raise RowError("no token to go on from", row=number)
        ids = tokens.ids[-room:]
        cut = {"_truncated": True} if len(ids) < len(tokens.ids) else {}
        return {"input_ids": ids, "prompt_length": len(ids), "_row": number, **cut}

    def _learnt_row(self, tokens: Tokens, number: int, size: int) -> EncodedRow:
        self._refuse_long(len(tokens.ids), size, number)
        part = _encoded(fitted(tokens, size), number)
        cut = len(tokens.ids) > size
        if self.writes:
            part["prompt_length"] = last_prompt(Tokens(part["input_ids"], part["_learnt"]))
            cut = cut or part["prompt_length"] > (self._room() or size)
        return {**part, "_truncated": True} if cut else part

    def _refuse_long(self, length: int, most: int, number: int) -> None:
        if length > most and self.options.on_long == "error":
            problem = f"{length} tokens, and {most} are the most there is room for"
            raise RowError(problem, row=number, hint="raise --max-length, or shorten it")

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``labels``: behind each token the next one, where that is learnt."""
        for part in encoded:
            following = zip(part["input_ids"][1:], part["_learnt"][1:], strict=True)
            part["labels"] = [token if learnt else IGNORED for token, learnt in following]
            part["labels"].append(IGNORED)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """The texts that were written. Judged: how many tokens of a row were learnt, how many of
        them likeliest, and the sum of their negative log-probabilities."""
        answers: list[Answer] = [{} for _ in rows]
        if self.writes:
            written = [[token for token in one["ids"].tolist() if token >= 0] for one in outputs]
            texts = self._known().spelled(written)
            for part, text in zip(encoded, texts, strict=True):
                found = cut_before(text, self.options.stop)
                answers[part["_row"]]["text"] = found.strip() if self.is_chat else found
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        if not self.asked:
            _judge(answers, outputs, encoded)
        return answers

    @property
    def stop(self) -> list[str]:
        """The words that a text ends before."""
        return self.options.stop

    def messages(self, row: Row) -> list[Mapping[str, Any]]:
        """What a server is told: the conversation, or the prompt as the user's words."""
        return asking(row)

    def _known(self) -> Tokenizer:
        if self._tokenizer is None:
            raise InputError("no tokenizer: call read_with first")
        return self._tokenizer

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The right texts."""
        return [{"text": _right(row)} for row in rows]


def _encoded(tokens: Tokens, number: int) -> EncodedRow:
    return {"input_ids": tokens.ids, "_learnt": tokens.learnt, "_row": number}


def _judge(
    answers: Sequence[Answer], outputs: Sequence[Outputs], encoded: Sequence[EncodedRow]
) -> None:
    """Add up what is learnt of each row."""
    import numpy as np

    for answer in answers:
        answer |= {"tokens": 0, "found": 0, "loss": 0.0}
    for part, output in zip(encoded, outputs, strict=True):
        answer, learnt = answers[part["_row"]], np.array(part["_learnt"], dtype=bool)
        answer["tokens"] += int(learnt.sum())
        answer["found"] += int(output["right"][learnt].sum())
        answer["loss"] -= float(output["answered"][learnt].astype(float).sum())


def _right(row: Row) -> str:
    """The text that a row is about: its completion, what the assistant says last, or all of it."""
    said = [one["content"] for one in row.get("messages", []) if one["role"] == ASSISTANT]
    return str(said[-1] if said else row.get("completion", row.get("text", "")))
