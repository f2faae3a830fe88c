"""Rows that are nearly the same: most pieces of five characters are in both.

A piece is a number, the hash of five neighbouring characters of the evened text, so that no
language's words are needed. Of a text the 32 smallest numbers are kept, its *sketch*: how many of
the 32 smallest of two texts together are in both says how many pieces they share (Broder 1997,
bottom-k). Rows that share one of their first six numbers are compared; where four fifths of the
pieces are the same, a chance of one in 15 000 is left that none of the six is.

Two texts that differ in a word of forty letters are near, in a word of four letters of twenty not.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.data.checks.duplicates import evened
from hfkit.data.checks.findings import Findings
from hfkit.data.checks.places import Places
from hfkit.data.checks.walk import Seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE = 5  # characters
KEPT = 32  # numbers of a sketch
SPARE = 3  # times as many as are kept
TRIED = 6  # of them, by which rows meet
NEAR = 0.8  # share of the pieces of both that both have
SHORTEST = 20  # characters: shorter texts have too few pieces
LONGEST = 20_000  # characters that are looked at
MOST_ROWS = 200_000  # of all parts together
CROWD = 8  # rows with one number: in a larger crowd each is compared with the ones beside it
AT_ONCE = 1 << 18  # characters
EMPTY = 2**64 - 1


class NearDuplicates:
    """The sketches of the rows of all parts, in the order of the parts."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._sketches = array("Q")
        self._waiting: list[str] = []  # texts without a sketch yet: many at once are quicker
        self._size = 0
        self._keys = array("Q")  # rows that are the same or alike are told by `duplicates`
        self._parts: list[tuple[int, str, Places]] = []  # the first row of each part
        self.skipped = 0  # rows beyond `MOST_ROWS`

    def begin(self, part: str) -> None:
        """The rows that follow are of this part."""
        self._parts.append((len(self._keys), part, Places()))

    def see(self, seen: Seen) -> None:
        """Keep the sketch of a row."""
        if len(self._keys) >= MOST_ROWS:
            self.skipped += 1
            return
        text = "\0".join(map(evened, seen.texts))
        self._waiting.append(text)
        self._size += len(text)
        if self._size > AT_ONCE:
            self._settle()
        self._keys.append(hash(text) & EMPTY)
        self._parts[-1][2].append(seen.record)

    def close(self) -> None:
        """Report each row that nearly stands before it, in its part or in an earlier one."""
        import numpy as np

        if not self._keys:
            return
        self._settle()
        sketches = np.frombuffer(self._sketches, dtype=np.uint64).reshape(-1, KEPT)
        keys = np.frombuffer(self._keys, dtype=np.uint64)
        earlier, later = near_pairs(sketches)
        different = keys[earlier] != keys[later]
        met: set[tuple[int, int]] = set()
        pairs = sorted(zip(later[different].tolist(), earlier[different].tolist(), strict=True))
        for number, other in pairs:
            part, place = self._placed(number)
            before, _ = self._placed(other)
            if (number, before) in met:  # a row counts once for each part it nearly stands in
                continue
            met.add((number, before))
            code = "text-near" if part == before else "leak-near"
            reason = "" if part == before else f"in the {self._parts[before][1]} data"
            self._findings.add(code, self._parts[part][1], place, reason=reason)

    def _settle(self) -> None:
        self._sketches.frombytes(sketches_of(self._waiting).tobytes())
        self._waiting, self._size = [], 0

    def _placed(self, number: int) -> tuple[int, str]:
        part = max(n for n, (start, _, _) in enumerate(self._parts) if start <= number)
        start, _, places = self._parts[part]
        return part, places[number - start]


def sketches_of(texts: Sequence[str]) -> NDArray[Any]:
    """The smallest numbers of the pieces of each text, ``[texts, KEPT]`` in uint64, filled up with
    `EMPTY`; a text that is too short has none."""
    import numpy as np

    kept = np.full((len(texts), KEPT), EMPTY, dtype=np.uint64)
    used = [text[:LONGEST] if len(text) >= SHORTEST else "" for text in texts]
    joined = "".join(used).encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(joined, dtype=np.uint32)
    if not len(characters):
        return kept
    numbers = _numbers(characters)
    sizes = np.array([len(text) for text in used])
    owners = np.repeat(np.arange(len(texts)), sizes)
    whole = owners[: len(numbers)] == owners[PIECE - 1 :]  # a piece belongs to one text
    # Of a long text, the smallest are among those below a bound: fewer are to be sorted.
    bounds = np.minimum(SPARE * KEPT / np.maximum(sizes, 1), 1.0) * float(EMPTY)
    small = whole & (numbers <= bounds[owners[: len(numbers)]])
    numbers, owners = numbers[small], owners[: len(numbers)][small]
    order = np.lexsort((numbers, owners))
    numbers, owners = numbers[order], owners[order]
    new = np.r_[True, (np.diff(numbers) != 0) | (np.diff(owners) != 0)]
    numbers, owners = numbers[new], owners[new]
    first = np.searchsorted(owners, np.arange(len(texts)))
    rank = np.arange(len(owners)) - first[owners]
    wanted = rank < KEPT
    kept[owners[wanted], rank[wanted]] = numbers[wanted]
    return kept


def _numbers(characters: NDArray[Any]) -> NDArray[Any]:
    """A number for each run of `PIECE` characters."""
    import numpy as np

    numbers = np.zeros(max(len(characters) - PIECE + 1, 0), dtype=np.uint64)
    for offset in range(PIECE):
        numbers *= np.uint64(0x9E3779B97F4A7C15)
        numbers += characters[offset : offset + len(numbers)]
    numbers ^= numbers >> np.uint64(29)  # the end of splitmix64, which mixes all bits
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(32)
    return numbers


def near_pairs(sketches: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The numbers of rows that are near, the earlier and the later one of each pair, each once."""
    import numpy as np

    rows = len(sketches)
    found = list(_meeting(sketches))
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    pairs = np.unique(np.concatenate(found))
    earlier, later = pairs // rows, pairs % rows
    near = np.concatenate([
        _shared(sketches[earlier[start : start + 10_000]], sketches[later[start : start + 10_000]])
        >= NEAR
        for start in range(0, len(pairs), 10_000)
    ])  # fmt: skip
    return earlier[near], later[near]


def _meeting(sketches: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Pairs of rows with a number in common, as ``earlier * rows + later``."""
    import numpy as np

    rows = len(sketches)
    numbers = sketches[:, :TRIED].ravel()
    owners = np.repeat(np.arange(rows), TRIED)
    filled = numbers != EMPTY
    numbers, owners = numbers[filled], owners[filled]
    # In a crowd, the rows that are most alike stand side by side.
    order = np.lexsort((owners, sketches[owners, 1], sketches[owners, 0], numbers))
    numbers, owners = numbers[order], owners[order]
    for step in range(1, CROWD):
        same = numbers[step:] == numbers[:-step] if step < len(numbers) else np.zeros(0, bool)
        if not same.any():
            return
        first, second = owners[:-step][same], owners[step:][same]
        yield np.unique(np.minimum(first, second) * rows + np.maximum(first, second))


def _shared(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """The share of pieces in both, of the smallest ones of both; ``[pairs]``."""
    import numpy as np

    both = np.sort(np.concatenate([first, second], axis=1), axis=1)
    again = (both[:, 1:] == both[:, :-1]) & (both[:, 1:] != EMPTY)
    new = np.concatenate([np.ones((len(both), 1), bool), ~(both[:, 1:] == both[:, :-1])], axis=1)
    new &= both != EMPTY
    rank = np.cumsum(new, axis=1)  # of each number among the different ones
    counted = np.minimum(rank[:, -1], KEPT)
    in_both = again & (rank[:, 1:] <= counted[:, None])
    share: NDArray[Any] = in_both.sum(axis=1) / np.maximum(counted, 1)
    return share
