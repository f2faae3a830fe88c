"""Where the real tokens of a padded batch are, and how to compute attention over them in groups.

    padded  [B, L]        a b . .        packed  [1, T]   a b c d e f g
                          c d e f
                          g . . .

Layers other than attention treat each token alone, so they may as well read one row of real tokens.
Attention is computed per text. Texts of about the same length form a *group* that is stacked into
one array: one large multiplication is faster than many small ones, and a little padding is cheap.

oneDNN makes a kernel for each shape it meets, which takes as long as using it once. So on a CPU
the packed row is filled up to a multiple of 16 tokens, with copies of its last token that nothing
reads, and the lengths of groups can be rounded up too. Where the linear layers go through oneDNN a
packed row is *coarse*: it has one of eight lengths between a power of two and the next. (A kernel
for them takes up to a megabyte; making one takes 1 ms in fp32 and 4 to 14 in bf16.)
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

# A group takes in shorter texts while so large a part of its array is real, or while it is small.
REAL = 0.8
SMALL = 32  # tokens of a text
LONG = 128  # tokens of a text
EVEN = 16  # tokens: a packed row on a CPU has a multiple of them


class Group(NamedTuple):
    """Texts that attention is computed for together, as ``[texts, length]``.

    `places` are the packed tokens that fill the array, row by row; a short text is filled up with
    its last token. `filled` ``[texts, 1, length]`` is true there, None where nothing is filled up.
    No text is shorter than `shortest`.
    """

    texts: int
    length: int
    shortest: int
    places: Tensor
    filled: Tensor | None


class Packing:
    """The real tokens of a batch whose `mask` ``[B, L]`` is 0 at padding."""

    def __init__(self, mask: Tensor, *, coarse: bool = False) -> None:
        real = mask.cpu().reshape(-1) != 0  # at once: a GPU is waited for once
        self.shape = mask.shape
        self.device = mask.device
        self.lengths: list[int] = real.view(mask.shape).sum(1).tolist()
        self.places = real.nonzero().squeeze(1).to(mask.device)
        count = len(self.places)
        self.spare = spare(count, coarse) if mask.device.type == "cpu" else 0
        self.full = count == len(real) and not self.spare
        self._filled = _with_spare(self.places, self.spare)
        self._groups: dict[bool, list[Group]] = {}  # by whether lengths are rounded up
        self._back: dict[bool, Tensor] = {}
        self._rows: dict[tuple[int, bool], list[Tensor]] = {}
        self._rows_back: dict[tuple[int, bool], Tensor] = {}

    def pack(self, padded: Tensor) -> Tensor:
        """``[B, L, …]`` to ``[1, T, …]``, where T counts the spare tokens in."""
        flat = padded.reshape(-1, *padded.shape[2:])
        return (flat if self.full else flat.index_select(0, self._filled)).unsqueeze(0)

    def pad(self, packed: Tensor) -> Tensor:
        """``[1, T, …]`` to ``[B, L, …]``, with zeros at padding."""
        flat = packed.squeeze(0)
        rest = flat.shape[1:]
        if not self.full:
            rows = self.shape[0] * self.shape[1]
            real = flat[: len(self.places)]
            flat = flat.new_zeros(rows, *rest).index_copy(0, self.places, real)
        return flat.view(*self.shape, *rest)

    def groups(self, even: bool = False) -> list[Group]:
        """The groups; together they hold every text that has a token once. Where `even`, lengths of
        long texts are rounded up."""
        if even not in self._groups:
            found = []
            for texts in grouped(self.lengths):
                longest = self.lengths[texts[0]]
                longest += -longest % EVEN if even and longest > LONG else 0
                found.append(self._group(texts, longest))
            self._groups[even] = found
        return self._groups[even]

    def back(self, even: bool = False) -> Tensor:
        """For each packed token, its place among the tokens of all groups, one after another."""
        if even not in self._back:
            first, start = [0] * len(self.lengths), 0
            for texts, group in zip(grouped(self.lengths), self.groups(even), strict=True):
                for number, text in enumerate(texts):
                    first[text] = start + number * group.length
                start += group.texts * group.length
            lengths = torch.tensor(self.lengths)
            shift = torch.tensor(first) - (lengths.cumsum(0) - lengths)
            places = torch.arange(len(self.places)) + shift.repeat_interleave(lengths)
            self._back[even] = _with_spare(places, self.spare).to(self.device)
        return self._back[even]

    def rows(self, heads: int, even: bool = False) -> list[Tensor]:
        """For each group, which rows of ``[T · heads, D]`` its tokens are: those of the first head,
        then those of the next."""
        if (heads, even) not in self._rows:
            each = torch.arange(heads, device=self.device).unsqueeze(1)
            self._rows[heads, even] = [
                (group.places * heads + each).reshape(-1) for group in self.groups(even)
            ]
        return self._rows[heads, even]

    def rows_back(self, heads: int, even: bool = False) -> Tensor:
        """For each token and head, its row among those of all groups, one after another."""
        if (heads, even) not in self._rows_back:
            sizes = [group.texts * group.length for group in self.groups(even)]
            first = [sum(sizes[:number]) for number in range(len(sizes))]
            # A group's rows begin at first · heads, and each of its heads has size of them.
            size, start = (
                torch.cat([torch.full((n,), one) for n, one in zip(sizes, values, strict=True)])
                for values in (sizes, first)
            )
            places = self.back(even)
            size, start = size.to(self.device)[places], start.to(self.device)[places]
            each = torch.arange(heads, device=self.device).unsqueeze(0)
            found = (places + start * (heads - 1)).unsqueeze(1) + size.unsqueeze(1) * each
            self._rows_back[heads, even] = found.reshape(-1)
        return self._rows_back[heads, even]

    @cached_property
    def ends(self) -> Tensor:
        """Where each text ends in the packed row, with a 0 in front: ``[B + 1]``, int32."""
        lengths = torch.tensor([0, *self.lengths])
        return lengths.cumsum(0).to(device=self.device, dtype=torch.int32)

    def _group(self, texts: list[int], longest: int) -> Group:
        starts = torch.tensor(self.lengths).cumsum(0) - torch.tensor(self.lengths)
        lengths = torch.tensor([self.lengths[text] for text in texts]).unsqueeze(1)
        steps = torch.arange(longest).unsqueeze(0)
        places = starts[texts].unsqueeze(1) + torch.minimum(steps, lengths - 1)
        filled, shortest = None, self.lengths[texts[-1]]
        if shortest < longest:
            filled = (steps >= lengths).unsqueeze(1).to(self.device)
        return Group(len(texts), longest, shortest, places.reshape(-1).to(self.device), filled)


def spare(count: int, coarse: bool) -> int:
    """How many tokens a row of `count` is filled up with.

    >>> [count + spare(count, False) for count in (3, 250, 260, 1000)]
    [16, 256, 272, 1008]
    >>> [count + spare(count, True) for count in (3, 250, 260, 1000)]
    [16, 256, 288, 1024]
    """
    step = max(EVEN, 2 ** (max(count - 1, 1).bit_length() - 4)) if coarse else EVEN
    return -count % step


def _with_spare(places: Tensor, spare: int) -> Tensor:
    """The places with the last one some more times."""
    return torch.cat([places, places[-1:].expand(spare)]) if spare else places


def grouped(lengths: list[int]) -> list[list[int]]:
    """Put texts of about the same length together, the longest first; empty ones are left out.

    >>> grouped([40, 100, 39, 90, 0])
    [[1, 3], [0, 2]]
    """
    order = sorted((text for text, size in enumerate(lengths) if size), key=lambda t: -lengths[t])
    groups: list[list[int]] = []
    real = 0
    for text in order:
        longest = lengths[groups[-1][0]] if groups else 0
        filled = (real + lengths[text]) / (longest * (len(groups[-1]) + 1)) if groups else 0
        if groups and (filled >= REAL or longest <= SMALL):
            groups[-1].append(text)
            real += lengths[text]
        else:
            groups.append([text])
            real = lengths[text]
    return groups
