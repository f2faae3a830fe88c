"""What config.json may say: its types, and its sizes held against the weights beside it.

A configuration of a million layers, or of vectors of a thousand million numbers, costs its author
one line, and whoever builds the model minutes and all memory. The headers of the weights tell how
large the model is, so that such a line is found out before anything is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hfkit.errors import InputError

POSITION_KEYS = ("max_position_embeddings", "n_positions", "seq_length")
HIDDEN_KEYS = ("hidden_size", "d_model", "dim", "n_embd", "emb_dim")
LAYER_KEYS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
DECODER_LAYER_KEYS = ("decoder_layers", "num_decoder_layers")
ATTENTION_HEAD_KEYS = ("num_attention_heads", "n_heads", "num_heads", "n_head")
# Each is a dimension of some tensor in every family that has the setting.
WIDTH_KEYS = (
    *HIDDEN_KEYS, "intermediate_size", "hidden_dim", "d_inner", "d_ff", "n_inner", "ffn_dim",
    "embedding_size",
)  # fmt: skip
# Parts that are built one by one, and may be none.
STACK_KEYS = ("encoder_layers", *DECODER_LAYER_KEYS)
# Layers that share weights (ALBERT), and repeated parts of a layer: no tensor shows how many.
REPEATED_KEYS = ("num_hidden_groups", "inner_group_num", "num_feedforward_networks")
SHARED_LAYERS = "num_hidden_groups"
MOST_REPEATED = 1000
# Rows of tables: none has more than the largest tensor.
TABLE_KEYS = ("type_vocab_size", "num_labels", *ATTENTION_HEAD_KEYS)
# Families that read characters may state their number and keep no table of them.
VOCABULARY_KEYS = ("vocab_size", "n_words")
CODE_POINTS = 0x110000
POSITION_TABLE = re.compile(r"positions?_embed|embed_positions|(^|\.)wpe\.")
MOST_POSITIONS = 2**24  # of models that keep no table of positions
FROM_ZERO = {*STACK_KEYS, *REPEATED_KEYS, "type_vocab_size"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_token(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, list) and all(map(_is_whole, value)))


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


# Settings that hfkit reads itself, and what each has to be where it is not null.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "architectures": ("a list of names", _is_texts),
    "id2label": ("an object", _is_object),
    "label2id": ("an object", _is_object),
    "problem_type": ("a text", _is_text),
    "pad_token_id": ("a whole number", _is_token),
    "eos_token_id": ("a whole number", _is_token),
}


@dataclass(frozen=True)
class _Stored:
    """What the headers tell: every dimension of a tensor, the number of modules that carry one (the
    layers of most families), and the rows of the table of positions, 0 where there is none."""

    dimensions: frozenset[int]
    numbered: int
    positions: int

    @property
    def largest(self) -> int:
        return max(self.dimensions, default=0)


def check_values(config: Mapping[str, Any], tensors: Mapping[str, Any], place: str) -> None:
    """Check the settings of config.json that size a model against the tensors of its weights.

    `tensors` are those of `gate.read_header`. Raises `InputError`.
    """
    for name, (kind, fits) in KINDS.items():
        if config.get(name) is not None and not fits(config[name]):
            raise InputError(f'"{name}": expected {kind}, got {_shown(config[name])}', place=place)
    _refuse_infinite(config, place)
    stored = _stored(tensors)
    for part in _parts(config):
        for name, value in part.items():
            wrong = _wrong_size(name, value, part, stored) if value is not None else ""
            if wrong:
                raise InputError(
                    f'"{name}" is {_shown(value)}, {wrong}',
                    place=place,
                    hint="download the model again",
                )


def _wrong_size(name: str, value: Any, part: Mapping[str, Any], stored: _Stored) -> str:
    """Say why a setting cannot be true; "" where it can, or is not about sizes."""
    counts = (*LAYER_KEYS, *STACK_KEYS, *REPEATED_KEYS)
    if name not in (*counts, *WIDTH_KEYS, *TABLE_KEYS, *VOCABULARY_KEYS, *POSITION_KEYS):
        return ""
    least = 0 if name in FROM_ZERO else 1
    if not _is_whole(value) or value < least:
        return f"not a whole number of at least {least}"
    if name in WIDTH_KEYS and value not in stored.dimensions:
        return "and no tensor of the weights has that size"
    in_tables = stored.largest if name in TABLE_KEYS else max(stored.largest, CODE_POINTS)
    if name in (*TABLE_KEYS, *VOCABULARY_KEYS) and value > in_tables:
        return f"and the largest size in the weights is {stored.largest}"
    if name in POSITION_KEYS and value > (stored.positions or MOST_POSITIONS):
        return f"and the weights are for at most {stored.positions or MOST_POSITIONS}"
    if name in counts:
        shared = name in REPEATED_KEYS or SHARED_LAYERS in part
        most = MOST_REPEATED if shared else stored.numbered
        if value > most:
            return f"more than {most}" if shared else f"and the weights hold {most} at most"
    return ""


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration and those inside it, of the parts of a model that has several."""
    stack = [config]
    while stack:
        current = stack.pop()
        yield current
        stack += [
            value
            for name, value in current.items()
            if name.endswith("_config") and isinstance(value, Mapping)
        ]


def _stored(tensors: Mapping[str, Any]) -> _Stored:
    numbered: set[str] = set()
    dimensions: set[int] = set()
    positions = 0
    for name, entry in tensors.items():
        shape = entry["shape"]
        dimensions.update(shape)
        if shape and POSITION_TABLE.search(name):
            positions = max(positions, shape[0])
        words = name.split(".")
        places = (place for place, word in enumerate(words, start=1) if word.isdecimal())
        numbered.update(".".join(words[:place]) for place in places)
    return _Stored(frozenset(dimensions), len(numbered), positions)


def _refuse_infinite(config: Mapping[str, Any], place: str) -> None:
    """NaN and infinity are not JSON, yet Python reads and writes them; as a setting of a layer they
    make every answer NaN."""
    stack: list[tuple[str, Any]] = list(config.items())
    while stack:
        name, value = stack.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f'"{name}" is {value}, not a finite number', place=place)
        if isinstance(value, Mapping):
            stack += value.items()
        elif isinstance(value, list):
            stack += [(name, one) for one in value]


def _shown(value: Any) -> str:
    return repr(value)[:40]
