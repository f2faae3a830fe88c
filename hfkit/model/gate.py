"""The gate: what a model folder must be before transformers may look at it.

A model folder is somebody else's. Its config.json can name code to import (`auto_map`), a kernel to
fetch (an attention implementation with a ``/``), and its weights can be a pickle, which runs code
when it is read, or an index that names files elsewhere on the disk. The folder is therefore read
here first, as plain JSON and bytes; whatever is refused here stays refused, there is no second try.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hfkit.errors import InputError, SafetyError
from hfkit.model.configuration import check_values

SAFE_ATTENTION = ("eager", "sdpa", "flash_attention_2")
ATTENTION_KEYS = (
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "experts_implementation",
    "_experts_implementation",
)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
# One of these is enough to build a tokenizer from.
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "bpe.codes",
    "tokenizer_config.json",
)
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
LONGEST_NAME = 255
MOST_BYTES = 2**28  # of a file of JSON; the largest tokenizers have a tenth of that
# "module.Class": a file of the model's own folder. Nothing with a path, or of another repository.
OWN_CLASS = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")


def check(folder: Path, *, code: bool = False, fresh: bool = False) -> dict[str, Any]:
    """Check a model folder whole and return its config.json.

    With `code` the folder may name Python files of its own: the user has vouched for them. A
    `fresh` one has no weights yet, and its sizes are the user's own. Raises `SafetyError` for what
    could run code or lead out of the folder, `InputError` for what is missing or broken.
    """
    config = read_config(folder, code=code)
    if not fresh:
        check_values(config, headers(folder), str(folder / "config.json"))
    check_tokenizer(folder, code=code)
    return config


def read_config(folder: Path, *, code: bool = False) -> dict[str, Any]:
    """Return config.json as an object; see `check` for what is raised."""
    path = folder / "config.json"
    if not path.exists():
        _refuse_adapter(folder)
        raise InputError(_why_no_config(folder), place=str(folder))
    config = read_object(folder, "config.json")
    check_config(config, str(path), code=code)
    _refuse_adapter(folder)
    return config


def check_config(config: dict[str, Any], place: str, *, code: bool = False) -> None:
    """Refuse a configuration that names no kind of model, or asks for more than computing."""
    if not isinstance(config.get("model_type"), str) or not config["model_type"]:
        raise InputError('no "model_type" in it', place=place, hint="is this a model folder?")
    _refuse_code(config, place, code=code)
    _refuse_quantized(config, place)
    weights = config.get("transformers_weights")
    if weights is not None and weights != WEIGHTS:
        raise SafetyError(f'"transformers_weights" names another file than {WEIGHTS}', place=place)


def _refuse_adapter(folder: Path) -> None:
    if (folder / ADAPTER).exists():
        for path in sorted(folder.glob("adapter_model*")):
            if path.suffix in PICKLES:
                raise SafetyError("pickle file refused, it can run code", place=str(path))
        raise InputError(
            "an adapter (LoRA) lies in this folder", place=str(folder), hint="merge it first"
        )


def _why_no_config(folder: Path) -> str:
    if (folder / "checkpoints").is_dir():
        return "an unfinished run; the `hfkit finetune` command that began it goes on with it"
    return "no config.json in this folder, so it is not a model"


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file that must lie inside `folder`."""
    path = inside(folder, name)
    if not path.is_file():  # reading a pipe would wait for ever
        raise InputError("not a file", place=str(path))
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"larger than {MOST_BYTES:,} bytes", place=str(path))
    try:
        found = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        what = foreign(path) or f"not JSON ({str(error).splitlines()[0]})"
        raise InputError(what, place=str(path), hint="download the model again") from error
    if not isinstance(found, dict):
        raise InputError("expected a JSON object", place=str(path))
    return found


def inside(folder: Path, name: str) -> Path:
    """Return ``folder / name`` after making sure that it is a file of this folder.

    The Hub cache keeps files under ``blobs/`` and links to them from ``snapshots/REVISION/``: such
    a link may lead anywhere in the cache of the same model, no other link may leave the folder.
    """
    place = f"{folder.name}/{name}"
    if not name or "\\" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise SafetyError("names a file outside the model's folder", place=place)
    root = folder.resolve()
    if root.parent.name == "snapshots" and root.parent.parent.name.startswith("models--"):
        root = root.parent.parent
    path = folder / name
    try:
        leads_out = not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name with a NUL
        raise SafetyError("names no file of the model's folder", place=place) from error
    if leads_out:
        raise SafetyError(
            "a link that leads out of the model's folder", place=place, hint="copy the file instead"
        )
    return path


def headers(folder: Path) -> dict[str, Any]:
    """What `read_header` says of all weights of the model; those of an adapter of hfkit's, and of
    the base model that it belongs to, by the names of the whole."""
    from hfkit.model import adapted  # which reads folders through this gate

    tensors: dict[str, Any] = {}
    for path in adapted.weight_files(folder):
        tensors.update(adapted.bare(read_header(path)))
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of the model, checked to be there, whole and inside."""
    if (folder / INDEX).exists():
        paths = [inside(folder, name) for name in _indexed(folder)]
    elif (folder / WEIGHTS).exists():
        paths = [inside(folder, WEIGHTS)]
    else:
        _refuse_pickles(folder)
        raise InputError(f"no {WEIGHTS} in this folder", place=str(folder))
    for path in paths:
        if not path.is_file():
            named = f"{INDEX} names it, but it is not there"
            reason = named if (folder / INDEX).exists() else "not a file"
            raise InputError(reason, place=str(path))
        read_header(path)
    return paths


def _indexed(folder: Path) -> list[str]:
    """The files an index names, each once."""
    weight_map = read_object(folder, INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError('no "weight_map" in it', place=str(folder / INDEX))
    names = list(dict.fromkeys(weight_map.values()))
    for name in names:
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise InputError(
                "names a file by what can be no name of a file", place=str(folder / INDEX)
            )
        if not name.endswith(".safetensors"):
            raise SafetyError(f"'{name[:40]}' is not safetensors", place=str(folder / INDEX))
    return names


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix in PICKLES or path.name.endswith(".bin.index.json"):
            raise SafetyError(
                "pickle file refused, it can run code",
                place=str(path),
                hint="use a revision of the model with safetensors: -m NAME@REVISION",
            )


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file: tensor name -> dtype, shape, data_offsets.

    The file begins with the header's length (8 bytes, little-endian), then the header as JSON
    (https://huggingface.co/docs/safetensors). Raises `InputError` naming what the file is instead.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, 100_000_000):
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        if not all(map(_is_tensor, tensors.values())):
            raise ValueError("a tensor without its shape")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = foreign(path) or f"not a safetensors file ({str(error).splitlines()[0]})"
        raise InputError(what, place=str(path), hint="download the model again") from error
    if end + 8 + length != size:
        what = f"cut short: {size} bytes, its header asks for {end + 8 + length}"
        raise InputError(what, place=str(path), hint="download the model again")
    return tensors


def _is_tensor(entry: Any) -> bool:
    shape = entry["shape"]
    return isinstance(entry["dtype"], str) and all(isinstance(n, int) and n >= 0 for n in shape)


def foreign(path: Path) -> str:
    """Say what stands where a model's file should be, if its first bytes tell; else ""."""
    with path.open("rb") as file:
        start = file.read(256)
    text = start.lstrip().lower()
    if not start:
        return "an empty file"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself (run `git lfs pull`)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not the file"
    if start.startswith(b"PK\x03\x04") or start.startswith(b"\x80\x02"):
        return "a pickle under another name"
    return ""


def check_tokenizer(folder: Path, *, code: bool = False) -> None:
    """Check that a tokenizer is there and that its files name neither code nor other folders."""
    names = [name for name in TOKENIZER_FILES if (folder / name).exists()]
    if not names:
        raise InputError(
            "no tokenizer in this folder (tokenizer.json, vocab.txt, …)", place=str(folder)
        )
    for path in folder.iterdir():
        if path.is_symlink() and not path.is_dir():
            inside(folder, path.name)
        if not path.is_file() and not path.is_dir() and path.exists():
            raise InputError("neither a file nor a folder", place=str(path))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if name not in names:
            continue
        settings = read_object(folder, name)
        if name == "tokenizer_config.json":
            _refuse_code(settings, str(folder / name), code=code)
            others = settings.get("fast_tokenizer_files") or []
            if not isinstance(others, list):
                raise InputError(
                    '"fast_tokenizer_files": expected a list', place=str(folder / name)
                )
            for other in others:
                inside(folder, str(other))


def _refuse_code(settings: dict[str, Any], place: str, *, code: bool) -> None:
    """Refuse a setting, at any depth, that would make transformers import or fetch code."""
    stack: list[Any] = [settings]
    while stack:
        current = stack.pop()
        if isinstance(current, list):
            stack.extend(current)
        if not isinstance(current, dict):
            continue
        if current.get("auto_map"):
            _refuse_classes(current["auto_map"], place, code=code)
        for key in ATTENTION_KEYS:
            _refuse_attention(current.get(key), place)
        stack.extend(current.values())


def _refuse_classes(auto_map: Any, place: str, *, code: bool) -> None:
    """Refuse classes of a model's own; with `code` only those that lie elsewhere."""
    if not code:
        raise SafetyError(
            '"auto_map" refused: this model brings its own Python code',
            place=place,
            hint="use a model that transformers knows by itself, or see --allow-remote-code",
        )
    stack = [auto_map]
    while stack:
        current = stack.pop()
        if isinstance(current, dict | list):
            stack += current.values() if isinstance(current, dict) else current
        elif current is not None and not OWN_CLASS.fullmatch(str(current)):
            raise SafetyError(f"'{str(current)[:60]}' is not code of this folder", place=place)


def _refuse_attention(value: Any, place: str) -> None:
    """`value` is a name, or per part of the model a name; None where nothing is asked for."""
    for name in value.values() if isinstance(value, dict) else [value]:
        if name is not None and name not in SAFE_ATTENTION:
            raise SafetyError(
                f"attention '{str(name)[:40]}' refused: only {', '.join(SAFE_ATTENTION)} run no "
                "foreign code",
                place=place,
            )


def _refuse_quantized(config: dict[str, Any], place: str) -> None:
    if config.get("quantization_config"):
        raise InputError(
            "a quantized model cannot be trained or read in fp32",
            place=place,
            hint="use the model it was made from",
        )
