"""Columns of a text and of the one that is to be written for it: a summary, a translation.

Besides columns with usual names, there are translations as the Hub keeps them: one column that
holds a text in each language, ``{"translation": {"en": "…", "de": "…"}}``. Its texts are named like
columns, ``translation.en``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hfkit.data.cells import structured
from hfkit.data.column_names import plain
from hfkit.data.record import Fields

# Names that leave no doubt that the second is a summary of the first.
SUMMARIES = (
    ("document", "summary"),
    ("article", "highlights"),
    ("article", "summary"),
    ("article", "abstract"),
    ("dialogue", "summary"),
    ("text", "summary"),
    ("content", "summary"),
)
PAIRS = (
    *SUMMARIES,
    ("source", "target"),
    ("src", "tgt"),
    ("sourcestring", "targetstring"),
    ("sourcetext", "targettext"),
    ("text", "target"),
    ("input", "output"),
    ("text", "title"),
    ("content", "title"),
    ("article", "title"),
    ("emailbody", "subjectline"),
    ("原文", "译文"),
    ("正文", "标题"),
)
TRANSLATION = "translation"
LABELS = ("label", "labels")  # beside these a pair of texts is something to judge


class Written(NamedTuple):
    """The column of the text, that of the text to write, and why these."""

    text: str
    target: str
    reason: str


def nested_names(sample: Sequence[Fields]) -> list[str]:
    """The texts inside columns of the first records, as names of columns.

    >>> nested_names([{"id": 1, "translation": {"en": "cat", "de": "Katze"}}])
    ['translation.en', 'translation.de']
    """
    found: dict[str, None] = {}
    for fields in sample:
        for name, value in fields.items():
            inside = structured(value)
            if isinstance(inside, dict) and all(isinstance(one, str) for one in inside.values()):
                found.update({f"{name}.{key}": None for key in inside})
    return list(found)


def find_written(names: Iterable[str]) -> list[Written]:
    """The pairs of columns that names show, those of the most telling names first.

    >>> find_written(["fname", "dialogue", "summary"])[0][:2]
    ('dialogue', 'summary')
    >>> find_written(["translation.en", "translation.de"])[0][:2]
    ('translation.en', 'translation.de')
    """
    given = list(names)
    by_plain = {plain(name): name for name in given}
    found = [
        Written(by_plain[first], by_plain[second], "their names")
        for first, second in PAIRS
        if first in by_plain and second in by_plain
    ]
    languages = [name for name in given if plain(name.partition(".")[0]) == TRANSLATION != name]
    if len(languages) >= 2 and not found:
        found = [Written(languages[0], languages[1], "the first two languages")]
    return found


def guess_written(
    names: Sequence[str], sample: Sequence[Fields], label: str | None = None
) -> tuple[str, str] | None:
    """The task that columns are surely for, and the reason; None where they show nothing, or where
    the column of the `label` that is named is another one."""
    by_plain: Mapping[str, str] = {plain(name): name for name in names}
    if label or not any(name in by_plain for name in LABELS):
        for first, second in SUMMARIES:
            if first in by_plain and by_plain.get(second, "") == (label or by_plain.get(second)):
                return "summarization", f"the columns {by_plain[first]!r} and {by_plain[second]!r}"
    languages = [name for name in nested_names(sample) if name.startswith(f"{TRANSLATION}.")]
    if len(languages) >= 2 and label in (None, *languages):
        return "translation", f"the languages in {TRANSLATION!r}"
    return None
