"""Losses, computed from logits in fp32 and returned as a sum and a count.

A loss never divides. The loop adds the sums and the counts of all micro-batches and processes and
divides once per optimizer step; a mean of means would weigh a row by the company it keeps.

A loss is a function ``(outputs, batch) -> (sum, count)``:

* `outputs` is what the model returns; the losses here read ``outputs.logits``;
* ``batch["labels"]`` are the targets, ``batch["loss_weight"]`` (optional) weighs rows ``[B]`` or
  each label ``[B, C]``: class weights, weights of windows;
* *sum* is the weighted loss, attached to the graph, and *count* the sum of the weights that took
  part. Without a single label both are 0.

A loss that looks across the rows of a step is a `StepLoss`: see pair_losses.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hfkit.errors import InputError, did_you_mean
from hfkit.targets import IGNORED
from hfkit.train.pair_losses import StepLoss, contrastive, cosent, multiple_negatives

Batch = Mapping[str, Tensor]
Loss = Callable[[Any, Batch], tuple[Tensor, Tensor]]


def cross_entropy(outputs: Any, batch: Batch, *, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """One class out of C, for rows or for tokens.

    Logits ``[B, C]`` with labels ``[B]``, or ``[B, T, C]`` with ``[B, T]``; label -100 is ignored.
    `smoothing` spreads that share of the target over all classes (Szegedy et al. 2016).
    """
    logits = outputs.logits.float()
    if "labels" not in batch:
        return _nothing(logits)
    labels = batch["labels"]
    losses = functional.cross_entropy(
        logits.flatten(0, -2),
        labels.flatten(),
        ignore_index=IGNORED,
        reduction="none",
        label_smoothing=smoothing,
    )
    return _weighted_sum(losses.view(labels.shape), labels != IGNORED, batch)


def binary_cross_entropy(outputs: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Each of C labels on its own: logits and labels ``[B, C]``, labels between 0 and 1.

    A label of NaN or -100 is unknown and takes no part.
    """
    logits = outputs.logits.float()
    if "labels" not in batch:
        return _nothing(logits)
    labels = batch["labels"].float()
    known = ~labels.isnan() & (labels != IGNORED)
    losses = functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, labels, 0.0), reduction="none"
    )
    return _weighted_sum(losses, known, batch)


def mean_squared_error(outputs: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """One number per row: logits ``[B, 1]`` with labels ``[B]``, or both ``[B, K]``.

    NaN is an unknown label. -100 is not: it may well be a temperature.
    """
    logits = outputs.logits.float()
    if "labels" not in batch:
        return _nothing(logits)
    labels = batch["labels"].float().view(logits.shape)
    known = ~labels.isnan()
    losses = (logits - torch.where(known, labels, 0.0)) ** 2
    return _weighted_sum(losses, known, batch)


def span(outputs: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Where an answer starts and where it ends, out of the T tokens of a row: the mean of both.

    Reads ``outputs.start_logits`` and ``end_logits`` ``[B, T]`` with ``start_positions`` and
    ``end_positions`` ``[B]``; -100 takes no part. Padding is no place to start: with it in the sum
    a row would score by the length of its neighbours.
    """
    if "start_positions" not in batch:
        return _nothing(outputs.start_logits.float())
    padding = batch["attention_mask"] == 0
    known = batch["start_positions"] != IGNORED
    losses = torch.stack(
        [
            functional.cross_entropy(
                logits.float().masked_fill(padding, float("-inf")),
                batch[name],
                ignore_index=IGNORED,
                reduction="none",
            )
            for logits, name in (
                (outputs.start_logits, "start_positions"),
                (outputs.end_logits, "end_positions"),
            )
        ]
    ).mean(dim=0)
    return _weighted_sum(losses, known, batch)


def pretraining(outputs: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Of each row, the mean over its hidden words plus the loss of its pair, as BERT was trained.

    Reads ``outputs.logits [B, P, V]`` with ``labels [B, P]``, -100 ignored, and
    ``outputs.next_logits [B, 2]`` with ``next_sentence_label [B]``.
    """
    logits, pair_logits = outputs.logits.float(), outputs.next_logits.float()
    if "labels" not in batch:
        return _nothing(pair_logits)
    labels, pair_labels = batch["labels"], batch["next_sentence_label"]
    words = functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(labels.shape)
    hidden = (labels != IGNORED).sum(dim=1).clamp(min=1)
    pairs = functional.cross_entropy(pair_logits, pair_labels, reduction="none")
    losses = words.sum(dim=1) / hidden + pairs
    return losses.sum(), losses.new_tensor(float(len(losses)))


LOSSES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "span": span,
    "pretraining": pretraining,
    "cosent": cosent,
    "contrastive": contrastive,
    "multiple_negatives": multiple_negatives,
}


def find_loss(name: str, options: Mapping[str, Any] | None = None) -> Loss:
    """Return the loss of that name, or the ``module:function`` of a plug-in, with `options` fixed;
    a `StepLoss` stays one.

    Raises `InputError` for a name that leads nowhere.
    """
    from hfkit.registry import load_object

    if name not in LOSSES and ":" not in name:
        raise InputError(f"unknown loss '{name}'", hint=did_you_mean(name, LOSSES))
    found = LOSSES[name] if name in LOSSES else load_object(name)
    if isinstance(found, StepLoss):
        return replace(found, function=partial(found.function, **(options or {})))
    return partial(found, **(options or {}))


def _weighted_sum(losses: Tensor, known: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    weight = batch.get("loss_weight")
    if weight is None:
        weights = known.float()
    else:
        missing = losses.ndim - weight.ndim
        weights = weight.float().view(*weight.shape, *[1] * missing) * known
    return (torch.where(known, losses, 0.0) * weights).sum(), weights.sum()


def _nothing(logits: Tensor) -> tuple[Tensor, Tensor]:
    """0 of 0; attached to the graph, so that backward runs as it does on the other processes."""
    return logits.sum() * 0.0, logits.new_zeros(())
