"""The folder of a model that is another model and an adapter, and finding that other one.

    config.json tokenizer.json …       of the model as a whole
    adapter/
      adapter_config.json              as peft reads it
      adapter_model.safetensors        the adapters, and whatever is new beside them
      base.json                        the base model: name, place, and hashes of its weights

A folder of somebody else's can name any file here. So nothing is fetched for it, what it names is
read as every model is, and only if the hashes agree. peft does not read these files, hfkit does;
adapters in other folders than its own stay refused. Needs no torch.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hfkit import hashing
from hfkit.errors import HfkitError, InputError, SafetyError
from hfkit.model import gate
from hfkit.model.locate import MINILM, Located, locate
from hfkit.model.lora import Lora

if TYPE_CHECKING:
    from hfkit.model.adapters import Adapter

log = logging.getLogger(__name__)

FOLDER = "adapter"
CONFIG, TENSORS, BASE = (
    f"{FOLDER}/{name}" for name in ("adapter_config.json", "adapter_model.safetensors", "base.json")
)
FILES = (CONFIG, TENSORS, BASE)
OWN = "base"  # where a base model may lie beside the adapter
PREFIX = "base_model.model."  # what peft puts before the names of tensors
MOST = 65536  # of a rank
# What hfkit's own adapters have in adapter_config.json; with other values they add up otherwise.
SIMPLE = {"peft_type": "LORA", "bias": "none", "use_rslora": False, "use_dora": False}
# What of a run describes its model to transformers.
DESCRIBING = (
    "config.json", "generation_config.json", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "1_Pooling/config.json",
)  # fmt: skip


def is_adapted(folder: Path) -> bool:
    """Whether this folder holds an adapter of hfkit's in place of weights."""
    return (folder / BASE).is_file()


def describe_base(base: Located, run: Path) -> dict[str, Any]:
    """What base.json says of a base model, for the folder `run`."""
    place = None  # relative: an absolute path would tell strangers of this machine
    if base.revision is None and base.name != MINILM:
        place = os.path.relpath(base.folder.resolve(), run.resolve())
    files = {
        path.relative_to(base.folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": hashing.sha256(path),
        }
        for path in _plain_files(base.folder)
    }
    return {"name": base.name, "revision": base.revision, "place": place, "files": files}


def base_of(folder: Path) -> Path:
    """The folder of the base model: in the run, where it lay, or in the local cache of the Hub.

    The files are there and have the right sizes; `check_base` compares the hashes. Raises
    `InputError` where it is nowhere.
    """
    said = _read_base(folder)
    other = None
    for found in _candidates(folder, said):
        paths = _files_in(found, said["files"])
        if all(path.stat().st_size == said["files"][name]["size"] for name, path in paths.items()):
            return found
        other = other or found
    if other is not None:
        raise _other_base(folder, other)
    name = said["name"]
    revision = f" --revision {said['revision']}" if said["revision"] else ""
    fetch = f"fetch it with `hf download {name}{revision}`, or " if revision else ""
    raise InputError(
        f"its base model {name} is not here",
        place=str(folder),
        hint=f"{fetch}put a copy of it into {folder / OWN}",
    )


def check_base(folder: Path) -> Path:
    """The same, after the weights were compared with their hashes."""
    found = base_of(folder)
    for name, entry in _read_base(folder)["files"].items():
        if hashing.sha256(gate.inside(found, name)) != entry["sha256"]:
            raise _other_base(folder, found)
    return found


def _other_base(folder: Path, found: Path) -> InputError:
    return InputError(
        "its weights are not those that the adapter was trained on",
        place=str(found),
        hint=f"put a copy of the right ones into {folder / OWN}",
    )


def weight_files(folder: Path) -> list[Path]:
    """The files of a model's weights; those of the base model, and the adapter, where it is one."""
    if not is_adapted(folder):
        return gate.weight_files(folder)
    base = base_of(folder)
    for name in FILES:
        if not gate.inside(folder, name).is_file():
            raise InputError(f"no {name} in this folder", place=str(folder))
    return [*gate.weight_files(base), folder / TENSORS]


def recorded_files(folder: Path) -> dict[str, str]:
    """The hashes of the base model's weights by their names, as base.json has them."""
    files = _read_base(folder)["files"]
    return {f"base/{name}": str(entry["sha256"]) for name, entry in files.items()}


def config_of(adapter: Adapter, base: str) -> dict[str, Any]:
    """adapter_config.json; what is not in it peft takes to be as it is here."""
    return {
        **SIMPLE,
        "base_model_name_or_path": base,
        "fan_in_fan_out": adapter.columns,
        "inference_mode": True,
        "lora_alpha": adapter.lora.alpha,
        "lora_dropout": adapter.lora.dropout,
        "modules_to_save": list(adapter.new),
        "r": adapter.lora.r,
        "target_modules": adapter.targets,
        "task_type": None,
    }


def bare(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Headers or tensors of the adapter's file by the names that the bare model has for them."""
    return {name.removeprefix(PREFIX): value for name, value in tensors.items()}


def read_lora(folder: Path) -> tuple[Lora, tuple[str, ...], bool]:
    """What adapter_config.json says: the adapters, the modules that are stored whole, and whether
    weights lie in columns. Raises `InputError` where it is not one that hfkit has written."""
    found = gate.read_object(folder, CONFIG)
    found.setdefault("modules_to_save", [])
    fits = {
        **{name: found.get(name) == value for name, value in SIMPLE.items()},
        "r": _is_number(found.get("r")) and found["r"] in range(1, MOST),
        "lora_alpha": _is_number(found.get("lora_alpha")),
        "target_modules": _are_names(found.get("target_modules")),
        "modules_to_save": _are_names(found["modules_to_save"]),
    }
    wrong = next((name for name, fitting in fits.items() if not fitting), None)
    if wrong is not None:
        raise InputError(
            f'"{wrong}" is not as hfkit writes it',
            place=str(folder / CONFIG),
            hint="adapters of other tools have to be merged first",
        )
    lora = Lora(int(found["r"]), float(found["lora_alpha"]))
    return lora, tuple(found["modules_to_save"]), found.get("fan_in_fan_out") is True


@contextmanager
def composed(folder: Path) -> Iterator[Path]:
    """A folder for transformers with the run's description and links to the base model's weights;
    the folder itself where it has weights of its own."""
    if not is_adapted(folder):
        yield folder
        return
    base = check_base(folder)
    with TemporaryDirectory(prefix="hfkit-") as made:
        links = {path.relative_to(base).as_posix(): path for path in _plain_files(base)}
        for name, path in links.items():
            (Path(made) / name).symlink_to(path.resolve())
        code = [path.name for path in folder.glob("*.py")]
        for name in (*DESCRIBING, *code):
            if (folder / name).is_file():
                (Path(made) / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(gate.inside(folder, name), Path(made) / name)
        try:
            yield Path(made)
        except InputError as error:
            if error.place != made:
                raise
            raise InputError(error.message, place=str(folder), hint=error.hint) from error


def _plain_files(base: Path) -> list[Path]:
    """The files of a base model's weights, with the one that says which tensor is in which."""
    index = [gate.inside(base, gate.INDEX)] if (base / gate.INDEX).exists() else []
    return gate.weight_files(base) + index


def _read_base(folder: Path) -> dict[str, Any]:
    said = gate.read_object(folder, BASE)
    files: Any = said.get("files")
    whole = (
        isinstance(said.get("name"), str)
        and isinstance(said.get("revision"), str | None)
        and isinstance(said.get("place"), str | None)
        and "\0" not in f"{said['name']}{said.get('place')}"
        and isinstance(files, dict)
        and bool(files)
        and all(
            isinstance(entry, dict) and {"size", "sha256"} <= {*entry} for entry in files.values()
        )
    )
    if not whole:
        raise InputError("damaged", place=str(folder / BASE))
    foreign = next((n for n in files if n != gate.INDEX and not n.endswith(".safetensors")), None)
    if foreign is not None:
        raise SafetyError(f"'{foreign[:40]}' is not safetensors", place=str(folder / BASE))
    return said


def _candidates(folder: Path, said: Mapping[str, Any]) -> Iterator[Path]:
    """The folders that have all files of the base model, by their names."""
    return (found for found in _places(folder, said) if _files_in(found, said["files"]))


def _places(folder: Path, said: Mapping[str, Any]) -> Iterator[Path]:
    yield folder / OWN
    if said["place"] is not None:
        yield folder / said["place"]
    at = f"@{said['revision']}" if said["revision"] else ""
    packaged = ["minilm"] if said["name"] == MINILM else []
    for name in (*packaged, f"{said['name']}{at}"):
        try:
            yield _here(name, Path.cwd())
        except HfkitError as error:
            log.debug("%s: %s", folder, error)


@lru_cache
def _here(name: str, working: Path) -> Path:
    """The folder of a model on this disk, asked for once in a `working` folder. It is never fetched
    for the sake of another one."""
    return locate(name, offline=True).folder


def _files_in(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where a folder has these files; empty where it lacks one."""
    paths = {name: gate.inside(folder, name) for name in names} if folder.is_dir() else {}
    return paths if all(path.is_file() for path in paths.values()) else {}


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return whole and math.isfinite(value) and value > 0


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
