"""Libraries that would let a model run code are refused, as pyproject.toml says it."""

from __future__ import annotations

import logging
import tomllib
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from hfkit.errors import SafetyError
from hfkit.model import floors

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_floors_are_those_of_the_project() -> None:
    stated = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]
    for package, floor in floors.FLOORS.items():
        assert f"{package}>={'.'.join(map(str, floor))}" in stated


@pytest.mark.parametrize(
    ("torch", "transformers", "culprit"),
    [
        ("2.10.0", "5.3.0", None),
        ("2.13.0+cpu", "6.0", None),
        ("2.9.1", "5.3.0", "torch"),
        ("2.10.0", "4.57.1", "transformers"),
        ("2.10.0", "5.2.9", "transformers"),
    ],
)
def test_older_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, torch: str, transformers: str, culprit: str | None
) -> None:
    versions = {"torch": torch, "transformers": transformers}
    monkeypatch.setattr(floors, "version", versions.__getitem__)
    if culprit is None:
        return floors.check_libraries()
    with pytest.raises(SafetyError, match=f"^{culprit} {versions[culprit]}"):
        floors.check_libraries()
    return None


def test_a_library_without_metadata_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(floors, "version", absent)
    floors.check_libraries()


def test_kernels_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(floors, "find_spec", lambda name: ModuleSpec(name, None))
    with caplog.at_level(logging.WARNING, "hfkit"):
        floors.check_libraries()
    assert "`kernels` is installed" in caplog.text
