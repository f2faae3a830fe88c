"""Documents cut into what a model reads in pre-training: joined rows, or pairs of texts.

    rows ─ joined and cut ─▶ rows of one length                               hidden words
    documents ─ cut ─▶ segments ─ two by two ─▶ pairs ─ half swap ─▶ pairs    next sentences

Half of the pairs swap their seconds with pairs of other documents. Because they are swapped and
none is drawn anew, every text is there exactly once, whether it stands behind its own beginning or
another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Segment(NamedTuple):
    """Tokens that stand together, and the number of the row that the first of them is from."""

    tokens: list[int]
    row: int


class Pair(NamedTuple):
    """Two segments; `follows`: the second one stands behind the first in the same document."""

    first: Segment
    second: Segment
    follows: bool


def joined(units: Sequence[Segment], end: list[int], room: int) -> Iterator[Segment]:
    """Rows one behind the other, `end` behind each, cut after every `room` tokens. Nothing is
    left out; the last part may be short. A part has no `end` of its own at its end.

    >>> [part.tokens for part in joined([Segment([1, 2], 0), Segment([3], 1)], [0], 4)]
    [[1, 2, 0, 3]]
    """
    stream = [(token, row) for tokens, row in units for token in (*tokens, *end)]
    for start in range(0, len(stream), room):
        part = stream[start : start + room]
        tokens = [token for token, _ in part]
        if end and tokens[-1:] == end[-1:]:
            del tokens[-1]
        if tokens:
            yield Segment(tokens, part[0][1])


def segments(units: Sequence[Segment], longest: int) -> list[Segment]:
    """Cut a document, the tokens of its rows, into an even number of segments of at most `longest`,
    which is 2 or more.

    Rows are put together as long as they fit, and cut where they are too long. A document of a
    single token has no two parts, and none come back.

    >>> [part.tokens for part in segments([Segment([1, 2], 0), Segment([3], 1)], 8)]
    [[1, 2], [3]]
    >>> [part.tokens for part in segments([Segment([1, 2, 3, 4, 5], 0)], 8)]
    [[1, 2], [3, 4, 5]]
    """
    pieces = [
        Segment(tokens[start : start + longest], row)
        for tokens, row in units
        for start in range(0, len(tokens), longest)
    ]
    groups: list[list[Segment]] = []
    size = longest + 1
    for piece in pieces:
        if size + len(piece.tokens) > longest:
            groups.append([])
            size = 0
        groups[-1].append(piece)
        size += len(piece.tokens)
    if len(groups) % 2 and not _divide(groups):
        return []
    return [Segment([t for p in group for t in p.tokens], group[0].row) for group in groups]


def _divide(groups: list[list[Segment]]) -> bool:
    """Make two of the group with the most tokens, between two of its rows or else inside the only
    one; False where every group is a single token."""
    sizes = [sum(len(piece.tokens) for piece in group) for group in groups]
    number = max(range(len(groups)), key=lambda one: sizes[one])
    group, size = groups[number], sizes[number]
    if size < 2:
        return False
    if len(group) == 1:
        (tokens, row), middle = group[0], size // 2
        halves = [[Segment(tokens[:middle], row)], [Segment(tokens[middle:], row)]]
    else:
        before, least, place = 0, size, 1
        for border, piece in enumerate(group[:-1], start=1):
            before += len(piece.tokens)
            if abs(2 * before - size) < least:
                least, place = abs(2 * before - size), border
        halves = [group[:place], group[place:]]
    groups[number : number + 1] = halves
    return True


def pairs_of(documents: Sequence[Sequence[Segment]], seed: Sequence[int]) -> list[Pair]:
    """Pair the segments of each document two by two, then let half of the pairs swap their seconds
    with pairs of other documents.

    Fewer are swapped where one document has most of them. `seed` alone decides which.
    """
    import numpy as np

    pairs = [
        (number, first, second)
        for number, parts in enumerate(documents)
        for first, second in zip(parts[::2], parts[1::2], strict=True)
    ]
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(seed))))
    order = generator.permutation(len(pairs)).tolist()
    swapped = _swappable(order, [document for document, _, _ in pairs])
    shift = max(Counter(pairs[place][0] for place in swapped).values(), default=0)
    seconds = {
        place: pairs[swapped[(number + shift) % len(swapped)]][2]
        for number, place in enumerate(swapped)
    }
    return [
        Pair(first, seconds.get(place, second), place not in seconds)
        for place, (_, first, second) in enumerate(pairs)
    ]


def _swappable(order: Sequence[int], document: Sequence[int]) -> list[int]:
    """Half of the places in `order`, those of one document together and none with more than half
    of them: moved on by as many places as the largest has, each meets another document."""
    wanted = len(order) // 2
    found: dict[int, list[int]] = {}
    count = 0
    for place in order:
        of_document = found.setdefault(document[place], [])
        if count < wanted and len(of_document) < wanted // 2:
            of_document.append(place)
            count += 1
    largest = max(found.values(), key=len, default=[])
    del largest[max(count - len(largest), 0) :]
    return [place for places in found.values() for place in places]
