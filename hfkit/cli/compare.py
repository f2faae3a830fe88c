"""The tables of `hfkit compare`, and in words what may be concluded from them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.api import compare
from hfkit.cli.console import number, print_json, printable, show, table
from hfkit.cli.failures import Ending

if TYPE_CHECKING:
    from hfkit.commands.compare import Compared
    from hfkit.metrics.comparing import Difference, Pair

COMPARE = """Compare two or more models on the labelled rows of DATA.

MODELS are runs' folders, models with a trained head, or files of predictions; the last name is
DATA, unless --data names it. Prints the scores with intervals, the differences of each pair (the
second minus the first) with intervals and tests, and the examples that flipped.

\b
  hfkit compare old new test.csv
  hfkit compare old.jsonl new.jsonl test.csv -o flips.jsonl
  hfkit compare a b c test.csv --score f1_macro --json
"""

HOLM = "p (Holm)"
LONGEST = 60  # characters of a text in the table of flips


def act(config: Any) -> Ending:
    """Compare, and print what came of it."""
    compared = compare(config)
    if config.json_output:
        print_json(compared.to_json())
    else:
        show_compared(compared, sys.stdout)
    return Ending()


def show_compared(compared: Compared, stream: TextIO) -> None:
    """Write the scores of all systems, then each pair: differences, verdict, flips."""
    found, names = compared.comparison, short_names(compared.models)
    title = f"{found.count} rows"
    if found.resamples:
        title += f"; {found.confidence:.0%} intervals from {found.resamples} resamples"
    parts: list[Any] = [title, table(_scores(compared), tuple(names.values()))]
    for pair in found.pairs:
        parts += ["", f"{names[pair.second]} minus {names[pair.first]}"]
        rows = [_difference(name, pair.differences[name]) for name in compared.shown]
        if len(found.pairs) == 1:  # there is nothing to correct for
            rows = [{key: one[key] for key in one if key != HOLM} for one in rows]
        parts.append(table(rows, ("difference", "low", "high", "p", HOLM)))
        parts += [verdict(compared, pair, name) for name in compared.shown[:1]]
        parts += _flipped(compared, pair)
    if len(found.pairs) > 1:
        parts += ["", f"p (Holm) is corrected for {len(found.pairs)} pairs, score by score"]
    if len(compared.shown) > 1:
        parts += ["", "the verdict is on the first score; p-values are not corrected for the "
                      "number of scores"]  # fmt: skip
    show(parts, stream)


def short_names(models: Sequence[str]) -> dict[str, str]:
    """The last parts of the names, as many as tell them apart.

    >>> short_names(["runs/old", "runs/new"])
    {'runs/old': 'old', 'runs/new': 'new'}
    >>> short_names(["a/out", "b/out"])
    {'a/out': 'a/out', 'b/out': 'b/out'}
    """
    parts = [name.rstrip("/").split("/") for name in models]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-depth:]) for one in parts]
        if len(set(names)) == len(names):
            return dict(zip(models, names, strict=True))
    return {name: name for name in models}


def _scores(compared: Compared) -> list[dict[str, str]]:
    found, shown = compared.comparison, short_names(compared.models)
    names = list(found.pairs[0].differences)
    rows = []
    for name in sorted(names, key=lambda name: name != found.headline):
        row = {"score": name}
        for model in compared.models:
            scores = found.scores[model]
            low, high = scores.intervals.get(name, (None, None))
            interval = f" ({number(low)}–{number(high)})" if low is not None else ""
            row[shown[model]] = f"{number(scores.values[name])}{interval}"
        rows.append(row)
    return rows


def _difference(name: str, one: Difference) -> dict[str, str]:
    return {
        "score": name,
        "difference": f"{one.value:+.4f}",
        "low": "" if one.low is None else f"{one.low:+.4f}",
        "high": "" if one.high is None else f"{one.high:+.4f}",
        "p": p_value(one.p),
        HOLM: p_value(one.p_holm),
        "test": one.test,
    }


def p_value(p: float | None) -> str:
    """
    >>> p_value(0.00004), p_value(0.0312), p_value(0.4567), p_value(None)
    ('<0.0001', '0.031', '0.46', '')
    """
    if p is None:
        return ""
    return "<0.0001" if p < 0.0001 else f"{p:.2f}" if p >= 0.1 else f"{p:.2g}"


def verdict(compared: Compared, pair: Pair, name: str) -> str:
    """What the difference of one score means, in a sentence."""
    found, one = compared.comparison, pair.differences[name]
    names = short_names(compared.models)
    if one.p_holm is None:
        return f"{name}: no test, as there are too few rows"
    chance = f"two equally good models differ this much with probability {p_value(one.p_holm)}"
    if one.better:
        other = pair.first if one.better == pair.second else pair.second
        return f"{names[one.better]} is better than {names[other]} in {name}: {chance}"
    told = f"not distinguishable in {name} at {found.count} rows: {chance}"
    if one.low is not None and one.high is not None and one.high > one.low:
        width = (one.high - one.low) / 2
        told += f"; a difference below about {width:.2g} does not show on so few rows"
    return told


def _flipped(compared: Compared, pair: Pair) -> list[Any]:
    if pair.to_right is None or pair.to_wrong is None:
        return ["no example is counted as flipped: these answers are not right or wrong"]
    lost, won = len(pair.to_wrong), len(pair.to_right)
    parts: list[Any] = [f"flipped: {lost} right to wrong, {won} wrong to right"]
    flips = compared.flips_of(pair)
    if flips:
        rows = [_flip(one) for one in flips]
        if not any(row["text"] for row in rows):  # predictions may stand without their texts
            rows = [{key: row[key] for key in row if key != "text"} for row in rows]
        parts.append(table(rows))
        left = lost + won - len(flips)
        if left:
            parts.append(f"and {left} more; -o FILE.jsonl writes all")
    return parts


def _flip(one: dict[str, Any]) -> dict[str, str]:
    text = next((one[key] for key in ("question", "text", "tokens", "prompt") if key in one), "")
    text = " ".join(map(str, text)) if isinstance(text, list) else str(text)
    return {
        "line": one["place"].rsplit("/", 1)[-1],  # all are of one file
        "flip": one["flip"],
        "gold": _short(one["gold"]),
        "first": _short(one["first_answer"]),
        "second": _short(one["second_answer"]),
        "text": _short(text),
    }


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(_entity(one) if isinstance(one, dict) else str(one) for one in value)
    text = printable(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _entity(one: dict[str, Any]) -> str:
    return f"{one.get('text', '')} {one.get('label', '')}".strip()
