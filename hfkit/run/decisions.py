"""decisions.json: what was decided after training, and what `hfkit calibrate` has changed of it.

    decisions     what `decode` uses
    fitted_on     the rows that the training fitted them on
    calibration   what was fitted later, on which rows, what it is worth, and what it `replaced`
    tasks         the same for other tasks than the run's own, as for zero-shot with an NLI model

A folder may be anybody's. A threshold that is no number would be found out at the first row, or, as
NaN, never: every comparison with it is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.errors import InputError
from hfkit.replacing import replace

DECISIONS = "decisions.json"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_scale(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    return numbers and bool(value[0] <= value[1])


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _are_shares(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_share, value.values()))


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


# What the tasks of hfkit decide, and what each of it has to be.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "unanswerable": ("true or false", lambda value: isinstance(value, bool)),
    "max_answer_length": ("a number of tokens", _is_count),
    "null_threshold": ("a finite number", _is_number),
    "scale": ("two numbers, the smaller one first", _is_scale),
    "slope": ("a finite number", _is_number),
    "offset": ("a finite number", _is_number),
    "threshold": ("a finite number", _is_number),
    "temperature": ("a number above 0", _is_positive),
    "thresholds": ("a number from 0 to 1 for each label", _are_shares),
    "score_slope": ("a number above 0", _is_positive),
    "score_offset": ("a finite number", _is_number),
    "abstain_below": ("a number from 0 to 1", _is_share),
}
TOGETHER = (("slope", "offset"), ("score_slope", "score_offset"))
# What a flag of this name says instead.
OVERRULED = {"threshold": "thresholds"}
CALIBRATION, OF_TASKS = "calibration", "tasks"

Content = dict[str, Any]


def read_decisions(folder: Path, task: str | None = None) -> dict[str, Any]:
    """Return what the run in `folder` decided for its own task, or for another `task`; nothing
    where it decided nothing.

    Raises `InputError` for a value that is not of its kind. Names that are not known here are left
    to their task.
    """
    path = folder / DECISIONS
    found = part_of(read_content(folder), task, str(path)).get("decisions") or {}
    if not isinstance(found, dict):
        raise InputError("damaged (its decisions are not an object)", place=str(path))
    for name, (kind, fits) in KINDS.items():
        if name in found and not fits(found[name]):
            hint = "fine-tune it again"
            raise InputError(f"damaged ({name}: expected {kind})", place=str(path), hint=hint)
    for one, other in TOGETHER:
        if (one in found) != (other in found):
            raise InputError(f"damaged ({one} and {other} go together)", place=str(path))
    return found


def read_content(folder: Path) -> Content:
    """Return what decisions.json holds; nothing where there is none."""
    path = folder / DECISIONS
    return sealing.read_json(path) if path.is_file() else {}


def part_of(content: Content, task: str | None, place: str = DECISIONS) -> Content:
    """The part of the run's own task, or that of another `task`."""
    if task is None:
        return content
    tasks = content.get(OF_TASKS) or {}
    found = tasks.get(task) or {} if isinstance(tasks, dict) else None
    if not isinstance(found, dict):
        raise InputError("damaged (its tasks are not objects)", place=place)
    return found


def overruled(decisions: Mapping[str, Any], named: Iterable[str]) -> dict[str, Any]:
    """The decisions but for those that the user's own settings stand for."""
    gone = {OVERRULED[name] for name in named if name in OVERRULED}
    return {name: value for name, value in decisions.items() if name not in gone}


def without_calibration(part: Content) -> Content:
    """A part as it was before `hfkit calibrate`.

    >>> without_calibration({"decisions": {"null_threshold": 2.0, "temperature": 1.5},
    ...   "calibration": {"set": ["null_threshold", "temperature"],
    ...                   "replaced": {"null_threshold": 1.0}}})
    {'decisions': {'null_threshold': 1.0}}
    """
    found = {key: value for key, value in part.items() if key != CALIBRATION}
    calibration = part.get(CALIBRATION)
    if isinstance(calibration, dict):
        names = calibration.get("set") or []
        kept = {k: v for k, v in (part.get("decisions") or {}).items() if k not in names}
        found["decisions"] = {**kept, **(calibration.get("replaced") or {})}
    return found


def with_calibration(part: Content, decided: Mapping[str, Any], told: Mapping[str, Any]) -> Content:
    """A part with these decisions, and what there is to tell of them."""
    before = without_calibration(part)
    decisions = before.get("decisions") or {}
    replaced = {name: decisions[name] for name in decided if name in decisions}
    calibration = {"set": list(decided), "replaced": replaced, **told}
    return {**before, "decisions": {**decisions, **decided}, CALIBRATION: calibration}


def write_part(folder: Path, task: str | None, part: Content) -> None:
    """Put a part into decisions.json, and its hash into the manifest of a sealed folder; a kill
    leaves the old state or the new one. A file with nothing in it goes."""
    content = read_content(folder)
    if task is None:
        whole = {**part, **({OF_TASKS: content[OF_TASKS]} if OF_TASKS in content else {})}
    else:
        others = {name: one for name, one in (content.get(OF_TASKS) or {}).items() if name != task}
        tasks = {**others, **({task: part} if part.get("decisions") else {})}
        whole = {key: value for key, value in content.items() if key != OF_TASKS}
        whole |= {OF_TASKS: tasks} if tasks else {}
    empty = not whole.get("decisions") and OF_TASKS not in whole
    replace(folder, DECISIONS, None if empty else sealing.as_json(whole))
