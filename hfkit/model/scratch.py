"""A base model that has no weights yet: a configuration and a tokenizer in a folder.

The folder stands for a model folder everywhere, but for the weights, which are drawn from the seed
when the model is made. It is made anew by every process, from the same settings, and is gone when
the process ends. Nothing here imports torch.
"""

from __future__ import annotations

import atexit
import json
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from hfkit.backend import read_backend
from hfkit.chat import FILE as CHAT
from hfkit.errors import InputError
from hfkit.families import OF_T5, WRITE_FOR_TEXTS
from hfkit.model import gate
from hfkit.model.locate import Located

# Layers and width; a head reads 64 numbers, and the layer inside is four times as wide
# (Turc et al. 2019, arXiv 1908.08962).
SIZES = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "base": (12, 768)}
HEAD = 64
POSITIONS = 512
Family = Literal["bert", "gpt2"]
# Kinds of segments that these families tell apart where config.json does not say: transformers adds
# what a file leaves out, and a model must be trained on what it will read.
SEGMENTS = {
    "albert": 2, "bert": 2, "big_bird": 2, "convbert": 2, "electra": 2, "ernie": 4, "fnet": 4,
    "megatron-bert": 2, "mobilebert": 2, "rembert": 2, "roformer": 2,
}  # fmt: skip
NUMBERED = ("pad_token", "bos_token", "eos_token")


def make_base(
    tokenizer: str, size: str | None, config_file: str | None, family: Family = "bert"
) -> Located:
    """A folder of a model of this `size` and `family`, or of the one that `config_file` describes,
    which reads what the tokenizer in the folder `tokenizer` writes.

    Raises `InputError` where one of them is missing or they do not fit, and what `gate` does.
    """
    source = Path(tokenizer).expanduser()
    if not source.is_dir():
        raise InputError("no such folder", place=f"--tokenizer {tokenizer}")
    if not (source / "tokenizer.json").is_file():
        hint = "make one with: hfkit tokenizer train FILE… -o FOLDER"
        raise InputError("no tokenizer.json in it", place=f"--tokenizer {tokenizer}", hint=hint)
    gate.check_tokenizer(source)
    config = (
        shape_of(size, family) if config_file is None else _read(Path(config_file).expanduser())
    )
    folder = Path(mkdtemp(prefix="hfkit-base-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in (*gate.TOKENIZER_FILES, "merges.txt", "special_tokens_map.json", CHAT):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    config.update(_numbers(folder, config, tokenizer))
    if config["model_type"] in SEGMENTS:
        config.setdefault("type_vocab_size", SEGMENTS[config["model_type"]])
    if config["model_type"] in WRITE_FOR_TEXTS:
        config.setdefault("is_encoder_decoder", True)
    if config["model_type"] == "bart" and "eos_token_id" in config:
        config.setdefault("forced_eos_token_id", config["eos_token_id"])
    if config["model_type"] in OF_T5:
        config.setdefault("decoder_start_token_id", config.get("pad_token_id", 0))
    (folder / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    name = f"{family}-{size}" if config_file is None else f"{config['model_type']}-from-scratch"
    return Located(folder, name, None, fresh=True)


def shape_of(size: str | None, family: Family) -> dict[str, Any]:
    """What config.json says of a model of this size, its vocabulary aside."""
    layers, width = SIZES[size or "base"]
    if family == "gpt2":
        return {
            "model_type": "gpt2",
            "n_layer": layers,
            "n_embd": width,
            "n_head": width // HEAD,
            "n_positions": POSITIONS,
        }
    return {
        "model_type": "bert",
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": width // HEAD,
        "intermediate_size": 4 * width,
        "max_position_embeddings": POSITIONS,
    }


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("no such file", place=f"--config-file {path}")
    config = gate.read_object(path.parent, path.name)
    gate.check_config(config, str(path))
    for name in ("architectures", "_name_or_path", "transformers_version", "id2label", "label2id"):
        config.pop(name, None)
    return config


def _numbers(folder: Path, config: dict[str, Any], tokenizer: str) -> dict[str, Any]:
    """What the tokenizer decides: how many tokens there are, and which are special."""
    backend = read_backend(folder)
    named = (folder / "tokenizer_config.json").is_file()
    settings = gate.read_object(folder, "tokenizer_config.json") if named else {}
    size = int(backend.get_vocab_size())
    stated = config.get("vocab_size")
    if isinstance(stated, int) and stated < size:
        raise InputError(
            f"the tokenizer has {size} tokens, the configuration room for {stated}",
            place=f"--tokenizer {tokenizer}",
        )
    found: dict[str, Any] = {"vocab_size": stated or size}
    for role in NUMBERED:
        token = settings.get(role)
        if token is None and role == "eos_token" and config["model_type"] in WRITE_FOR_TEXTS:
            token = settings.get("sep_token")  # which BERT's tokenizer puts behind a text
        token = token.get("content") if isinstance(token, dict) else token
        number = backend.token_to_id(token) if token else None
        if number is not None:
            found[f"{role}_id"] = number
        elif config["model_type"] == "gpt2":  # its usual numbers are of another vocabulary
            found[f"{role}_id"] = None
    return found
