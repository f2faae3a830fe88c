"""Toy models of every task, and servers of them in processes of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import TOKEN, Live, live, write_models

# Served together, each with what its task needs; the rest is guessed.
TOGETHER = ("topics", "several", "number", "names", "answers", "masks", "next", "vectors",
            "river", "short")  # fmt: skip

# Copies with decisions: what they are copied from, their task, and what was decided.
DECIDED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "topics": ("topics", "classification", {"temperature": 2.0, "abstain_below": 0.9}),
    "several": ("several", "classification", {"abstain_below": 0.99}),
    "answers": ("answers", "qa", {"temperature": 3.0, "abstain_below": 1.0}),
    "names": ("names", "ner", {"abstain_below": 1.0}),
    "graded": ("vectors", "similarity", {"scale": [0, 5], "slope": 0.5, "offset": 3.5}),
}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Live]:
    """Most models in one server; one of them goes on with texts, one makes vectors."""
    with live(*(models / name for name in TOGETHER)) as found:
        yield found


@pytest.fixture(scope="session")
def decided_models(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of models for which something was decided after training."""
    folder = tmp_path_factory.mktemp("decided")
    for name, (source, task, decisions) in DECIDED.items():
        shutil.copytree(models / source, folder / name)
        content = {"tasks": {task: {"decisions": decisions}}}
        (folder / name / "decisions.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def decided(decided_models: Path) -> Iterator[Live]:
    """Those copies in one server."""
    with live(*(decided_models / name for name in DECIDED)) as found:
        yield found


@pytest.fixture(scope="session")
def guarded_labels(models: Path) -> Iterator[Live]:
    """One model that is told its labels by those who ask, and wants a token of them."""
    with live(models / "nli", "-t", "zero-shot", token=TOKEN) as found:
        yield found
