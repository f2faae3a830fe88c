"""Tokenizers trained anew, with the special tokens that a family of models expects.

    kind       wordpiece  words of BERT's cleaning; a piece inside a word begins with ##
               bpe        bytes, so that nothing is unknown; a space belongs to the word behind it
               unigram    SentencePiece's pieces, ▁ for a space
    family     bert       [PAD] [UNK] [CLS] [SEP] [MASK]        [CLS] a [SEP] b [SEP]
               roberta    <s> <pad> </s> <unk> <mask>           <s> a </s> </s> b </s>
               gpt2       <|endoftext|>                         a
               t5         <pad> </s> <unk>                      a </s> b </s>

Kind and family are two questions: a BERT may read unigram pieces. The numbers of the special tokens
are those of their order here. T5's hundred sentinels are left out: they are for its own way of
pre-training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.config import TokenizerConfig
from hfkit.errors import InputError

BYTES = 256
FAMILY_OF_KIND = {"wordpiece": "bert", "bpe": "gpt2", "unigram": "t5"}


@dataclass(frozen=True)
class Family:
    """`tokens` by their role; `single` and `pair` say where they stand around texts, "" where
    nowhere; `segments`: second texts are told apart by their type."""

    tokens: Mapping[str, str]
    single: str = ""
    pair: str = ""
    segments: bool = False


FAMILIES = {
    "bert": Family(
        {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        },
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B:1 [SEP]:1",
        segments=True,
    ),
    "roberta": Family(
        {
            "bos_token": "<s>",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
            "cls_token": "<s>",
            "sep_token": "</s>",
        },
        "<s> $A </s>",
        "<s> $A </s> </s> $B </s>",
    ),
    "gpt2": Family(dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")),
    "t5": Family(
        {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        "$A </s>",
        "$A </s> $B </s>",
    ),
}


def family_of(config: TokenizerConfig) -> Family:
    """The family that is asked for, or the one that usually goes with the kind."""
    name = FAMILY_OF_KIND[config.kind] if config.family == "auto" else config.family
    return FAMILIES[name]


def check_size(config: TokenizerConfig) -> None:
    """Raise `InputError` for a vocabulary that has no room for what it must hold."""
    least = len(set(family_of(config).tokens.values())) + (BYTES if config.kind == "bpe" else 1)
    if config.vocab_size <= least:
        raise InputError(
            f"{config.vocab_size} tokens leave no room beside the {least} that must be there",
            place="--vocab-size",
        )


def trained(texts: Iterator[list[str]], config: TokenizerConfig) -> Any:
    """A tokenizer of the library `tokenizers`, trained on batches of texts as they come.

    What is kept of the texts is how often each word occurs. What reading raises is raised here.
    """
    family = family_of(config)
    backend, trainer = _made(config, family)
    failure: list[BaseException] = []

    def guarded() -> Iterator[list[str]]:
        try:
            yield from texts
        except Exception as error:  # the library would make another error of it
            failure.append(error)

    backend.train_from_iterator(guarded(), trainer)
    if failure:
        raise failure[0]
    _frame(backend, family)
    return backend


def _made(config: TokenizerConfig, family: Family) -> tuple[Any, Any]:
    """The untrained tokenizer and its trainer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = _special(family)
    unknown = family.tokens["unk_token"]
    usual: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "special_tokens": special,
        "show_progress": False,
    }
    lower = [normalizers.Lowercase()] if config.lowercase else []
    if config.kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token=unknown))
        backend.normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(prefix="##")
        # A letter may take two places: alone, and inside a word.
        letters = max(1, (config.vocab_size - len(special)) // 2)
        return backend, trainers.WordPieceTrainer(
            **usual, min_frequency=config.min_frequency, limit_alphabet=letters
        )
    if config.kind == "bpe":
        backend = Tokenizer(models.BPE())
        if lower:
            backend.normalizer = normalizers.Sequence(lower)
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return backend, trainers.BpeTrainer(
            **usual, min_frequency=config.min_frequency, initial_alphabet=sorted(alphabet)
        )
    from tokenizers import Regex

    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), *lower, normalizers.Replace(Regex(r"\s+"), " ")]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return backend, trainers.UnigramTrainer(**usual, unk_token=unknown)


def _special(family: Family) -> list[Any]:
    """The special tokens in their order; a mask takes the space in front of it along."""
    from tokenizers import AddedToken

    mask = family.tokens.get("mask_token")
    spaced = family.tokens.get("bos_token") is not None
    return [
        AddedToken(token, special=True, normalized=False, lstrip=spaced and token == mask)
        for token in dict.fromkeys(family.tokens.values())
    ]


def _frame(backend: Any, family: Family) -> None:
    """Put the special tokens around texts."""
    from tokenizers import processors

    if not family.single:
        backend.post_processor = processors.ByteLevel(trim_offsets=False)
        return
    names = [name for name in dict.fromkeys(family.tokens.values()) if name in family.pair]
    backend.post_processor = processors.TemplateProcessing(
        single=family.single,
        pair=family.pair,
        special_tokens=[(name, backend.token_to_id(name)) for name in names],
    )


def write(folder: Path, backend: Any, config: TokenizerConfig) -> None:
    """Write what AutoTokenizer loads: tokenizer.json, and tokenizer_config.json, which names the
    special tokens. Raises `ResourceError` where the disk is full."""
    family = family_of(config)
    inputs = ["input_ids", *(["token_type_ids"] if family.segments else []), "attention_mask"]
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.max_length,
        "model_input_names": inputs,
        "clean_up_tokenization_spaces": False,
        **family.tokens,
    }
    with sealing.storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sealing.write_bytes(folder / "tokenizer.json", backend.to_str().encode())
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    sealing.write_bytes(folder / "tokenizer_config.json", f"{text}\n".encode())
