"""Rows of one part that stand in another: all that were planted are found, and no others."""

from __future__ import annotations

import unicodedata
from random import Random

from hfkit.data.checks.duplicates import KnownTexts, find_overlap


def disguised(text: str, number: int) -> str:
    """The same text as another hand may have typed it."""
    ways = (
        text.upper,
        lambda: f"  {text}\t",
        lambda: text.replace(" ", "\u3000"),
        lambda: unicodedata.normalize("NFD", text),
        lambda: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in text),
    )
    changed = ways[number % len(ways)]()
    return changed if changed != text else f" {text}"  # it has nothing to decompose


def known_texts(texts: list[str]) -> KnownTexts:
    return KnownTexts.of((text,) for text in texts)


def test_one_in_a_hundred_is_planted_and_all_are_found():
    random = Random(7)
    words = ["regen", "sonne", "café", "straße", "wind", "天气", "很好", "küche", "oven", "bread"]
    texts = list({" ".join(random.choices(words, k=9)) for _ in range(6000)})
    train, others = texts[:4000], texts[4000:5900]
    copied = random.sample(train, 20)
    same, alike = copied[:10], [disguised(text, n) for n, text in enumerate(copied[10:])]
    assert not set(alike) & set(train)
    mixed = [*others[:50], *same, *others[50:], *alike]
    known = known_texts(train)
    found = find_overlap(known, known_texts(mixed))
    assert (found.same, found.alike, found.first) == (10, 10, 50)
    assert find_overlap(known, known_texts(others)) == (0, 0, -1)


def test_texts_of_a_pair_are_no_single_text():
    others = KnownTexts.of([("a", "b c"), ("a b c",), ("A b", "c")])
    assert find_overlap(KnownTexts.of([("a b", "c")]), others) == (0, 1, 2)
