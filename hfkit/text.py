"""One thin face over tokenizers: the same code encodes for training and for prediction.

A `tokenizer.json` may carry truncation and padding of its own (all-MiniLM-L6-v2 cuts at 128
tokens): used as it is, it would cut texts silently. `Tokenizer` clears both; a text is only ever
cut here, and where it is, the encoded row says so (``_truncated``).

Models whose tokenizer exists in Python only (CANINE, ByT5, PhoBERT, …) go through transformers
behind the same face, as `PythonTokenizer`; such a model cannot be exported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hfkit.errors import InputError
from hfkit.windows import cut

OnLong = Literal["window", "truncate", "error"]
EncodedRow = dict[str, Any]

# Below this many tokens a window holds too little of the longer text to be worth reading.
SMALLEST_WINDOW = 8


class Tokenizer:
    """Turns texts and pairs of texts into encoded rows of at most `max_length` tokens.

    `padding` maps each input of the model to the value that fills it up; its keys are the inputs
    the model reads.
    """

    exportable = True

    def __init__(self, backend: Any, max_length: int, padding: dict[str, int]) -> None:
        self.backend = backend
        self.max_length = max_length
        self.padding = padding
        self.clear()

    def clear(self) -> None:
        """Drop what the file says about truncation and padding."""
        self.backend.no_truncation()
        self.backend.no_padding()

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        on_long: OnLong = "truncate",
        stride: int | None = None,
    ) -> list[list[EncodedRow]]:
        """Encode each text (or pair) into one encoded row, or several windows if it is too long.

        Of a pair the longer side is cut into windows and the other is repeated in each; where that
        leaves no room, the pair is truncated. Neighbouring windows share `stride` tokens (default:
        a quarter window). Raises `InputError` for a text that is too long under ``error``.
        """
        inputs: list[Any] = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encoded = [[row] for row in self._whole(inputs)]
        for number, (row,) in enumerate(encoded):
            length = len(row["input_ids"])
            if length <= self.max_length:
                continue
            if on_long == "error":
                raise InputError(
                    f"the text has {length} tokens, a window holds {self.max_length}",
                    hint="raise --max-length, or use --on-long window",
                )
            encoded[number] = self._shortened(inputs[number], on_long == "window", stride)
        return encoded

    def _whole(self, inputs: list[Any]) -> list[EncodedRow]:
        return [self._row(found) for found in self.backend.encode_batch_fast(inputs)]

    def _row(self, found: Any) -> EncodedRow:
        row: EncodedRow = {"input_ids": found.ids}
        if "token_type_ids" in self.padding:
            row["token_type_ids"] = found.type_ids
        return row

    def _shortened(self, given: Any, window: bool, stride: int | None) -> list[EncodedRow]:
        """Encode one text or pair that is too long, as windows or cut down to one."""
        single = isinstance(given, str)
        sides = [given] if single else list(given)
        lengths = [len(self.backend.encode(side, add_special_tokens=False).ids) for side in sides]
        strategy, overlap = self._plan(lengths, stride) if window else ("longest_first", 0)
        self.backend.enable_truncation(self.max_length, stride=overlap, strategy=strategy)
        try:
            found = self.backend.encode_batch_fast([given])[0]
        finally:
            self.backend.no_truncation()
        if strategy == "longest_first":
            return [{**self._row(found), "_truncated": True}]
        return [self._row(part) for part in (found, *found.overflowing)]

    def _plan(self, lengths: list[int], stride: int | None) -> tuple[str, int]:
        """Choose which side is cut into windows (a strategy of tokenizers) and their overlap."""
        special = self.backend.num_special_tokens_to_add(len(lengths) == 2)
        room = self.max_length - special - (min(lengths) if len(lengths) == 2 else 0)
        if room < SMALLEST_WINDOW and len(lengths) == 2:
            return "longest_first", 0
        overlap = room // 4 if stride is None else min(stride, room - 1)
        return ("only_second" if lengths[-1] > lengths[0] else "only_first"), overlap


class PythonTokenizer(Tokenizer):
    """A tokenizer that exists in Python only; windows are cut on its token numbers."""

    exportable = False

    def clear(self) -> None:
        """Python tokenizers cut only when they are told to."""

    def _whole(self, inputs: list[Any]) -> list[EncodedRow]:
        return [self._built(*self._sides(given)) for given in inputs]

    def _sides(self, given: Any) -> tuple[list[int], list[int] | None]:
        texts = (given,) if isinstance(given, str) else given
        ids = [self.backend.encode(text, add_special_tokens=False) for text in texts]
        return ids[0], ids[1] if len(ids) == 2 else None

    def _built(self, first: list[int], second: list[int] | None) -> EncodedRow:
        row: EncodedRow = {
            "input_ids": self.backend.build_inputs_with_special_tokens(first, second)
        }
        if "token_type_ids" in self.padding:
            types = self.backend.create_token_type_ids_from_sequences(first, second)
            row["token_type_ids"] = types
        return row

    def _shortened(self, given: Any, window: bool, stride: int | None) -> list[EncodedRow]:
        first, second = self._sides(given)
        lengths = [len(first)] if second is None else [len(first), len(second)]
        strategy, overlap = self._plan(lengths, stride) if window else ("longest_first", 0)
        special = self.backend.num_special_tokens_to_add(second is not None)
        room = self.max_length - special
        if strategy == "only_second" and second is not None:
            parts = cut(len(second), room - len(first), overlap)
            return [self._built(first, second[part.start : part.stop]) for part in parts]
        if strategy == "only_first":
            parts = cut(len(first), room - len(second or ()), overlap)
            return [self._built(first[part.start : part.stop], second) for part in parts]
        while len(first) + len(second or ()) > room:  # the longer side loses its last token
            longer = second if second is not None and len(second) > len(first) else first
            del longer[len(longer) - 1 :]
        return [{**self._built(first, second), "_truncated": True}]


def from_file(folder: Path, max_length: int) -> Tokenizer:
    """Load the tokenizer.json of a run's folder; needs neither torch nor transformers."""
    from tokenizers import Tokenizer as Backend

    try:
        backend = Backend.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises this very class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the tokenizer does not load ({reason})", place=str(folder)) from error
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    pad_token = settings.get("pad_token")
    if isinstance(pad_token, dict):  # an AddedToken written out
        pad_token = pad_token.get("content")
    pad_id = backend.token_to_id(pad_token) if pad_token else None
    return Tokenizer(backend, max_length, _padding(folder, pad_id))


def from_transformers(folder: Path, max_length: int) -> Tokenizer:
    """Load any model's tokenizer through AutoTokenizer, which knows each family's exceptions.

    Raises `InputError` when transformers cannot build it.
    """
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # each family has its own way to fail over a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the tokenizer does not load ({reason})", place=str(folder)) from error
    padding = _padding(folder, loaded.pad_token_id)
    if loaded.is_fast:
        return Tokenizer(loaded.backend_tokenizer, max_length, padding)
    return PythonTokenizer(loaded, max_length, padding)


def _padding(folder: Path, pad_id: int | None) -> dict[str, int]:
    """The inputs that the model in `folder` reads, and what fills each up."""
    model = json.loads((folder / "config.json").read_text("utf-8"))
    if pad_id is None:  # GPT-2 and its kin have none; the attention mask hides what fills up
        end = model.get("pad_token_id") or model.get("eos_token_id") or 0
        pad_id = end[0] if isinstance(end, list) else end
    padding = {"input_ids": int(pad_id), "attention_mask": 0}
    if model.get("type_vocab_size", 0) > 1:  # RoBERTa has one type: nothing to tell apart
        padding["token_type_ids"] = 0
    return padding
