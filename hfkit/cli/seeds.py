"""What several seeds came to: the spread of each score, what collapsed, and which is best."""

from __future__ import annotations

import sys
from typing import Any

from hfkit.cli.console import number, print_json, say, show, table


def tell_seeds(found: Any, as_json: bool, quiet: bool) -> None:
    """The folder is the one line on stdout, or all as JSON; the tables go to stderr."""
    if as_json:
        print_json(found.to_json())
    else:
        print(found.folder, flush=True)
    if found.collapsed:
        seeds = ", ".join(map(str, found.collapsed))
        say(
            "warning",
            f"collapsed: seed {seeds}: no better in {found.score} than always the same answer, "
            "while others are; mean and deviation hold them",
        )
    if not quiet:
        _show(found)


def _show(found: Any) -> None:
    parts: list[Any] = []
    for split, scores in found.spread().items():
        rows = next(iter(found.runs.values())).splits[split].count
        parts += [f"{split}: {rows} rows, {len(found.runs)} seeds"]
        names = sorted(scores, key=lambda name: name != found.score)
        shown = [
            {
                "score": name,
                "mean": number(scores[name]["mean"]),
                "sd": number(scores[name]["sd"]),
                "least": number(scores[name]["min"]),
                "most": number(scores[name]["max"]),
            }
            for name in names
        ]
        parts += [table(shown, ("mean", "sd", "least", "most")), ""]
    best = found.runs[found.best]
    value = best.splits["validation"].values.get(found.score)
    mean = found.spread()["validation"].get(found.score, {}).get("mean")
    show(parts[:-1], sys.stderr)
    say("note", f"best on the validation data: seed {found.best}, {best.folder}")
    if value is not None and mean is not None:
        say(
            "note",
            f"its {found.score} of {number(value)} is optimistic, as it was chosen by it; "
            f"expect the mean, {number(mean)}, of another training",
        )
