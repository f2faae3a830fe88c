"""`hfkit check`: what is wrong with the data, before anything is trained on them.

Each file is read once, by the readers of training. No text of the data is printed: a finding has
its places, and what the readers quote is left out or masked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hfkit.config import CheckConfig
from hfkit.data.checks.findings import Finding, Findings, Severity
from hfkit.data.checks.personal import masked
from hfkit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hfkit.data.checks.part import Expected, Part
    from hfkit.tasks.base import Task

log = logging.getLogger(__name__)

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Checked:
    """What was found: the parts as they are, and the findings, the worst first."""

    task: str
    reason: str
    counted: str  # how lengths were counted
    parts: list[dict[str, Any]]
    findings: list[Finding]
    counts: Mapping[Severity, int]
    redacted: dict[str, int] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_wrong(self) -> bool:
        """Whether training on these data would fail, or learn what is wrong."""
        return self.counts["error"] > 0

    def to_json(self) -> dict[str, Any]:
        """Plain data; the codes of findings stay what they are from version to version."""
        return {
            "task": self.task,
            "reason": self.reason,
            "lengths_in": self.counted,
            "parts": self.parts,
            "findings": [one.to_json() for one in self.findings],
            "errors": self.counts["error"],
            "warnings": self.counts["warning"],
            "notes": self.counts["note"],
            "remarks": self.notes,
            "redacted": self.redacted,
        }


def check(config: CheckConfig) -> Checked:
    """Read the data once and report what is wrong with them.

    Raises `InputError` for a source that cannot be read at all, and for columns or a task that
    cannot be found.
    """
    if not config.train:
        raise InputError("no data", hint="hfkit check TRAIN, for example reviews.csv")
    if config.redact and not config.output:
        raise InputError("no place for the copy", place="--redact", hint="name it with -o FILE")
    if config.output and not config.redact:
        raise InputError("only --redact writes a file", place="--output", hint="add --redact")
    with _nothing_personal():
        found = _checked(config)
        return _with_copy(found, config) if config.redact else found


def _checked(config: CheckConfig) -> Checked:
    from hfkit.data.checks.near import MOST_ROWS, NearDuplicates
    from hfkit.data.checks.part import Part
    from hfkit.data.checks.walk import open_source, peek
    from hfkit.registry import TASKS, find_task

    assert config.train
    peeked = peek(config.train, config, offline=config.offline)
    name, reason = _task_of(config, peeked[0])
    canonical = find_task(name)[0]
    task = _made(config, canonical, name)
    trainable = canonical not in TASKS or TASKS[canonical].trainable
    expected, counted = _expected(config, task, canonical, trainable)
    findings = Findings()
    near = NearDuplicates(findings)
    parts: list[Part] = []
    for part in PARTS:
        source_name = getattr(config, part)
        if not source_name:
            continue
        source = open_source(
            source_name, part, config, config, _roles(task, trainable), task.label_kind,
            offline=config.offline, like=parts[0].source if parts else None,
            peeked=peeked if part == "train" else None,
        )  # fmt: skip
        parts.append(
            Part(source, findings, expected, parts, near if config.near_duplicates else None)
        )
        parts[-1].read()
    remarks = []
    if config.near_duplicates:
        near.close()
        if near.skipped:
            remarks.append(f"near-duplicates: the first {MOST_ROWS} rows were compared")
    return Checked(
        canonical, reason, counted, [part.to_json() for part in parts], findings.listed(),
        findings.counts(), notes=remarks,
    )  # fmt: skip


def _task_of(config: CheckConfig, first: list[Any]) -> tuple[str, str]:
    from hfkit.data.shape import infer_task

    if config.task:
        return config.task, "as set"
    sample = [record.fields for record in first if not record.error]
    names = list(dict.fromkeys(column for fields in sample for column in fields))
    return infer_task(names, sample, config)


def _made(config: CheckConfig, canonical: str, name: str) -> Task[Any]:
    from hfkit.registry import find_task, make_task

    return make_task(canonical, {**find_task(name)[2], **config.options})


def _roles(task: Task[Any], trainable: bool) -> dict[str, str]:
    """The columns of a task, its label needed, as training reads them; labels to choose from are
    no text of a row."""
    if not trainable:
        return {
            role: what for role, what in task.columns.items() if role.rstrip("?") != "candidates"
        }
    return {role.replace("label?", "label"): what for role, what in task.columns.items()}


def _expected(
    config: CheckConfig, task: Task[Any], name: str, trainable: bool
) -> tuple[Expected, str]:
    """What the checks need to know, and in which words lengths are told."""
    from hfkit.data.checks.part import Expected
    from hfkit.run.measuring import measure_of

    measure, limit, counted = measure_of(config, together=not task.grouped)
    handling = getattr(task.options, "on_long", "window")
    code = "length-window" if handling == "window" else "length-cut"
    # Texts that are joined are cut into rows: none is too long.
    longest = None if getattr(task, "joined", False) else limit
    return Expected(task.label_kind, trainable, measure, longest, code), counted


def _with_copy(found: Checked, config: CheckConfig) -> Checked:
    from hfkit.data.redact import redact

    if any(one.code == "row-unreadable" and one.part == "train" for one in found.findings):
        hint = "mend the rows first; `hfkit check` without --redact names them"
        raise InputError("has rows that cannot be read", place=config.train or "", hint=hint)
    columns = {role: one["column"] for role, one in found.parts[0]["columns"].items()}
    target, overwrite = config.output or "", config.overwrite
    return replace(found, redacted=redact(config.train or "", config, columns, target, overwrite))


@contextmanager
def _nothing_personal() -> Iterator[None]:
    """Mask personal data in notes and errors of the readers, which quote cells and headers."""

    def mask(record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), ()
        return True

    handlers = list(logging.getLogger("hfkit").handlers)
    for handler in handlers:
        handler.addFilter(mask)
    try:
        yield
    except InputError as error:
        hint = masked(error.hint) if error.hint else error.hint
        raise InputError(masked(error.message), place=error.place, hint=hint) from None
    finally:
        for handler in handlers:
            handler.removeFilter(mask)
