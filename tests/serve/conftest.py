"""Toy models of every task, and servers of them in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import TOKEN, Live, live, write_models

# Served together, each with what its task needs; the rest is guessed.
TOGETHER = ("topics", "several", "number", "names", "answers", "masks", "next", "vectors",
            "river", "short")  # fmt: skip


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Live]:
    """Most models in one server; one of them goes on with texts, one makes vectors."""
    with live(*(models / name for name in TOGETHER)) as found:
        yield found


@pytest.fixture(scope="session")
def guarded_labels(models: Path) -> Iterator[Live]:
    """One model that is told its labels by those who ask, and wants a token of them."""
    with live(models / "nli", "-t", "zero-shot", token=TOKEN) as found:
        yield found
