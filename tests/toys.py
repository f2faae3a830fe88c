"""Toy texts, tokenizers and models, made in seconds; their words give their labels away."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOPICS = {
    "weather": ["rain", "sun", "cloud", "wind", "storm", "snow", "fog", "warm", "cold", "frost"],
    "kitchen": ["pan", "oven", "knife", "soup", "bread", "salt", "pepper", "plate", "stove"],
    "music": ["drum", "song", "choir", "flute", "melody", "band", "guitar", "tune", "piano"],
}
# hfkit's name of a scheme, its prefixes beside O, and seqeval's name.
SEQEVAL_SCHEMES = [
    ("iob1", "BI", "IOB1"),
    ("iob2", "BI", "IOB2"),
    ("bioes", "BIES", "IOBES"),
    ("bilou", "BILU", "BILOU"),
]
FILLERS = ["the", "a", "my", "some", "very", "quite", "today", "again", "near", "old", "new"]


def toy_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Texts whose words give their label away: learnt within a few dozen steps."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        label = chance.choice(list(TOPICS))
        words = chance.choices(TOPICS[label], k=chance.randint(2, 6)) + chance.choices(FILLERS, k=3)
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as a CSV file with a header."""
    import csv

    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_tokenizer(folder: Path, special: dict[str, str] | None = None) -> Path:
    """A word tokenizer over the toy words, single letters and common CJK characters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [word for topic in TOPICS.values() for word in topic] + FILLERS
    pieces = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces += [f"##{letter}" for letter in string.ascii_lowercase + string.digits]
    pieces += [chr(code) for code in range(0x4E00, 0x4E00 + 200)]
    vocabulary = {
        token: number for number, token in enumerate(dict.fromkeys(names + words + pieces))
    }
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=128,
    ).save_pretrained(folder)
    return folder


SMALL: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "pad_token_id": 0,
}


def tiny_config(family: str, **changes: Any) -> Any:
    """The configuration of a random model of a family, two layers of width 32."""
    from transformers import AutoConfig

    values = dict(SMALL)
    if family == "distilbert":
        values = {
            "vocab_size": 400, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64,
            "max_position_embeddings": 160, "pad_token_id": 0,
        }  # fmt: skip
    if family == "deberta-v2":
        values |= {
            "relative_attention": True,
            "position_buckets": 16,
            "pos_att_type": ["p2c", "c2p"],
        }
    if family == "modernbert":
        values |= {
            "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3,
            "local_attention": 16, "global_attn_every_n_layers": 2,
        }  # fmt: skip
    return AutoConfig.for_model(family, **{**values, **changes})


def write_base_model(folder: Path, family: str = "bert", **changes: Any) -> Path:
    """A random base model (no head) with its tokenizer, as a Hub folder would be."""
    import torch
    from transformers import AutoModel

    torch.manual_seed(0)
    AutoModel.from_config(tiny_config(family, **changes)).save_pretrained(folder)
    return write_tokenizer(folder)


def write_classifier(folder: Path, family: str = "bert", **changes: Any) -> Path:
    """A random classifier over the toy topics."""
    import torch
    from transformers import AutoModelForSequenceClassification

    names = dict(enumerate(sorted(TOPICS)))
    changes = {
        "num_labels": len(names),
        "id2label": names,
        "label2id": {name: number for number, name in names.items()},
        "problem_type": "single_label_classification",
        **changes,
    }
    torch.manual_seed(0)
    config = tiny_config(family, **changes)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return write_tokenizer(folder)


WRITERS: dict[str, dict[str, Any]] = {
    "t5": {
        "vocab_size": 400, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2,
        "dropout_rate": 0.0, "pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0,
    },
    "bart": {
        "vocab_size": 400, "d_model": 32, "encoder_layers": 2, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64, "max_position_embeddings": 64, "dropout": 0.0, "pad_token_id": 0,
        "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3,
        "forced_eos_token_id": None, "init_std": 0.2,
    },
}  # fmt: skip


TRANSLATED = {"rain": "regen", "snow": "schnee"}


def write_writer(folder: Path, family: str = "t5", **changes: Any) -> Path:
    """A random model that writes, with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**WRITERS[family], **changes})
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    return write_tokenizer(folder)


def write_polyglot(folder: Path, family: str) -> Path:
    """A random mBART or NLLB with a tokenizer of the four words of `translated_rows`."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, MBartTokenizer, NllbTokenizer

    words = [(f"▁{word}", -2.0) for pair in TRANSLATED.items() for word in pair]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    if family == "mbart":
        tokenizer: Any = MBartTokenizer(vocab=[*special, *words, ("▁", -3.0)])
    else:
        merges = list(dict.fromkeys((w[:n], w[n]) for w, _ in words for n in range(1, len(w))))
        pieces = [token for token, _ in special] + [piece for pair in merges for piece in pair]
        pieces = list(dict.fromkeys([*pieces, *(word for word, _ in words)]))
        numbers = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = NllbTokenizer(vocab=numbers, merges=merges)
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        {"mbart": "mbart", "nllb": "m2m_100"}[family],
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=64, max_position_embeddings=64, pad_token_id=1, eos_token_id=2,
        bos_token_id=0, decoder_start_token_id=2,
    )  # fmt: skip
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    return folder


def translated_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Two words of English each with their German ones."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        words = chance.choices(list(TRANSLATED), k=2)
        rows.append({"en": " ".join(words), "de": " ".join(TRANSLATED[word] for word in words)})
    return rows


def picked_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Texts with one word of a topic, which is their summary: learnt within a few hundred steps."""
    chance = random.Random(seed)
    words = [word for topic in TOPICS.values() for word in topic[:4]]
    rows = []
    for _ in range(count):
        word = chance.choice(words)
        text = chance.sample(FILLERS, k=chance.randint(1, 6))
        text.insert(chance.randint(0, len(text)), word)
        rows.append({"document": " ".join(text), "summary": word})
    return rows


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_parts(
    folder: Path, sizes: dict[str, int], make: Callable[..., list[dict[str, str]]]
) -> dict[str, Path]:
    """Write a CSV file for each name, with so many rows of `make`, each with a seed of its own."""
    return {
        name: write_csv(folder / f"{name}.csv", make(size, seed=number))
        for number, (name, size) in enumerate(sizes.items())
    }


CAUSAL: dict[str, dict[str, Any]] = {
    "gpt2": {
        "vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64,
        "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": None, "resid_pdrop": 0.0,
        "embd_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 0.3,
    },
    "llama": {
        "vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64,
        "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": None, "initializer_range": 0.3,
    },
}  # fmt: skip
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ 'a' if message.role == 'assistant' else 'u' }}: "
    "{{ message.content }} .{% endfor %}{% if add_generation_prompt %}a: {% endif %}"
)


def write_generator(folder: Path, family: str = "gpt2", chat: str = "", **changes: Any) -> Path:
    """A random model that reads from left to right, with its tokenizer and a template for chats."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**CAUSAL[family], **changes})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    write_tokenizer(folder)
    if chat:
        (folder / "chat_template.jinja").write_text(chat)
    return folder
