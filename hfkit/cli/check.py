"""The report of `hfkit check`: the data as they are, then what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.cli.console import number, printable, show, table
from hfkit.errors import InputError

if TYPE_CHECKING:
    from hfkit.commands.check import Checked

CHECK = """Say what is wrong with data, before training on them.

TRAIN and the files beside it are read as `hfkit finetune` reads them. Exit code 2: training would
fail or learn what is wrong; 0: there are warnings at most. No text of the data is printed.

\b
  hfkit check reviews.csv
  hfkit check train.jsonl --validation dev.jsonl --test test.jsonl -m distilbert-base-uncased
  hfkit check reviews.csv --json
  hfkit check reviews.csv --redact -o masked.csv
"""
LABELS_SHOWN = 10
REASONS_SHOWN = 4


def show_check(checked: Checked, stream: TextIO) -> None:
    """Write the report: lines of any length, which a terminal may wrap and a pipe does not."""

    def write(lines: Iterable[str]) -> None:
        for line in lines:
            print(printable(line), file=stream)

    write([f"task: {checked.task} ({checked.reason})"])
    for part in checked.parts:
        write(["", *_part_lines(part)])
    lengths = [_length_row(part) for part in checked.parts if part["lengths"]]
    if lengths:
        write(["", f"lengths in {checked.counted}:"])
        show([table(lengths, tuple(lengths[0])[1:])], stream)
    for one in checked.findings:
        write(["", *_finding_lines(one)])
    if checked.redacted is not None:
        write(["", _redacted_line(checked.redacted)])
    write(["", *checked.notes, _verdict(checked)])


def wrong(checked: Checked, source: str | None) -> InputError:
    """The error that the command ends with: its last line on stderr, its exit code."""
    codes = [one.code for one in checked.findings if one.kind.severity == "error"]
    return InputError(
        f"training on these data would go wrong: {', '.join(dict.fromkeys(codes))}",
        place=source or "",
    )


def _part_lines(part: Mapping[str, Any]) -> Iterator[str]:
    yield f"{part['part']}: {part['source']}, {_rows(part['rows'])}" + _unusable(part)
    for role, one in part["columns"].items():
        column = one["column"]
        name = column if isinstance(column, str) else ", ".join(column)
        yield f"  {role}: {name} ({one['reason']})"
    labels = part["labels"]
    if "lowest" in labels and "mean" in labels:
        yield f"  numbers: {labels['lowest']:g} to {labels['highest']:g}, mean {labels['mean']:g}"
    elif labels:
        shown = [f"{name} {count}" for name, count in list(labels.items())[:LABELS_SHOWN]]
        more = len(labels) - LABELS_SHOWN
        yield f"  {len(labels)} labels: {', '.join(shown)}" + (
            f" and {more} more" if more > 0 else ""
        )
    for role, scripts in part["scripts"].items():
        yield f"  {role} in script: {', '.join(f'{name} {n}' for name, n in scripts.items())}"
    for reason, count in part["left_out"].items():
        yield f"  left out, {reason}: {count}"


def _unusable(part: Mapping[str, Any]) -> str:
    count = part["rows"] - part["usable"] - sum(part["left_out"].values())
    return f", {count} of them unusable" if count else ""


def _length_row(part: Mapping[str, Any]) -> dict[str, str]:
    found = part["lengths"]
    limit = found["limit"]
    return {
        "part": part["part"],
        "median": number(found["p50"]),
        "95%": number(found["p95"]),
        "99%": number(found["p99"]),
        "longest": number(found["longest"]),
        "limit": number(limit),
        "longer": "" if limit is None else f"{found['share_longer']:.1%}",
    }


def _finding_lines(one: Any) -> Iterator[str]:
    """What was found, where first, why, and what to do about it."""
    yield f"{one.kind.severity} {one.code} ({one.part}): {one.count} × {one.kind.what}"
    if one.places:
        more = ", …" if one.count > len(one.places) else ""
        yield f"  at {', '.join(one.places)}{more}"
    for reason, count in one.reasons.most_common(REASONS_SHOWN):
        yield f"  {reason}" + (f": {count}" if len(one.reasons) > 1 else "")
    left = len(one.reasons) - REASONS_SHOWN
    if left > 0:
        yield f"  and {left} more reasons"
    yield f"  → {one.kind.remedy}"


def _redacted_line(redacted: Mapping[str, int]) -> str:
    found = ", ".join(f"{count} [{kind.upper()}]" for kind, count in redacted.items())
    return f"masked: {found or 'nothing'}"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _verdict(checked: Checked) -> str:
    counts = [
        f"{count} {name}{'' if count == 1 else 's'}" for name, count in checked.counts.items()
    ]
    return f"kinds of findings: {', '.join(counts)}"
