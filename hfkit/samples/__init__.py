"""Sample data that ships with hfkit: written for it, frozen before any model was trained on it."""

from __future__ import annotations

from pathlib import Path


def sample(name: str) -> Path:
    """Return the path of a sample file, ``support/train.csv`` say."""
    return Path(__file__).parent / name
