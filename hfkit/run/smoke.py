"""A recipe tried out on nothing: rows made up, a tiny model of random weights, two steps, offline.

What is proved is that the settings of a recipe go together: task, columns, options, training. Its
data and its model stay on the Hub, and no score comes of it. How a file is laid out is a property
of that file, so the settings that say it are left aside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfkit.config import FinetuneConfig, Reading
from hfkit.layers import resolve
from hfkit.recipe import read_recipe
from hfkit.registry import find_task

WORDS = [
    "rain", "sun", "cloud", "wind", "storm", "bread", "soup", "salt", "drum", "song", "choir",
    "flute", "river", "stone", "field",
]  # fmt: skip
ROWS, STEPS, LENGTH = 24, 2, 64
WIDTH = 32
OURS = ("rows", "max_steps", "max_length")
# What of a recipe says which model and which files, and where they come from.
FOREIGN = {"model", "train", "validation", "test", "config", "tokenizer", "output", "limit"}
SHAPES: dict[str, dict[str, Any]] = {
    "bert": {"model_type": "bert", "hidden_size": WIDTH, "num_hidden_layers": 2,
             "num_attention_heads": 2, "intermediate_size": 64, "type_vocab_size": 2},
    "t5": {"model_type": "t5", "d_model": WIDTH, "d_kv": 16, "d_ff": 64, "num_layers": 1,
           "num_heads": 2, "is_encoder_decoder": True, "decoder_start_token_id": 0,
           "pad_token_id": 0, "eos_token_id": 1},
    "gpt2": {"model_type": "gpt2", "n_embd": WIDTH, "n_layer": 2, "n_head": 2},
}  # fmt: skip
KINDS = {"bert": "wordpiece", "t5": "unigram", "gpt2": "bpe"}


def smoke_settings(name: str, folder: Path, train_tokenizer: Callable[..., Any]) -> dict[str, Any]:
    """The settings of a training of the recipe `name` that needs nothing beside the empty `folder`.

    `train_tokenizer` makes a tokenizer. Raises `InputError` for a recipe that does not resolve.
    """
    config = resolve(FinetuneConfig, {"config": name}, {})
    smoke = dict(read_recipe(name).values.get("smoke") or {})
    count = int(smoke.get("rows", ROWS))
    length = int(smoke.get("max_length", LENGTH))
    kept = {
        key: value
        for key, value in config.model_dump().items()
        if key in config.model_fields_set and key not in FOREIGN | {"options"}
        and (key not in Reading.model_fields)
    }  # fmt: skip
    options = {**config.options, **{k: v for k, v in smoke.items() if k not in OURS}}
    options = {key: value for key, value in options.items() if value is not None}
    task, _, implied = find_task(str(config.task))
    family = {"text2text": "t5", "generation": "gpt2"}.get(task, "bert")
    rows = made_rows(config, task, {**implied, **options}, count)
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (folder / "words.txt").write_text("\n".join(_sentence(n) for n in range(60)) + "\n", "utf-8")
    model = tiny_model(folder / "model", family, folder / "words.txt", length, train_tokenizer)
    changed = {
        "model": str(model), "train": str(folder / "rows.jsonl"), "validation": "0.3",
        "output": str(folder / "run"), "max_steps": int(smoke.get("max_steps", STEPS)),
        "max_length": length, "batch_size": 8, "micro_batch": 8, "device": "cpu", "warmup": 0.1,
        "num_processes": 1, "private": True,
    }  # fmt: skip
    return {**kept, **options, **changed}


def tiny_model(
    folder: Path, family: str, words: Path, length: int, train_tokenizer: Callable[..., Any]
) -> Path:
    """A model folder of random weights that reads the words of a file."""
    from hfkit.model.load import drawn

    train_tokenizer([str(words)], output=str(folder), kind=KINDS[family], vocab_size=400,
                    family=family, max_length=length, quiet=True)  # fmt: skip
    size = len(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]) + 16
    shape = {**SHAPES[family], "vocab_size": size}
    key = "n_positions" if family == "gpt2" else "max_position_embeddings"
    if family != "t5":
        shape[key] = length
    if family == "gpt2":
        shape |= {"bos_token_id": 0, "eos_token_id": 0}
    (folder / "config.json").write_text(json.dumps(shape), "utf-8")
    heads = {"bert": "AutoModel", "t5": "AutoModelForSeq2SeqLM", "gpt2": "AutoModelForCausalLM"}
    drawn(folder, heads[family], {}).save_pretrained(folder)
    return folder


def made_rows(
    config: FinetuneConfig, task: str, options: Mapping[str, Any], count: int
) -> list[dict[str, Any]]:
    """Rows under the names of the recipe's columns, with labels of the kind that it asks for."""
    text = (config.text_column or config.tokens_column or "text").split(",")[0]
    pair = config.text_pair_column
    label = config.label_column or "label"
    return [_row(n, task, options, text, pair, label) for n in range(count)]


def _row(
    number: int, task: str, options: Mapping[str, Any], text: str, pair: str | None, label: str
) -> dict[str, Any]:
    sentence = _sentence(number)
    row: dict[str, Any] = {}
    if task in ("mlm", "nsp", "generation"):
        return {text: sentence}
    if task == "qa":
        answer = sentence.split()[2]
        found = {"text": [answer], "answer_start": [sentence.index(f" {answer} ") + 1]}
        return {"id": str(number), "question": f"which {answer}", "context": sentence,
                "answers": found}  # fmt: skip
    if task == "ner":
        words = sentence.split()
        column = text if text != "text" else "tokens"
        tags = ["B-PER", "I-PER", *["O"] * (len(words) - 3), "B-LOC"]
        return {column: words, (label if label != "label" else "ner_tags"): tags}
    _put(row, text, sentence)
    if pair or task == "similarity":  # no two rows share a text: the split keeps such together
        _put(row, text, f"{sentence} {number}")
        _put(row, pair or "text_pair", f"{_sentence(number + 1)} {number}")
    _put(row, label, _label(number, task, options))
    return row


def _label(number: int, task: str, options: Mapping[str, Any]) -> Any:
    if task == "text2text":
        return " ".join(_sentence(number).split()[:2])
    if task == "similarity" or options.get("problem") == "regression":
        return number % 6 * 0.9
    if options.get("problem") == "multi-label":
        return [["calm"], ["calm", "loud"], ["loud"]][number % 3]
    return ["calm", "loud", "odd"][number % 3]


def _put(row: dict[str, Any], column: str, value: Any) -> None:
    """Put a value under ``a.b`` into the object a."""
    outer, dot, inner = column.partition(".")
    if dot:
        row.setdefault(outer, {})[inner] = value
    else:
        row[column] = value


def _sentence(number: int) -> str:
    return " ".join(WORDS[(number * 3 + place * 4 + place // 3) % len(WORDS)] for place in range(8))


@contextmanager
def offline() -> Iterator[None]:
    """While open, the libraries ask no server."""
    import os

    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
