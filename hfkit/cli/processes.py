"""Whether this process is one of several that train together, told without importing anything."""

from __future__ import annotations

import os


def one_of_several() -> bool:
    """Whether several processes train together."""
    return number_of("WORLD_SIZE", 1) > 1


def number_of(variable: str, otherwise: int) -> int:
    """A number that a launcher has set; what is no number was set by something else."""
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() else otherwise


def has_parent() -> bool:
    """Whether another hfkit started this process to train with it."""
    if not one_of_several():
        return False
    from hfkit.train.launch import has_parent as started_by_another

    return started_by_another()
