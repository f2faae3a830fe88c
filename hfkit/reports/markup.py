"""Texts as HTML: escaped, cut with a count, isolated by direction, with marked spans.

Everything that comes from data, settings or a model goes through this file on its way to the page.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

LONGEST = 1200  # characters shown of a text
BEFORE = 240  # characters shown before the first marked span of a long text


class Mark(NamedTuple):
    """A span of a text to mark: characters, a CSS class, and what is written behind it."""

    start: int
    end: int
    kind: str
    label: str = ""


def clean(text: object) -> str:
    r"""What a page can hold: no control characters but line breaks and tabs, no halves of
    characters.

    >>> clean("a\x00b\ud800c\n")
    'a\ufffdb\ufffdc\n'
    """
    return "".join(
        "\ufffd" if unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\n\t" else mark
        for mark in str(text)
    )


def escaped(text: object) -> str:
    """A text as HTML that is nothing but that text.

    >>> escaped("<script>")
    '&lt;script&gt;'
    """
    return html.escape(clean(text))


def isolated(text: object) -> str:
    """A text of any direction within a line of the page's own."""
    return f"<bdi>{escaped(text)}</bdi>"


def element(tag: str, content: str, **attributes: str) -> str:
    """An element around HTML; an attribute that is empty is left out, ``kind`` is the class.

    >>> element("p", "a &amp; b", kind="note")
    '<p class="note">a &amp; b</p>'
    """
    named = {"class" if name == "kind" else name: value for name, value in attributes.items()}
    written = "".join(f' {name}="{escaped(value)}"' for name, value in named.items() if value)
    return f"<{tag}{written}>{content}</{tag}>"


def passage(text: object, marks: Iterable[Mark] = (), longest: int = LONGEST) -> str:
    """A text as a block with its own direction; a long one is cut around what is marked, and says
    how much is missing. Marks that overlap an earlier one are named behind the text."""
    text = str(text)
    found = sorted(m for m in marks if 0 <= m.start < m.end <= len(text))
    start = 0
    if found and found[0].start > BEFORE and len(text) > longest:
        start = found[0].start - BEFORE
    end = min(len(text), start + longest)
    pieces, at, beside = [], start, []
    for mark in found:
        if mark.start < at or mark.end > end:  # a mark behind the cut, or across another
            beside.append(mark)
            continue
        pieces += [escaped(text[at : mark.start]), _marked(text, mark)]
        at = mark.end
    pieces.append(escaped(text[at:end]))
    before = element("span", f"{start:,} characters … ", kind="cut") if start else ""
    behind = len(text) - end
    after = element("span", f" … {behind:,} more characters", kind="cut") if behind else ""
    block = element("p", before + "".join(pieces) + after, kind="passage", dir="auto")
    if not beside:
        return block
    also = ", ".join(_marked(text, mark) for mark in beside)
    return block + element("p", f"also: {also}", kind="beside", dir="auto")


def _marked(text: str, mark: Mark) -> str:
    shown = text[mark.start : mark.end]
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
    label = element("small", isolated(mark.label)) if mark.label else ""
    return element("mark", escaped(shown) + label, kind=mark.kind)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    kind: str = "",
    numbers: Iterable[int] = (),
) -> str:
    """A table in a box of its own that scrolls; cells are HTML, `numbers` the columns aligned
    right."""
    right = set(numbers)

    def cell(tag: str, column: int, content: str) -> str:
        return element(tag, content, kind="number" if column in right else "")

    top = "".join(cell("th", column, name) for column, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td", column, one) for column, one in enumerate(row)) + "</tr>"
        for row in rows
    )
    inner = f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return element("div", element("table", inner, kind=kind), kind="scroll", tabindex="0")


def facts(pairs: Mapping[str, str]) -> str:
    """Names with what they are, as a list of definitions; values are HTML."""
    rows = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{value}</dd></div>" for name, value in pairs.items()
    )
    return element("dl", rows, kind="facts")


def number(value: float | None) -> str:
    """A score as `hfkit evaluate` prints it on a terminal.

    >>> number(0.5), number(1234.5678), number(None)
    ('0.5000', '1234.6', '')
    """
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"
