"""Write a text from another: its summary, its translation, its title.

    in    {"text": "Anna: Tea? Ben: At four. Anna: Fine.", "label": "They meet for tea at four."}
    out   {"text": "Anna and Ben have tea at four."}

An encoder reads the text; a decoder writes token by token, each given those before it:

    training     the loss is the cross entropy of each right token, after the right tokens before it
    prediction   the best of several beginnings (beams) is followed until it ends, or is too long

What the base model does is kept where no setting says otherwise: its generation_config.json (beams,
lengths), the prefix that T5 was trained with ("summarize: "), the languages of mBART, NLLB and M2M.

The detail that people get wrong is what a target looks like: it ends with the token that ends
texts, or the model never learns to stop; padding is no token to learn, though it has a number; and
in models of many languages what is written begins with the language's own token, in training and in
prediction alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hfkit.errors import InputError
from hfkit.families import OF_T5
from hfkit.languages import unnamed
from hfkit.registry import TASKS
from hfkit.tasks.base import Answer, EncodedRow, LabelKind, Outputs, Row, Task
from hfkit.tasks.options import Text2TextOptions

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

log = logging.getLogger(__name__)

METRICS = {"text": "texts", "summarization": "summaries", "translation": "translations"}
BEST = {"text": "rougeL", "summarization": "rougeL", "translation": "chrf++"}
WRITING = "hfkit_writing"  # where a configuration in memory says how to write
POSITIONS = ("max_position_embeddings", "n_positions")  # of a decoder that counts them


class Text2Text(Task[Text2TextOptions]):
    """A text written from another: its summary, its translation."""

    columns: ClassVar[Mapping[str, str]] = TASKS["text2text"].columns
    label_kind: ClassVar[LabelKind] = "texts"
    only_torch: ClassVar[str] = (
        "a model that writes is asked once for each token, and is not exported"
    )
    Options = Text2TextOptions

    def __init__(self, options: Text2TextOptions) -> None:
        super().__init__(options)
        self.prefix = options.source_prefix
        self._tokenizer: Tokenizer | None = None
        if (options.min_new_tokens or 0) > options.max_target_length:
            raise InputError("more than --max-target-length", place="--min-new-tokens")

    @property
    def auto_class(self) -> str:
        """AutoModelForSeq2SeqLM, and how it is to write."""
        return "hfkit.model.writer:Writer"

    @property
    def metric(self) -> str:
        """By what the texts are for."""
        return METRICS[self.options.purpose]

    @property
    def best(self) -> str:
        """What is written counts, not how probable the right text was."""
        return BEST[self.options.purpose]

    @property
    def loss(self) -> str:
        """Of each token of the right text."""
        return "cross_entropy"

    @property
    def loss_options(self) -> Mapping[str, float]:
        """How much of the target goes to all tokens."""
        return {"smoothing": self.options.label_smoothing}

    @property
    def languages(self) -> tuple[str, str] | None:
        """From which language into which, where both are named."""
        names = (self.options.source_language, self.options.target_language)
        return (names[0], names[1]) if names[0] and names[1] else None

    def learn(self, rows: Sequence[Row]) -> None:
        """There are no labels to tell apart."""
        if not rows:
            raise InputError("no rows to learn from")

    def resolved(self) -> dict[str, Any]:
        """The options, with the prefix that was found."""
        return {**super().resolved(), "source_prefix": self.prefix}

    def build_on(self, model_config: Mapping[str, Any]) -> None:
        """See that the model writes, as long as is asked for; take its prefix."""
        kind = str(model_config.get("model_type"))
        if not model_config.get("is_encoder_decoder"):
            raise InputError(
                f"a {kind} reads texts and writes none",
                place="--model",
                hint="text2text needs an encoder and a decoder, as google-t5/t5-small has them",
            )
        known = [model_config[name] for name in POSITIONS if model_config.get(name)]
        longest = min(known, default=0) if kind not in OF_T5 else 0
        if longest and self.options.max_target_length > longest:
            raise InputError(
                f"{self.options.max_target_length} tokens are more than the model writes "
                f"({longest})",
                place="--max-target-length",
            )
        if self.prefix is None:
            self.prefix = self._usual_prefix(model_config)
            if self.prefix:
                log.info(
                    'each text gets the prefix "%s", as the model was trained; override with '
                    "--source-prefix", self.prefix,
                )  # fmt: skip

    def _usual_prefix(self, model_config: Mapping[str, Any]) -> str:
        """What the configuration of T5 says to put before a text for a purpose."""
        purposes = model_config.get("task_specific_params")
        if not isinstance(purposes, Mapping):
            return ""
        name: str = self.options.purpose
        if name == "translation":
            source, target = (self.options.source_language, self.options.target_language)
            name = f"translation_{source}_to_{target}"
        found = purposes.get(name)
        return str(found.get("prefix") or "") if isinstance(found, Mapping) else ""

    def read_with(self, tokenizer: Tokenizer) -> None:
        """Keep what encodes and decodes what is written. Raises `InputError` for a model of many
        languages where they are not named."""
        if tokenizer.has_languages and self.languages is None:
            raise unnamed()
        self._tokenizer = tokenizer

    def head(self) -> dict[str, Any]:
        """How to write; what is not set stays as the model has it."""
        settings = {"max_new_tokens": self.options.max_target_length, **self.options.manner()}
        writing = self._tokenizer.writing if self._tokenizer else None
        if writing and writing.language_id is not None:
            place = "decoder_start_token_id" if writing.language_starts else "forced_bos_token_id"
            settings[place] = writing.language_id
        return {WRITING: settings}

    def restore(self, model_config: Mapping[str, Any]) -> None:
        """As for a model to train: it has to write."""
        self.build_on(model_config)

    def features(self, rows: Sequence[Row], tokenizer: Tokenizer) -> list[EncodedRow]:
        """Encode the texts behind the prefix; a long one is cut at its end, or refused."""
        texts = [f"{self.prefix or ''}{row['text']}" for row in rows]
        found = tokenizer.encode(texts, on_long=self.options.on_long)
        return [{**part, "_row": number} for number, (part,) in enumerate(found)]

    def targets(self, rows: Sequence[Row], encoded: Sequence[EncodedRow]) -> None:
        """Add ``labels``, the right tokens up to the one that ends the text, and ``_target_cut``:
        whether some were left out."""
        most = self.options.max_target_length
        found = self._known().encode_targets([row["label"] for row in rows], most)
        for part in encoded:
            part["labels"], cut = found[part["_row"]]
            part["_target_cut"] = int(cut)

    def decode(
        self, outputs: Sequence[Outputs], encoded: Sequence[EncodedRow], rows: Sequence[Row]
    ) -> list[Answer]:
        """Turn the ``ids`` that were written into texts; -1 stands behind the last one."""
        written = [[token for token in one["ids"].tolist() if token >= 0] for one in outputs]
        answers: list[Answer] = [{"text": text} for text in self._known().decode(written)]
        for part in encoded:
            if part.get("_truncated"):
                answers[part["_row"]]["truncated"] = True
        return answers

    @property
    def new_tokens(self) -> int:
        """The most tokens that are written."""
        return self.options.max_target_length

    @property
    def stop(self) -> list[str]:
        """A text ends by itself."""
        return []

    def messages(self, row: Row) -> list[dict[str, str]]:
        """What a server is told: the instruction, and the text. Raises `InputError` for a
        translation into no language."""
        asked = [{"role": "user", "content": f"{self.prefix or ''}{row['text']}"}]
        options = self.options
        if options.purpose == "text" or self.prefix is not None:
            return asked
        instruction = "Summarize the text. Reply with the summary alone."
        if options.purpose == "translation":
            if not options.target_language:
                raise InputError("into which language?", place="--target-language")
            source = f" from {options.source_language}" if options.source_language else ""
            instruction = f"Translate the text{source} to {options.target_language}."
            instruction += " Reply with the translation alone."
        return [{"role": "system", "content": instruction}, *asked]

    def _known(self) -> Tokenizer:
        if self._tokenizer is None:
            raise InputError("no tokenizer: call read_with first")
        return self._tokenizer

    def gold(self, rows: Sequence[Row]) -> list[Answer]:
        """The right texts, with what they were written from, and in which language."""
        language = self.options.target_language
        named = {"language": language} if language else {}
        return [{"text": row["label"], "source": row["text"], **named} for row in rows]
