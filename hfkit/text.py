"""One thin face over tokenizers: the same code encodes for training and for prediction.

A `tokenizer.json` may carry truncation and padding of its own (all-MiniLM-L6-v2 cuts at 128
tokens): used as it is, it would cut texts silently. `Tokenizer` clears both; a text is only ever
cut here, and where it is, the encoded row says so (``_truncated``).

Tasks that answer with a place in the text ask for it: `encode` with `located` notes the characters
of each token, `encode_words` the word.

Models whose tokenizer exists in Python only (CANINE, ByT5, PhoBERT, …) go through transformers
behind the same face, as `python_tokenizer.PythonTokenizer`; such a model cannot be exported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hfkit import culprit
from hfkit.backend import loading, read_backend, try_out
from hfkit.chat import Template, read_template
from hfkit.errors import InputError
from hfkit.frames import Frames, spaced
from hfkit.languages import Writing, set_languages
from hfkit.vocabulary import check_files, check_numbers
from hfkit.windows import most_of_first

OnLong = Literal["window", "truncate", "error"]
Side = Literal["longer", "second"]
EncodedRow = dict[str, Any]

# Below this many tokens a window holds too little of the longer text to be worth reading.
SMALLEST_WINDOW = 8
NOWHERE = -1  # the place of a token that belongs to no character or word asked for


class Tokenizer:
    """Turns texts and pairs of texts into encoded rows of at most `max_length` tokens.

    `padding` maps each input of the model to the value that fills it up; its keys are the inputs
    the model reads. `null_id` is the token that stands for the text as a whole (CLS; else the one
    that begins a text), `mask_id` the one that stands for a token to be found, `end_id` the one
    that ends a text; None where there is none. `writing` is for models that write, `chat` puts
    conversations into words.
    """

    exportable = True

    def __init__(
        self,
        backend: Any,
        max_length: int,
        padding: dict[str, int],
        null_id: int | None = None,
        writing: Writing | None = None,
        *,
        mask_id: int | None = None,
        end_id: int | None = None,
        chat: Template | None = None,
    ) -> None:
        self.backend = backend
        self.max_length = max_length
        self.padding = padding
        self.null_id = null_id
        self.writing = writing or Writing()
        self.mask_id = mask_id
        self.end_id = end_id
        self.chat = chat
        self._for_words: Any = None
        self._frames = Frames(backend)
        self.clear()

    @property
    def language_id(self) -> int | None:
        """The token of the language that is written; None where there is none."""
        return self.writing.language_id

    @property
    def has_languages(self) -> bool:
        """Whether texts are encoded by their language, and none was named."""
        return self.writing.has_languages

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
        located: bool = False,
        side: Side = "longer",
    ) -> list[list[EncodedRow]]:
        """Encode each text (or pair) into one encoded row, or several windows if it is too long.

        Of a pair the longer side is cut into windows and the other is repeated in each; where that
        leaves no room, the pair is truncated. With `side` "second" it is always the second one, and
        a first one that leaves no room is truncated. Neighbouring windows share `stride` tokens
        (default: a quarter window). `located` adds ``_starts`` and ``_ends``: the characters of
        each token in the last text, `NOWHERE` for all other tokens.

        Raises `InputError` for a text that is too long under ``error``.
        """
        inputs: list[Any] = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encoded = [[row] for row in self._whole(inputs, located)]
        for number, (row,) in enumerate(encoded):
            length = len(row["input_ids"])
            if length <= self.max_length:
                continue
            self._refuse(length, on_long)
            given, cut = inputs[number], False
            if pairs is not None and side == "second" and on_long == "window":
                given, cut = self._with_room(given)
            rows = self._shortened(given, on_long == "window", stride, located, side)
            encoded[number] = [{**part, "_truncated": True} for part in rows] if cut else rows
        return encoded

    def encode_words(
        self,
        texts: Sequence[Sequence[str]],
        *,
        on_long: OnLong = "window",
        stride: int | None = None,
    ) -> list[list[EncodedRow]]:
        """Encode texts that come as words; ``_words`` holds the number of each token's word.

        It is `NOWHERE` for special tokens. A word may have several tokens, or none. A byte-level
        tokenizer gets the space in front of each word that it had in running text.
        Raises `InputError` for a text that is too long under ``error``.
        """
        encoded = [[row] for row in self._whole_words(texts)]
        for number, (row,) in enumerate(encoded):
            if len(row["input_ids"]) > self.max_length:
                self._refuse(len(row["input_ids"]), on_long)
                encoded[number] = self._shortened_words(texts[number], on_long, stride)
        return encoded

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, however many, without special ones."""
        found = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [one.ids for one in found]

    def framed(self, first: Sequence[int], second: Sequence[int] | None = None) -> EncodedRow:
        """An encoded row of tokens that are known already, among the special ones that belong
        around a text or a pair."""
        return self._read(*self._frames.around(first, second))

    def room(self, pair: bool = False) -> int:
        """The tokens of a text, or a pair, that there is room for beside the special ones."""
        return self.max_length - int(self.backend.num_special_tokens_to_add(pair))

    def vocabulary(self) -> dict[str, int]:
        """Every token by its text."""
        found: dict[str, int] = self.backend.get_vocab()
        return found

    def special_ids(self) -> set[int]:
        """The tokens that are no part of a text."""
        added = self.backend.get_added_tokens_decoder()
        return {number for number, token in added.items() if token.special}

    def text_of(self, ids: Sequence[int]) -> str:
        """Tokens as text."""
        return str(self.backend.decode(list(ids), skip_special_tokens=False))

    def encode_targets(self, texts: Sequence[str], max_length: int) -> list[tuple[list[int], bool]]:
        """The tokens of texts to write, at most so many, and whether some were left out. The one
        that ends a text is there in any case."""
        return self.writing.encode(self.backend, texts, max_length)

    def decode(self, rows: Sequence[list[int]]) -> list[str]:
        """The texts that tokens spell, without those that only begin, end or fill up."""
        return [text.strip() for text in self.spelled(rows)]

    def spelled(self, rows: Sequence[list[int]]) -> list[str]:
        """The same with the white space at both ends."""
        found = self.backend.decode_batch([list(ids) for ids in rows], skip_special_tokens=True)
        return [str(text) for text in found]

    def _refuse(self, length: int, on_long: OnLong) -> None:
        if on_long == "error":
            raise InputError(
                f"the text has {length} tokens, a window holds {self.max_length}",
                hint="raise --max-length, or use --on-long window",
            )

    def _whole(self, inputs: list[Any], located: bool) -> list[EncodedRow]:
        if not located:  # the fast one does not count characters
            return [self._row(found) for found in self.backend.encode_batch_fast(inputs)]
        return [self._located(found) for found in self.backend.encode_batch(inputs)]

    def _row(self, found: Any) -> EncodedRow:
        return self._read(found.ids, found.type_ids)

    def _read(self, ids: list[int], types: list[int]) -> EncodedRow:
        """The inputs that the model reads."""
        row: EncodedRow = {"input_ids": ids}
        if "token_type_ids" in self.padding:
            row["token_type_ids"] = types
        return row

    def _located(self, found: Any) -> EncodedRow:
        last = found.n_sequences - 1
        inside = [sequence == last for sequence in found.sequence_ids]
        starts, ends = [], []
        for (start, end), counts in zip(found.offsets, inside, strict=True):
            starts.append(start if counts else NOWHERE)
            ends.append(end if counts else NOWHERE)
        return {**self._row(found), "_starts": starts, "_ends": ends}

    def _in_words(self, found: Any) -> EncodedRow:
        words = [NOWHERE if word is None else word for word in found.word_ids]
        return {**self._row(found), "_words": words}

    def _with_room(self, given: Any) -> tuple[Any, bool]:
        """A pair whose first text leaves room for windows of the second, and whether it was cut."""
        first, second = given
        found = self.backend.encode(first, add_special_tokens=False)
        special = self.backend.num_special_tokens_to_add(True)
        most = most_of_first(self.max_length - special)
        if len(found.ids) <= most:
            return given, False
        return (first[: found.offsets[most - 1][1]], second), True

    def _shortened(
        self, given: Any, window: bool, stride: int | None, located: bool, side: Side
    ) -> list[EncodedRow]:
        """Encode one text or pair that is too long, as windows or cut down to one."""
        sides = [given] if isinstance(given, str) else list(given)
        lengths = [len(self.backend.encode(one, add_special_tokens=False).ids) for one in sides]
        strategy, overlap = self._plan(lengths, stride, side) if window else ("longest_first", 0)
        if side == "second" and not window:
            strategy = "only_second" if lengths[0] < self.max_length // 2 else "longest_first"
        row = self._located if located else self._row
        return self._cut(self.backend, given, strategy, overlap, row, window=window)

    def _cut(
        self, backend: Any, given: Any, strategy: str, overlap: int, row: Any, *, window: bool
    ) -> list[EncodedRow]:
        backend.enable_truncation(self.max_length, stride=overlap, strategy=strategy)
        try:
            words = isinstance(given, list)
            found = backend.encode_batch([given], is_pretokenized=words)[0]
        finally:
            backend.no_truncation()
        if not window or strategy == "longest_first":
            return [{**row(found), "_truncated": True}]
        return [row(part) for part in (found, *found.overflowing)]

    def _plan(
        self, lengths: list[int], stride: int | None, side: Side = "longer"
    ) -> tuple[str, int]:
        """Choose which side is cut into windows (a strategy of tokenizers) and their overlap."""
        special = self.backend.num_special_tokens_to_add(len(lengths) == 2)
        kept = lengths[0] if side == "second" else min(lengths)
        room = self.max_length - special - (kept if len(lengths) == 2 else 0)
        if room < SMALLEST_WINDOW and len(lengths) == 2:
            return "longest_first", 0
        overlap = room // 4 if stride is None else min(stride, room - 1)
        second = side == "second" or lengths[-1] > lengths[0]
        return ("only_second" if second and len(lengths) == 2 else "only_first"), overlap

    def _whole_words(self, texts: Sequence[Sequence[str]]) -> list[EncodedRow]:
        inputs = [list(words) for words in texts]
        found = self._word_backend().encode_batch(inputs, is_pretokenized=True)
        return [self._in_words(one) for one in found]

    def _shortened_words(
        self, words: Sequence[str], on_long: OnLong, stride: int | None
    ) -> list[EncodedRow]:
        _, overlap = self._plan([self.max_length], stride)
        backend, window = self._word_backend(), on_long == "window"
        return self._cut(backend, list(words), "only_first", overlap, self._in_words, window=window)

    def _word_backend(self) -> Any:
        """The tokenizer that reads single words as it reads them in running text."""
        if self._for_words is None:
            self._for_words = spaced(self.backend)
        return self._for_words


def from_file(folder: Path, max_length: int) -> Tokenizer:
    """Load the tokenizer.json of a run's folder; needs neither torch nor transformers.

    The numbers of its tokens were checked when its base model was loaded for training.
    """
    backend = read_backend(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    pad_id = _named(backend, settings, "pad_token")
    null_id = _named(backend, settings, "cls_token")
    if null_id is None:
        null_id = _named(backend, settings, "bos_token")
    return Tokenizer(
        backend,
        max_length,
        _padding(folder, pad_id),
        null_id,
        mask_id=_named(backend, settings, "mask_token"),
        end_id=_named(backend, settings, "eos_token"),
        chat=read_template(folder, settings),
    )


def _named(backend: Any, settings: dict[str, Any], name: str) -> int | None:
    """The number of the special token that tokenizer_config.json gives that name."""
    token = settings.get(name)
    if isinstance(token, dict):  # an AddedToken written out
        token = token.get("content")
    found: int | None = backend.token_to_id(token) if token else None
    return found


def from_transformers(
    folder: Path,
    max_length: int,
    *,
    code: bool = False,
    languages: tuple[str, str] | None = None,
) -> Tokenizer:
    """Load any model's tokenizer through AutoTokenizer, which knows each family's exceptions.

    With `code` the folder's own Python code runs. `languages` are those that are read and written;
    tokenizers of one language take no notice. Raises `InputError` when transformers cannot build
    it, and for a language it does not have.
    """
    from transformers import AutoTokenizer

    files = (culprit.in_config, culprit.in_tokenizer, culprit.in_settings)
    with loading(folder, *(() if code else files)):  # a model's code runs once
        loaded = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=code
        )
        if loaded.is_fast:
            try_out(loaded.backend_tokenizer)
    if not code:
        check_files(folder, loaded.vocab_files_names)
    check_numbers(folder, loaded.get_vocab, loaded.added_tokens_decoder)
    padding = _padding(folder, loaded.pad_token_id)
    null_id = loaded.bos_token_id if loaded.cls_token_id is None else loaded.cls_token_id
    writing = Writing(has_languages=hasattr(loaded, "src_lang"))
    if writing.has_languages and languages:
        writing = set_languages(loaded, languages)
    known: dict[str, Any] = {
        "mask_id": loaded.mask_token_id,
        "end_id": loaded.eos_token_id,
        "chat": read_template(folder, loaded.special_tokens_map),
    }
    if loaded.is_fast:
        backend = loaded.backend_tokenizer
        return Tokenizer(backend, max_length, padding, null_id, writing, **known)
    from hfkit.python_tokenizer import PythonTokenizer

    return PythonTokenizer(loaded, max_length, padding, null_id, writing, **known)


def _padding(folder: Path, pad_id: int | None) -> dict[str, int]:
    """The inputs that the model in `folder` reads, and what fills each up."""
    model = json.loads((folder / "config.json").read_text("utf-8"))
    if pad_id is None:  # GPT-2 and its kin have none; the attention mask hides what fills up
        end = model.get("pad_token_id") or model.get("eos_token_id") or 0
        pad_id = end[0] if isinstance(end, list) else end
    padding = {"input_ids": int(pad_id), "attention_mask": 0}
    if (model.get("type_vocab_size") or 0) > 1:  # RoBERTa has one type: nothing to tell apart
        padding["token_type_ids"] = 0
    return padding
