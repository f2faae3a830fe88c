"""What all faults share: how many are injected, and where the figures go.

At reduced counts the tier belongs to the gate; `make slow` runs the full ones (HFKIT_FAULTS=full).
With HFKIT_RECORD set, each test adds what it measured to measured.jsonl, of which
``python -m tests.faults.table`` makes the table of docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FULL = os.environ.get("HFKIT_FAULTS") == "full"
MEASURED = HERE / "measured.jsonl"

for folder in (HERE, HERE.parent / "train"):  # forks.py and disk.py; training_cases.py
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def counts(reduced: int, full: int) -> int:
    """How many faults to inject: at the gate, and at leisure."""
    return full if FULL else reduced


@pytest.fixture(name="counts")
def _counts() -> Callable[[int, int], int]:
    return counts


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is of the tier; at full counts it is slow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record what a test has found: ``measured("T1", "kills of a run", kills=200, damaged=0)``."""

    def record(promise: str, text: str, **figures: Any) -> None:
        if os.environ.get("HFKIT_RECORD"):
            name = f"{request.path.name}::{request.node.originalname}"
            entry = {"promise": promise, "text": text, "test": name, "full": FULL, **figures}
            with MEASURED.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    return record
