"""What the tab key offers for a setting: names that are on this disk.

They are found without a network and without torch. Where nothing fits, the shell completes the
names of files, with its own rules for blanks and quotes. Names that a shell would have to quote are
left to it; none can end in the line that zsh evaluates.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from hfkit.recipe import SUFFIXES

PLAIN = re.compile(r"[\w./@~+-]+")  # needs no quotes in any shell
RUNS = "runs"  # where a run goes that is given no folder
MOST = 500  # names of a folder that are looked at


def models(start: str) -> Iterator[str]:
    """Runs and model folders beside `start`, packaged models, models in the local cache."""
    yield from runs(start)
    from hfkit.model.locate import MINILM_NAMES, packaged_minilm

    if packaged_minilm() is not None:
        yield MINILM_NAMES[0]
    yield from _cached()


def runs(start: str) -> Iterator[str]:
    """Folders with a model beside `start`, and in `runs/` where nothing is typed of a path."""
    before, slash, _ = start.rpartition("/")
    yield from _folders(before + slash)
    if not slash:
        yield from _folders(f"{RUNS}/")


def recipes(start: str) -> Iterator[str]:
    """Names of packaged recipes, and recipes beside `start`."""
    from hfkit.recipe import packaged_recipes

    yield from packaged_recipes()
    before, slash, _ = start.rpartition("/")
    for name, is_folder in _entries(before + slash):
        if not is_folder and name.lower().endswith(SUFFIXES):
            yield before + slash + name


def tasks(start: str) -> Iterator[str]:
    """Names of tasks; other names for them once a part is typed."""
    from hfkit.registry import TASKS, task_names

    yield from task_names() if start else TASKS


def metrics(start: str) -> Iterator[str]:
    """Names of built-in and installed metrics."""
    from hfkit.registry import METRICS, plugins

    yield from [*METRICS, *plugins("hfkit.metrics")]


# The settings whose values have names; the same name is the same thing in every command.
FOUND: dict[str, Callable[[str], Iterator[str]]] = {
    "config": recipes,
    "folder": runs,
    "metric": metrics,
    "model": models,
    "models": models,
    "no_worse_than": models,
    "run": runs,
    "task": tasks,
}


def offered(name: str, start: str) -> list[str]:
    """What the tab key offers for a setting of which `start` is typed; none: names of files.

    >>> offered("task", "regr"), offered("output", "o")
    (['regression'], [])
    """
    if name not in FOUND:
        return []
    fitting = [text for text in FOUND[name](start) if text.startswith(start)]
    return [text for text in dict.fromkeys(fitting) if PLAIN.fullmatch(text)]


def _folders(folder: str) -> Iterator[str]:
    """The folders in a folder that hold a model, in order."""
    for name, is_folder in _entries(folder):
        if is_folder and (_at(folder) / name / "config.json").is_file():
            yield folder + name


def _cached() -> Iterator[str]:
    """Models of the Hub that are in the local cache."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    for name, is_folder in _entries(f"{cache}/"):
        kind, _, rest = name.partition("--")
        if is_folder and kind == "models" and rest:
            yield rest.replace("--", "/")


def _entries(folder: str) -> list[tuple[str, bool]]:
    """The names in a folder, each with whether it is a folder; none where it cannot be read."""
    try:
        with os.scandir(_at(folder)) as found:
            named = [(entry.name, entry.is_dir()) for entry in found if entry.name[0] != "."]
    except OSError:
        return []
    return sorted(named)[:MOST]


def _at(folder: str) -> Path:
    return Path(folder or ".").expanduser()
