"""Losses that compare texts by their vectors, over all examples of a step at once.

    cosent              pairs in the order of their labels
    contrastive         0/1: pairs on the right side of a margin
    multiple_negatives  the right text among all texts of the step

What one example costs depends on the others, so these see the whole step: ``embeddings [N, D]``, in
fp32, of all encoded rows of all micro-batches and processes, with these arrays beside them ``[N]``:

    example   which example a row belongs to
    side      0 the first text, 1 the second, 2 a negative
    share     weight of a window within its text: its tokens
    labels    of the example; NaN where there is none
    text_key  a number that equal texts share

A long text has several rows, its windows; their vectors are averaged, by their tokens, to one
vector of the text before anything is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hfkit.errors import InputError

Batch = Mapping[str, Tensor]
SIDES = 3  # first text, second text, negative


@dataclass(frozen=True)
class StepLoss:
    """A loss that looks across a step; a plug-in makes one of its function as those below do.

    `function` takes ``(outputs, batch)`` of a whole step, ``outputs.embeddings`` among them, and
    returns (sum, count) as every loss does. `distinct`: examples with a text in common should not
    share a step.
    """

    function: Callable[..., tuple[Tensor, Tensor]]
    distinct: bool = False

    def __call__(self, outputs: Any, batch: Batch, **options: Any) -> tuple[Tensor, Tensor]:
        return self.function(outputs, batch, **options)


@dataclass(frozen=True)
class Texts:
    """The texts of E examples: ``vectors [E, 3, D]``, and ``present``, ``keys`` ``[E, 3]`` by side;
    ``labels [E]``."""

    vectors: Tensor
    present: Tensor
    keys: Tensor
    labels: Tensor

    @property
    def paired(self) -> Tensor:
        """Which examples have a first and a second text."""
        return self.present[:, 0] & self.present[:, 1]

    def cosines(self, kept: Tensor) -> Tensor:
        """The cosine of first and second text, of the examples `kept`."""
        first, second = unit(self.vectors[kept, 0]), unit(self.vectors[kept, 1])
        return (first * second).sum(dim=-1)


def texts_of(embeddings: Tensor, batch: Batch) -> Texts:
    """Average the windows of each text and sort the texts by example and side."""
    numbers, owner = torch.unique(batch["example"], return_inverse=True)
    slot = owner * SIDES + batch["side"]
    size = len(numbers) * SIDES
    share = batch["share"].float() if "share" in batch else torch.ones_like(embeddings[:, 0])
    total = share.new_zeros(size).index_add(0, slot, share)
    summed = embeddings.new_zeros(size, embeddings.shape[1]).index_add(
        0, slot, embeddings * share.unsqueeze(-1)
    )
    vectors = summed / torch.where(total > 0, total, 1.0).unsqueeze(-1)
    labels = share.new_full((len(numbers),), torch.nan)
    if "labels" in batch:
        labels = labels.index_copy(0, owner, batch["labels"].float())
    keys = torch.arange(
        -size, 0, device=slot.device
    )  # where there are none, no two texts are equal
    if "text_key" in batch:
        keys = keys.index_copy(0, slot, batch["text_key"].long())
    shape = (len(numbers), SIDES)
    return Texts(vectors.view(*shape, -1), (total > 0).view(shape), keys.view(shape), labels)


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length 1."""
    return functional.normalize(vectors, dim=-1)


def _over_dimensions(
    outputs: Any,
    batch: Batch,
    dimensions: Sequence[int],
    loss: Callable[[Texts], tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:
    """The mean of a loss over the whole vectors and their first N numbers, for each N of
    `dimensions` (Matryoshka: Kusupati et al. 2022, arXiv 2205.13147)."""
    embeddings = outputs.embeddings.float()
    width = embeddings.shape[1]
    for wanted in dimensions:
        if not 0 < wanted <= width:
            raise InputError(
                f"the vectors have {width} numbers, so their first {wanted} cannot be trained",
                place="--dimensions",
            )
    parts = [loss(texts_of(embeddings[:, :n], batch)) for n in sorted({width, *dimensions})]
    return torch.stack([part for part, _ in parts]).mean(dim=0), parts[0][1]


def _cosent(
    outputs: Any, batch: Batch, *, scale: float = 20.0, dimensions: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """CoSENT: each pair of texts should be closer than every pair with a lower label (Huang et al.
    2024, "CoSENT: Consistent Sentence Embedding via Similarity Ranking").

        log(1 + sum over i, j with y_i > y_j of exp(scale (cos_j - cos_i)))

    Only the order of the labels counts, not their scale; equal labels say nothing. The loss of a
    step is one number, so its count is 1, and 0 where no label is above another.
    """

    def loss(texts: Texts) -> tuple[Tensor, Tensor]:
        kept = texts.paired & ~texts.labels.isnan()
        scores, labels = texts.cosines(kept) * scale, texts.labels[kept]
        higher = labels.unsqueeze(1) > labels.unsqueeze(0)  # [i, j]: y_i > y_j
        wrong = (scores.unsqueeze(0) - scores.unsqueeze(1))[higher]
        value = torch.cat([scores.new_zeros(1), wrong]).logsumexp(dim=0)
        return value, higher.any().float()

    return _over_dimensions(outputs, batch, dimensions, loss)


def _contrastive(
    outputs: Any, batch: Batch, *, margin: float = 0.5, dimensions: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Online contrastive loss over the hard pairs of the step (Hadsell et al. 2006; the choice of
    pairs is that of sentence-transformers).

    With d = 1 - cosine: pairs labelled 1 that are further apart than the closest pair labelled 0
    cost d²; pairs labelled 0 that are closer than the furthest pair labelled 1 cost
    max(0, margin - d)². Where a step has one label only, hard means beyond the mean. The count is
    the number of pairs, hard or not.
    """

    def loss(texts: Texts) -> tuple[Tensor, Tensor]:
        kept = texts.paired & ((texts.labels == 0) | (texts.labels == 1))
        distances, labels = 1.0 - texts.cosines(kept), texts.labels[kept]
        positives, negatives = distances[labels == 1], distances[labels == 0]
        far = positives.max() if len(positives) else distances.mean()
        close = negatives.min() if len(negatives) else distances.mean()
        near = functional.relu(margin - negatives[negatives < far])
        value = (positives[positives > close] ** 2).sum() + (near**2).sum()
        return value, kept.sum().float()

    return _over_dimensions(outputs, batch, dimensions, loss)


def _multiple_negatives(
    outputs: Any, batch: Batch, *, scale: float = 20.0, dimensions: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Multiple negatives ranking, or InfoNCE (van den Oord et al. 2018, arXiv 1807.03748): each
    first text should find its second one among all second texts and negatives of the step.

        cross entropy of scale x cosine(first_i, candidates), the right one being second_i

    A candidate that is the same text as the right one, or as the first text itself, would be a
    wrong wrong answer and is left out. Pairs labelled 0 ask nothing; their second texts are
    candidates all the same. The count is the number of first texts that ask.
    """

    def loss(texts: Texts) -> tuple[Tensor, Tensor]:
        asking = texts.paired & ~(texts.labels == 0)
        queries = unit(texts.vectors[asking, 0])
        given = torch.cat([texts.present[:, 1], texts.present[:, 2]])
        candidates = unit(torch.cat([texts.vectors[:, 1], texts.vectors[:, 2]])[given])
        keys = torch.cat([texts.keys[:, 1], texts.keys[:, 2]])[given]
        place = torch.cumsum(texts.present[:, 1].long(), dim=0) - 1  # of second_i among candidates
        right = place[asking]
        same = (keys == texts.keys[asking, 1, None]) | (keys == texts.keys[asking, 0, None])
        same[torch.arange(len(right), device=right.device), right] = False
        logits = (scale * queries @ candidates.T).masked_fill(same, -torch.inf)
        value = functional.cross_entropy(logits, right, reduction="sum")
        return value, asking.sum().float()

    return _over_dimensions(outputs, batch, dimensions, loss)


cosent = StepLoss(_cosent)
contrastive = StepLoss(_contrastive)
multiple_negatives = StepLoss(_multiple_negatives, distinct=True)
