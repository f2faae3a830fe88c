"""`hfkit explain` on the terminal: the text with its words coloured, or with signed numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from hfkit.cli.console import is_terminal, printable, show, table
from hfkit.reports.explanation_page import said

if TYPE_CHECKING:
    from rich.text import Text

    from hfkit.commands.explain import Explained

EXPLAIN = """Show which words of TEXT the answer of MODEL came from.

Words that speak for the answer are green, those against it red; without colours each has a signed
number. By integrated gradients (pip install 'hfkit[explain]'), or with --method occlusion, which
masks each word in turn and works with every engine.

\b
  hfkit explain out "The parcel never came."
  hfkit explain out "The parcel never came." -o page.html
  hfkit explain similar "A man plays a flute." --text-pair "Someone makes music."
  hfkit explain qa --question "Where is the key?" --context "The key is under the mat."
"""

MOST_WORDS = 5  # named below a text, for and against
MOST_TOKENS = 12  # of a head, on a terminal
MOST_HEADS = 8  # tables; the rest is in --json
CELL = 8  # characters of a token
# Light tints for and against, the weakest first, under dark letters: of the 256 colours that every
# terminal with colours has, so that none is rounded to black.
TINTS = {True: (194, 157, 120), False: (224, 217, 210)}
LETTERS = 16
LEAST = 0.1  # share of the strongest word below which a word has no tint


def show_explained(explained: Explained, stream: TextIO) -> None:
    """Write the answer, each explanation and, where asked for, the attention."""
    told = explained.to_json()
    coloured = is_terminal(stream) and "NO_COLOR" not in os.environ
    parts: list[Any] = [printable(said(told["prediction"])), *map(printable, notes(told)), ""]
    for one in told["explanations"]:
        parts += [printable(headline(one)), *_texts(one, coloured), *_strongest(one), ""]
    for one in told.get("attention", ()):
        parts += _attention(one)
    show(parts[:-1], stream)


def notes(told: Mapping[str, Any]) -> list[str]:
    """What the answer's score has to do with what is explained; that an answer is withheld stands
    on stderr."""
    return list(told["notes"][bool(told.get("abstained")) :])


def headline(one: Mapping[str, Any]) -> str:
    """What is explained, and how.

    >>> headline({"what": "x", "measure": "logit", "value": 2.0, "baseline": 0.5,
    ...           "method": "occlusion", "relative_error": None, "steps": None})
    'x: logit 2, with every word masked 0.5; occlusion'
    """
    found = f"{one['what']}: {one['measure']} {one['value']:.4g}"
    found += f", with every word masked {one['baseline']:.4g}"
    if one["relative_error"] is None:
        return f"{found}; {one['method']}"
    error = f"{one['relative_error']:.2%} off the sum"
    return f"{found}; {one['method']}, {one['steps']} steps, {error}"


def _texts(one: Mapping[str, Any], coloured: bool) -> list[Any]:
    """The texts of one explanation, each under its role where there are several."""
    roles = list(dict.fromkeys(word["role"] for word in one["words"]))
    most = max((abs(word["attribution"]) for word in one["words"]), default=0.0)
    found: list[Any] = []
    for role in roles:
        words = [word for word in one["words"] if word["role"] == role]
        if coloured:
            found.append(_coloured(words, most))
        else:
            line = " ".join(f"{printable(w['text'])} ({w['attribution']:+.3g})" for w in words)
            found.append(f"{role}: {line}" if len(roles) > 1 else line)
    return found


def _coloured(words: Sequence[Mapping[str, Any]], most: float) -> Text:
    """Words on a tint that is the stronger the more they add."""
    from rich.text import Text

    found, end = Text(), words[0]["start"] if words else 0
    for word in words:
        if word["start"] > end:
            found.append(" ")
        share = abs(word["attribution"]) / most if most else 0.0
        found.append(printable(word["text"]), style=tint(share, word["attribution"] >= 0))
        end = word["end"]
    return found


def tint(share: float, speaks_for: bool) -> str:
    """The style of a word with a share of what the strongest word has.

    >>> tint(0.02, True), tint(1.0, True), tint(0.2, False)
    ('', 'color(16) on color(120)', 'color(16) on color(224)')
    """
    if share < LEAST:
        return ""
    steps = TINTS[speaks_for]
    return f"color({LETTERS}) on color({steps[min(int(share * len(steps)), len(steps) - 1)]})"


def _strongest(one: Mapping[str, Any]) -> list[str]:
    """The words that add the most, for and against."""
    ordered = sorted(one["words"], key=lambda word: -float(word["attribution"]))
    lines = []
    for name, words in (
        ("for", [word for word in ordered if word["attribution"] > 0]),
        ("against", [word for word in ordered[::-1] if word["attribution"] < 0]),
    ):
        if words:
            told = (f"{printable(w['text'])} {w['attribution']:+.3g}" for w in words[:MOST_WORDS])
            lines.append(f"  {name}: {', '.join(told)}")
    return lines


def _attention(one: Mapping[str, Any]) -> list[Any]:
    """A table for each head: rows look at columns. Of many heads and long texts a part."""
    tokens, layers = one["tokens"], one["layers"]
    heads = [(layer, head) for layer in range(len(layers)) for head in range(len(layers[layer]))]
    shown = heads if len(heads) <= MOST_HEADS else heads[-len(layers[-1]) :][:MOST_HEADS]
    names = [f"{place + 1} {printable(name)[:CELL]}" for place, name in enumerate(tokens)]
    parts: list[Any] = []
    if one["note"]:
        parts += [f"these heads add {one['note']} to softmax(QK^T/sqrt(d))", ""]
    for layer, head in shown:
        rows = [
            {"from \\ to": name, **{to: f"{value:.2f}" for to, value in zip(
                names[:MOST_TOKENS], values, strict=False)}}
            for name, values in zip(names[:MOST_TOKENS], layers[layer][head], strict=False)
        ]  # fmt: skip
        parts += [f"layer {layer + 1}, head {head + 1}", table(rows, names[:MOST_TOKENS]), ""]
    left = len(heads) - len(shown), max(len(tokens) - MOST_TOKENS, 0)
    if any(left):
        parts += [f"not shown: {left[0]} heads, {left[1]} tokens; --json has all", ""]
    return parts
