"""Rows of one part of the data whose texts stand in another: what was trained on is no test.

Texts count as the same where they are equal character for character, and as alike where they are
equal once case, white space and Unicode form are evened out. Only what is known of the second part
is held in memory, 16 bytes a row; the training data, of which there are more, pass by.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

Texts = tuple[str, ...]


class Overlap(NamedTuple):
    """Rows with the same texts, further rows with texts that are alike, and the first of both."""

    same: int = 0
    alike: int = 0
    first: int = -1


def find_overlap(seen: Iterable[Texts], others: Iterable[Texts]) -> Overlap:
    """Count the rows of `others` whose texts are in `seen`.

    >>> find_overlap([("A  cat",), ("a dog",)], [("a dog",), ("a cat",), ("a bird",)])
    Overlap(same=1, alike=1, first=0)
    """
    keys = [(_key(map(evened, texts)), _key(texts)) for texts in others]
    wanted = {even for even, _ in keys}
    met_even: set[bytes] = set()
    met_exact: set[bytes] = set()
    for texts in seen:
        even = _key(map(evened, texts))
        if even in wanted:
            met_even.add(even)
            met_exact.add(_key(texts))
    same = [exact in met_exact for _, exact in keys]
    alike = [even in met_even for even, _ in keys]
    return (
        Overlap(sum(same), sum(alike) - sum(same), alike.index(True)) if any(alike) else Overlap()
    )


def evened(text: str) -> str:
    """Return a text without what a second copy of it may differ in.

    >>> evened(" Ｔhe\\tCAFE\\u0301 ") == evened("the caf\\u00e9")
    True
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(plain.casefold().split())


def _key(texts: Iterable[str]) -> bytes:
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return blake2b(joined, digest_size=16).digest()
