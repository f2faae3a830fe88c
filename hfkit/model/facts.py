"""What a model folder says about itself: size, longest input, labels; read without torch.

Only JSON and the headers of the safetensors files are read, so this costs milliseconds and serves
the plan of a dry run, the default learning rate, and early errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from hfkit.errors import InputError
from hfkit.families import OF_T5
from hfkit.model import gate
from hfkit.model.configuration import (
    ATTENTION_HEAD_KEYS,
    DECODER_LAYER_KEYS,
    HIDDEN_KEYS,
    LAYER_KEYS,
    POSITION_KEYS,
)

# Families that count positions from pad_token_id + 1: 514 positions hold 512 tokens.
OFFSET_FAMILIES = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "xlm-roberta-xl",
        "camembert",
        "roberta-prelayernorm",
        "data2vec-text",
        "mpnet",
        "longformer",
        "xmod",
        "ibert",
        "luke",
        "mluke",
        "esm",
        "lilt",
    }
)
# First part of the tensor names of a trained task head, over the families of transformers.
HEADS = frozenset(
    {"classifier", "score", "qa_outputs", "logits_proj", "classification_head", "head_out"}
)
# Classes that load an encoder as it is: there is no head to keep or to miss.
EMBEDDER = "hfkit.model.heads:Embedder"
# What writes a text has its head from its first training on, tied to the embeddings mostly.
WRITER = "hfkit.model.writer:Writer"
# Heads of pre-training too: an encoder may lack them, and its head for a task is none of theirs.
HEADLESS = frozenset(
    {
        "AutoModel",
        EMBEDDER,
        WRITER,
        "AutoModelForNextSentencePrediction",
        "hfkit.model.pretraining:MaskedWords",
        "hfkit.model.pretraining:Pretraining",
        "hfkit.model.generator:Generator",
        "hfkit.model.likelihood:Causal",
        "hfkit.model.likelihood:Conditional",
    }
)
EMBEDDING = re.compile(r"embed|(^|\.)(wte|wpe|shared)\.")
FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
# tokenizer_config.json says 10^30 where it does not know.
SANE_LENGTH = 1_000_000
DEFAULT_LENGTH = 512


@dataclass(frozen=True)
class ModelFacts:
    """What the files of a model say.

    `parameters` counts all stored numbers; `body_parameters` leaves out embeddings and what is tied
    to the vocabulary, so it compares a multilingual model with an English one. `labels` is None
    where config.json names none; `languages` are those of the model card, often none.
    """

    model_type: str
    architecture: str
    parameters: int
    body_parameters: int
    hidden_size: int
    layers: int
    attention_heads: int
    max_length: int
    labels: list[str] | None
    problem_type: str | None
    has_head: bool
    languages: tuple[str, ...]


def describe(folder: Path, *, code: bool = False, fresh: bool = False) -> ModelFacts:
    """Read the facts of a model folder, after `gate.check`, whose errors it raises.

    Of a `fresh` one, which has no weights yet, the number of parameters is an estimate.
    """
    config = gate.check(folder, code=code, fresh=fresh)
    tensors = _planned(config) if fresh else gate.headers(folder)
    sizes = {
        name: prod(entry["shape"])
        for name, entry in tensors.items()
        if entry["dtype"] in FLOATS and ".lora_" not in name  # which only change other ones
    }
    vocabulary = config.get("vocab_size")
    apart = [
        name
        for name in sizes
        if EMBEDDING.search(name) or (tensors[name]["shape"][:1] == [vocabulary])
    ]
    architecture = _architecture(config)
    return ModelFacts(
        model_type=config["model_type"],
        architecture=architecture,
        parameters=sum(sizes.values()),
        body_parameters=sum(sizes.values()) - sum(sizes[name] for name in apart),
        hidden_size=_first(config, HIDDEN_KEYS, 768),
        layers=_layers(config),
        attention_heads=_first(config, ATTENTION_HEAD_KEYS, 12),
        max_length=longest_of(folder, config),
        labels=label_names(config, str(folder / "config.json")),
        problem_type=config.get("problem_type"),
        has_head="For" in architecture and any(name.split(".")[0] in HEADS for name in tensors),
        languages=_languages(folder),
    )


def _planned(config: Mapping[str, Any]) -> dict[str, Any]:
    """The large tensors that an encoder of this configuration will have."""
    width, layers = _first(config, HIDDEN_KEYS, 768), _first(config, LAYER_KEYS, 12)
    inner = _first(config, ("intermediate_size", "d_ff", "hidden_dim", "n_inner"), 4 * width)
    tables = {"embeddings": config.get("vocab_size", 0), "position_embeddings":
              _first(config, POSITION_KEYS, 0)}  # fmt: skip
    shapes = {name: [rows, width] for name, rows in tables.items()}
    for number in range(layers):
        shapes[f"layer.{number}"] = [4 * width + 2 * inner, width]
    return {name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}


def label_names(config: Mapping[str, Any], place: str = "config.json") -> list[str] | None:
    """The names in `id2label`, by number. Raises `InputError` where those are no numbers.

    >>> label_names({"id2label": {"1": "pos", "0": "neg"}})
    ['neg', 'pos']
    """
    names = config.get("id2label")
    if not isinstance(names, Mapping) or not names:
        return None
    try:
        return [str(names[key]) for key in sorted(names, key=int)]
    except ValueError as error:
        raise InputError('the keys of "id2label" are not numbers', place=place) from error


def head_kind(auto_class: str) -> str:
    """The end that the architecture's name has for an Auto class; "" where there is no head.

    >>> head_kind("AutoModelForSequenceClassification"), head_kind("package.module:Scorer")
    ('ForSequenceClassification', 'Scorer')
    >>> head_kind("AutoModel"), head_kind("hfkit.model.heads:Embedder")
    ('', '')
    """
    if auto_class in HEADLESS:
        return ""
    return auto_class.rpartition(":")[2].removeprefix("AutoModel")


def has_head_of(facts: ModelFacts, auto_class: str) -> bool:
    """Whether the folder holds a trained head of the kind that `auto_class` loads."""
    kind = head_kind(auto_class)
    # XLNet, XLM and FlauBERT call the span head that other families have the simple one.
    ends = (kind, f"{kind}Simple")
    return bool(kind) and facts.has_head and facts.architecture.endswith(ends)


def require_head(facts: ModelFacts, auto_class: str, name: str) -> None:
    """Raise `InputError` unless the model has a trained head of the kind `auto_class` loads."""
    if not head_kind(auto_class):
        return
    if not facts.has_head:
        raise InputError(
            f"{name} is a base model without a trained head",
            hint=f"fine-tune it first: hfkit finetune DATA -m {name}; "
            "labels without training: -t zero-shot --labels A,B",
        )
    if not has_head_of(facts, auto_class):
        raise InputError(f"{name} was trained for another task: it is a {facts.architecture}")


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def _first(config: Mapping[str, Any], keys: tuple[str, ...], otherwise: int) -> int:
    """The first of several spellings that holds a positive number; a bool is not one."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, int) and value > 0:
            return int(value)
    return otherwise


def _layers(config: Mapping[str, Any]) -> int:
    """The layers that a text goes through; of a model that writes also those that write it."""
    layers = _first(config, LAYER_KEYS, 12)
    if config.get("is_encoder_decoder"):
        layers += _first(config, DECODER_LAYER_KEYS, layers)
    return layers


def longest_of(folder: Path, config: Mapping[str, Any]) -> int:
    """The longest input in tokens: positions, less the family's offset, at most the tokenizer's; of
    families without positions any."""
    if config["model_type"] in OF_T5:
        return SANE_LENGTH
    longest = _first(config, POSITION_KEYS, 0)
    if longest and config["model_type"] in OFFSET_FAMILIES:
        pad = config.get("pad_token_id")
        longest -= (pad if isinstance(pad, int) else 1) + 1
    of_tokenizer = 0
    if (folder / "tokenizer_config.json").exists():
        stated = gate.read_object(folder, "tokenizer_config.json").get("model_max_length")
        if isinstance(stated, int | float) and 0 < stated < SANE_LENGTH:
            of_tokenizer = int(stated)
    lengths = [length for length in (longest, of_tokenizer) if length > 0]
    return min(lengths, default=DEFAULT_LENGTH)


def _languages(folder: Path) -> tuple[str, ...]:
    """The languages in the front matter of the model card, if it can be read."""
    path = folder / "README.md"
    if not path.is_file():
        return ()
    import yaml

    parts = gate.inside(folder, "README.md").read_text("utf-8", errors="replace").split("---", 2)
    if len(parts) < 3 or parts[0].strip():
        return ()
    try:
        front = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return ()  # a card is prose; a model is no worse for a broken one
    named = front.get("language") if isinstance(front, dict) else None
    names = [named] if isinstance(named, str) else named
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
