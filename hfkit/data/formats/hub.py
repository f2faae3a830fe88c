"""A data set of the Hugging Face Hub, streamed: ``hf://org/name:config@split`` or ``org/name``.

No data set script runs, and nothing is tried when offline was asked for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

from hfkit.data.display import listed
from hfkit.data.formats.class_label import class_names, with_names
from hfkit.data.record import Record
from hfkit.errors import HfkitError, InputError, NetworkError

log = logging.getLogger(__name__)

PREFIX = "hf://"
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
LOGIN = "if it is private or gated, log in with `hf auth login` and accept its terms on its page"
NAME = re.compile(
    r"(?P<name>[\w-][\w.-]*(?:/[\w-][\w.-]*)?)(?::(?P<config>[\w.-]+))?(?:@(?P<split>[^@]+))?"
)


@dataclass(frozen=True)
class HubId:
    """The parts of ``org/name:config@split``; config and split may be absent."""

    name: str
    config: str | None = None
    split: str | None = None


def hub_id(source: str) -> HubId | None:
    """Return the parts where `source` may name a Hub data set; without ``hf://`` it needs an org.

    >>> hub_id("org/name:de@test")
    HubId(name='org/name', config='de', split='test')
    >>> hub_id("name") is None
    True
    """
    match = NAME.fullmatch(source.removeprefix(PREFIX))
    if not match or not (source.startswith(PREFIX) or "/" in match["name"]):
        return None
    return HubId(match["name"], match["config"], match["split"])


def read(source: str, wanted: HubId, *, offline: bool = False) -> Iterator[Record]:
    """Yield the rows, classes as their names.

    Raises `NetworkError` where the Hub cannot be reached, refuses the login, or offline is on;
    `InputError` for what does not exist there.
    """
    if offline or any(
        environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in OFFLINE
    ):
        raise NetworkError("is a Hub data set, and offline is on", place=source)
    if Path(wanted.name).exists():
        raise InputError("a local folder of this name hides the Hub data set", place=source)
    from datasets import load_dataset

    row = 0
    try:
        loaded = load_dataset(wanted.name, wanted.config, split=wanted.split, streaming=True)
        data = loaded if wanted.split else _one_split(loaded, source)
        names = class_names(data.features.to_dict() if data.features else {})
        for fields in data:
            row += 1
            yield Record(with_names(dict(fields), names), row, source)
    except (OSError, RuntimeError, ValueError) as error:
        raise explained(error, source) from error
    except Exception as error:
        if not type(error).__module__.startswith(("datasets.", "huggingface_hub.", "httpx")):
            raise
        raise explained(error, source) from error
    if not row:
        raise InputError("holds no rows", place=source)


def explained(error: Exception, source: str) -> HfkitError:
    """Return the error to show for one that `datasets` or the Hub's client raised."""
    message = str(error).partition("\n")[0][:160]
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "scripts are no longer supported" in message:
        problem = "is a script data set, which would run its author's code; it is not loaded"
        return InputError(problem, place=source, hint=_in_parquet(source))
    if "gated" in message or kinds & {"GatedRepoError", "LocalTokenNotFoundError"}:
        return NetworkError("the Hub refused access", place=source, hint=LOGIN)
    if kinds & {"DatasetNotFoundError", "RepositoryNotFoundError"}:
        return InputError("no such file, and no such data set on the Hub", place=source, hint=LOGIN)
    if "Config name is missing" in message:
        choices = re.findall(r"'([^']+)'", str(error))
        problem = f"has several configurations: {listed(dict.fromkeys(choices))}"
        return InputError(problem, place=source, hint="name one as org/name:config")
    if isinstance(error, ConnectionError | TimeoutError) or kinds & {
        "HTTPError",
        "TransportError",
        "LocalEntryNotFoundError",
    }:
        return NetworkError(f"the Hub cannot be reached ({message})", place=source)
    return InputError(f"cannot be loaded ({message})", place=source)


def _in_parquet(source: str) -> str:
    """How to take the copy in Parquet that the Hub has made of many data sets with a script."""
    found = hub_id(source)
    name = found.name if found else source
    return (
        "take its copy in Parquet, if it has one: "
        f"hf download {name} --repo-type dataset --revision refs/convert/parquet --local-dir data"
    )


def _one_split(splits: Any, source: str) -> Any:
    """Return the only split, or ``train``; the guess is logged."""
    names = list(splits)
    if len(names) == 1:
        return splits[names[0]]
    if "train" not in names:
        problem = f"has several splits: {listed(names)}"
        raise InputError(problem, place=source, hint="name one as org/name@split")
    log.info("%s: reading the split 'train' of %s; choose with @split", source, listed(names))
    return splits["train"]
