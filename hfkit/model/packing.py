"""Where the real tokens of a padded batch are, and how to compute attention over them in groups.

    padded  [B, L]        a b . .        packed  [1, T]   a b c d e f g
                          c d e f
                          g . . .

Layers other than attention treat each token alone, so they may as well read one row of real tokens.
Attention is computed per text. Texts of about the same length form a *group* that is stacked into
one array: one large multiplication is faster than many small ones, and a little padding is cheap.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

# A group takes in shorter texts while so large a part of its array is real, or while it is small.
REAL = 0.8
SMALL = 32  # tokens of a text


class Group(NamedTuple):
    """Texts that attention is computed for together, as ``[texts, length]``.

    `places` are the packed tokens that fill the array, row by row; a short text is filled up with
    its last token. `filled` ``[texts, 1, length]`` is true there, None where nothing is filled up.
    """

    texts: int
    length: int
    places: Tensor
    filled: Tensor | None


class Packing:
    """The real tokens of a batch whose `mask` ``[B, L]`` is 0 at padding."""

    def __init__(self, mask: Tensor) -> None:
        real = mask.reshape(-1) != 0
        self.shape = mask.shape
        self.device = mask.device
        self.places = real.nonzero().squeeze(1)
        self.lengths: list[int] = real.view(mask.shape).sum(1).tolist()
        self.full = len(self.places) == len(real)

    def pack(self, padded: Tensor) -> Tensor:
        """``[B, L, …]`` to ``[1, T, …]``."""
        flat = padded.reshape(-1, *padded.shape[2:])
        return (flat if self.full else flat.index_select(0, self.places)).unsqueeze(0)

    def pad(self, packed: Tensor) -> Tensor:
        """``[1, T, …]`` to ``[B, L, …]``, with zeros at padding."""
        flat = packed.squeeze(0)
        rest = flat.shape[1:]
        if not self.full:
            rows = self.shape[0] * self.shape[1]
            flat = flat.new_zeros(rows, *rest).index_copy(0, self.places, flat)
        return flat.view(*self.shape, *rest)

    @cached_property
    def groups(self) -> list[Group]:
        """The groups; together they hold every text that has a token once."""
        return [self._group(texts) for texts in grouped(self.lengths)]

    @cached_property
    def back(self) -> Tensor:
        """For each packed token, its place among the tokens of all groups, one after another."""
        first, start = [0] * len(self.lengths), 0
        for texts in grouped(self.lengths):
            length = self.lengths[texts[0]]
            for number, text in enumerate(texts):
                first[text] = start + number * length
            start += len(texts) * length
        lengths = torch.tensor(self.lengths)
        shift = torch.tensor(first) - (lengths.cumsum(0) - lengths)
        places = torch.arange(len(self.places)) + shift.repeat_interleave(lengths)
        return places.to(self.device)

    @cached_property
    def ends(self) -> Tensor:
        """Where each text ends in the packed row, with a 0 in front: ``[B + 1]``, int32."""
        lengths = torch.tensor([0, *self.lengths])
        return lengths.cumsum(0).to(device=self.device, dtype=torch.int32)

    def _group(self, texts: list[int]) -> Group:
        starts = torch.tensor(self.lengths).cumsum(0) - torch.tensor(self.lengths)
        lengths = torch.tensor([self.lengths[text] for text in texts]).unsqueeze(1)
        longest = int(lengths[0])
        steps = torch.arange(longest).unsqueeze(0)
        places = starts[texts].unsqueeze(1) + torch.minimum(steps, lengths - 1)
        filled = None
        if int(lengths[-1]) < longest:
            filled = (steps >= lengths).unsqueeze(1).to(self.device)
        return Group(len(texts), longest, places.reshape(-1).to(self.device), filled)


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
