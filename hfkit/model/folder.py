"""Writing a run's folder so that it loads everywhere: this transformers, older ones, other tools.

What transformers 5 writes does not load everywhere: its tokenizer_config.json names a class that
4.x does not have and keeps the truncation the base model was saved with, its config.json has new
names for old settings. Both are set right here, with old and new names side by side.

Everything is written into a staging folder first and moved into place file by file, the weights
last; the caller seals the folder with its manifest after that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.culprit import NO_TOKENIZER, reason_of
from hfkit.errors import InputError
from hfkit.languages import set_languages
from hfkit.model.gate import WEIGHTS
from hfkit.model.load import quiet
from hfkit.model.pooling import sentence_files

if TYPE_CHECKING:
    from hfkit.model.adapters import Adapter
    from hfkit.model.heads import Embedder

# Leftovers of one machine and one call; no reader needs them, and some refuse them.
TOKENIZER_LEAKS = (
    "is_local",
    "local_files_only",
    "name_or_path",
    "special_tokens_map_file",
    "tokenizer_file",
    "max_length",
    "stride",
    "truncation_strategy",
    "pad_to_multiple_of",
    "backend",
)
MODEL_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
LABEL_KEYS = ("id2label", "label2id", "problem_type")
CONFIG_LEAKS = ("_name_or_path", "_attn_implementation", "attn_implementation", "is_local")


def write_folder(
    folder: Path,
    model: Any,
    tokenizer_source: Path,
    *,
    max_length: int,
    code: bool = False,
    languages: tuple[str, str] | None = None,
    adapter: Adapter | None = None,
    base: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write config.json, model.safetensors and the tokenizer's files; return their paths.

    Where an `adapter` is given it is written in place of the weights, with what `describe_base`
    says of its `base`.

    `tokenizer_source` is the base model's folder; `max_length` becomes the tokenizer's
    `model_max_length`; with `code` its own Python code runs; `languages` are those that are read
    and written, where the tokenizer asks for them. The labels are those of
    `model.config`, where `load_for_training` put them.
    Raises `ResourceError` when the disk is full or broken.
    """
    from hfkit.model.adapters import write
    from hfkit.model.heads import Embedder

    with sealing.storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _stage(folder) as stage, quiet():
            segments = getattr(model.config, "type_vocab_size", 0) > 1
            tokenizer = _loaded(tokenizer_source, languages, code=code)
            write_tokenizer(stage, tokenizer, max_length, segments=segments)
            if adapter is None or base is None:
                write_model(stage, model)
            else:
                write_description(stage, model)
                write(stage, adapter, base)
            if isinstance(model, Embedder):
                write_sentence_files(stage, model, max_length)
            return _move(stage, folder)


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """An empty folder inside `folder` that is gone afterwards; `sealing.sweep` knows its name."""
    stage = folder / ".stage-model"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path) -> list[Path]:
    """Sync each staged file to disk and rename it into place, the weights last."""
    staged = [path.relative_to(stage) for path in stage.rglob("*") if path.is_file()]
    staged.sort(key=lambda name: (name.name == WEIGHTS, name))
    for name in staged:
        (folder / name).parent.mkdir(exist_ok=True)
        sealing.sync(stage / name)
        (stage / name).replace(folder / name)
    for inner in {(folder / name).parent for name in staged}:
        sealing.sync(inner)
    return [folder / name for name in staged]


def write_model(stage: Path, model: Any) -> None:
    """Save the weights as one safetensors file and a config.json that all versions understand."""
    model.save_pretrained(stage, max_shard_size="1TB")
    # safetensors writes for the owner alone
    (stage / WEIGHTS).chmod((stage / "config.json").stat().st_mode)
    _complete_config(stage / "config.json", model)


def write_description(stage: Path, model: Any) -> None:
    """The same without the weights."""
    name, weight = next(iter(model.state_dict().items()))
    model.save_pretrained(stage, state_dict={name: weight})  # it cannot do without any
    (stage / WEIGHTS).unlink()
    _complete_config(stage / "config.json", model)


def _complete_config(path: Path, model: Any) -> None:
    config = json.loads(path.read_text("utf-8"))
    for key in CONFIG_LEAKS:
        config.pop(key, None)
    if "Classification" in config["architectures"][0]:
        # transformers leaves out what equals its own defaults, and those differ between versions.
        config["id2label"] = {str(number): name for number, name in model.config.id2label.items()}
        config["label2id"] = dict(model.config.label2id)
    else:
        for key in LABEL_KEYS:  # of a head that the base model had
            config.pop(key, None)
    config.update(older_spellings(config))
    _write_object(path, config)


def write_sentence_files(stage: Path, model: Embedder, max_length: int) -> None:
    """Add what makes a sentence-transformers model of the encoder's folder."""
    files = sentence_files(model.pooling, model.width, max_length, normalize=model.normalize)
    for name, content in files.items():
        path = stage / name
        path.parent.mkdir(exist_ok=True)
        _write_object(path, content)


def older_spellings(config: dict[str, Any]) -> dict[str, Any]:
    """What transformers 4 called the settings that 5 renamed; 5 still understands the old names.

    >>> older_spellings({"dtype": "float32", "rope_parameters": {"rope_theta": 500.0}})
    {'torch_dtype': 'float32', 'rope_theta': 500.0}
    """
    older: dict[str, Any] = {}
    if "dtype" in config:
        older["torch_dtype"] = config["dtype"]
    rope = config.get("rope_parameters") or {}
    if "rope_theta" in rope:
        older["rope_theta"] = rope["rope_theta"]
    for kind, old in (
        ("full_attention", "global_rope_theta"),
        ("sliding_attention", "local_rope_theta"),
    ):
        if "rope_theta" in (rope.get(kind) or {}):
            older[old] = rope[kind]["rope_theta"]
    if config.get("model_type") == "modernbert" and config.get("layer_types"):
        older["global_attn_every_n_layers"] = _every(config["layer_types"])
    return older


def _every(layer_types: list[str]) -> int:
    """Distance between the layers with global attention: ModernBERT's old way to say which are.

    >>> _every(["full_attention", "sliding_attention", "sliding_attention", "full_attention"])
    3
    """
    full = [number for number, kind in enumerate(layer_types) if kind == "full_attention"]
    return full[1] - full[0] if len(full) > 1 else len(layer_types)


def _loaded(source: Path, languages: tuple[str, str] | None, *, code: bool) -> Any:
    """The tokenizer that training used."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(source), local_files_only=True, trust_remote_code=code
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = reason_of(error)
        raise InputError(f"{NO_TOKENIZER} ({reason})", place=str(source)) from error
    if languages and hasattr(tokenizer, "src_lang"):
        set_languages(tokenizer, languages)
    return tokenizer


def write_tokenizer(stage: Path, tokenizer: Any, max_length: int, *, segments: bool) -> None:
    """Save a tokenizer, without truncation or padding of its own.

    `segments`: whether the model tells first and second text apart by token_type_ids, as it did in
    training. To other models a generic tokenizer must not give any: DistilBERT fails on them.
    """
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(stage)
    settings_path = stage / "tokenizer_config.json"
    settings = json.loads(settings_path.read_text("utf-8"))
    for key in TOKENIZER_LEAKS:
        settings.pop(key, None)
    settings["model_max_length"] = max_length
    others = [name for name in tokenizer.model_input_names if name not in MODEL_INPUTS]
    inputs = [name for name in MODEL_INPUTS if segments or name != "token_type_ids"] + others
    settings["model_input_names"] = inputs
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write_object(settings_path, settings)
    fast = stage / "tokenizer.json"
    if fast.exists():
        found = json.loads(fast.read_text("utf-8"))
        _write_object(fast, {**found, "truncation": None, "padding": None}, indent=None)


def _write_object(path: Path, value: Any, indent: int | None = 2) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    path.write_text(text + "\n", "utf-8")
