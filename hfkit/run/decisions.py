"""decisions.json: what a run decided after training, read again from a folder of anybody's.

A threshold that is no number would be found out at the first row, or, as NaN, never: every
comparison with it is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.errors import InputError

DECISIONS = "decisions.json"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_scale(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return numbers and bool(value[0] <= value[1])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# What the tasks of hfkit decide, and what each of it has to be.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "unanswerable": ("true or false", lambda value: isinstance(value, bool)),
    "max_answer_length": ("a number of tokens", _is_count),
    "null_threshold": ("a finite number", _is_number),
    "scale": ("two numbers, the smaller one first", _is_scale),
    "slope": ("a finite number", _is_number),
    "offset": ("a finite number", _is_number),
    "threshold": ("a finite number", _is_number),
}


def read_decisions(folder: Path) -> dict[str, Any]:
    """Return what the run in `folder` decided; nothing where it decided nothing.

    Raises `InputError` for a value that is not of its kind. Names that are not known here are left
    to their task.
    """
    path = folder / DECISIONS
    if not path.is_file():
        return {}
    found = sealing.read_json(path).get("decisions") or {}
    if not isinstance(found, dict):
        raise InputError("damaged (its decisions are not an object)", place=str(path))
    for name, (kind, fits) in KINDS.items():
        if name in found and not fits(found[name]):
            hint = "fine-tune it again"
            raise InputError(f"damaged ({name}: expected {kind})", place=str(path), hint=hint)
    if ("slope" in found) != ("offset" in found):
        raise InputError("damaged (slope and offset go together)", place=str(path))
    return found
