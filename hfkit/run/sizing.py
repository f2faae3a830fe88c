"""How much memory a training and a prediction take, from the shape of a model alone.

    tensors that live      found by computing with shapes (model/footprint.py)
    the process            what libraries and their buffers take, measured once on Linux

The peak of a process on a CPU is more than the tensors that live: between them lies memory that the
allocator keeps, as freed blocks are kept for the next step. How much more was measured over the
shapes of benchmarks/memory.py; the table in docs/models.md says how near the sums come. On a GPU
only tensors count, and nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hfkit.config import Optimizer
from hfkit.infer.predictor import BATCH_TOKENS
from hfkit.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from hfkit.model.footprint import Skeleton

MIB = 2**20
# Libraries of a training and of a prediction, on Linux with torch for CPUs.
OF_TRAINING, OF_PREDICTION = 505 * MIB, 436 * MIB
KEPT = 1.45  # bytes of the process for each byte that a step has alive beside the weights
LOADED = 1.46  # of a model that is opened: its weights, and pages of their file
COPIED = 2.8  # a checkpoint: weights and moments, most of them as bytes on their way to the disk
MOMENTS = {"adamw": 8.0, "adamw8bit": 2 + 8 / 256}  # bytes for each number that learns


@dataclass(frozen=True)
class Memory:
    """Bytes of a training or of a prediction, by what they are for, and the most at once."""

    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    process_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Sized:
    """What one size of batch takes."""

    batch_size: int
    max_length: int
    training: Memory
    prediction: Memory
    seconds: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Asked:
    """How the training is to be: rows and tokens at once, and what is not kept."""

    rows: int
    length: int
    target_length: int
    half: bool
    optim: Optimizer
    recomputed: bool
    unpad: bool
    threads: int


def sized(made: Skeleton, task: Task[Any], asked: Asked, *, batch_size: int) -> Sized:
    """What a batch takes in training and in prediction."""
    return Sized(
        batch_size, asked.length, training(made, task, asked), prediction(made, task, asked)
    )


def training(made: Skeleton, task: Task[Any], asked: Asked) -> Memory:
    """The memory of a training. Raises `InputError` for a model that cannot recompute."""
    from hfkit.model.footprint import step_peak
    from hfkit.train.memory import recomputing

    batch = example(task, asked.rows, asked.length, asked.target_length)
    with recomputing(made.model, asked.recomputed):
        live = step_peak(made, batch, scored(task), half=asked.half, unpad=asked.unpad)
    gradients = made.learning * 4
    optimizer = round(made.learning * moments(asked.optim, made))
    if made.fused:
        return Memory(
            made.weights, gradients, optimizer, max(live - gradients, 0), 0,
            made.weights + optimizer + live,
        )  # fmt: skip
    beside = max(KEPT * live, COPIED * gradients)
    peak = OF_TRAINING + made.weights + optimizer + beside
    return Memory(
        made.weights, gradients, optimizer, max(live - gradients, 0),
        round(OF_TRAINING + beside - live), round(peak),
    )  # fmt: skip


def prediction(made: Skeleton, task: Task[Any], asked: Asked) -> Memory:
    """The memory of `hfkit predict`, which cuts its batches by tokens."""
    from hfkit.infer.torch_engine import GPU_TOKENS
    from hfkit.model.footprint import answer_peak

    tokens, at_once = (GPU_TOKENS, 1) if made.fused else (BATCH_TOKENS, asked.threads)
    rows = max(1, tokens // asked.length)
    batch = example(task, rows, asked.length, 1)
    batch.pop("labels", None)
    live = answer_peak(made, batch, unpad=asked.unpad) * at_once
    if made.fused:
        return Memory(made.weights, 0, 0, live, 0, made.weights + live)
    peak = OF_PREDICTION + LOADED * made.weights + live
    return Memory(made.weights, 0, 0, live, round(peak - made.weights - live), round(peak))


def head_of(task: Task[Any]) -> dict[str, Any]:
    """A head for configurations of a task that has seen no labels: a few of them weigh nothing."""
    return {"num_labels": 2} if task.auto_class.endswith("Classification") else {}


def moments(optim: str, made: Skeleton) -> float:
    """Bytes that an optimizer keeps for each number that learns."""
    width = int(getattr(made.model.config, "hidden_size", 768))
    return MOMENTS.get(optim, 8 / width)


def example(task: Task[Any], rows: int, length: int, target_length: int) -> dict[str, Tensor]:
    """A batch of a task whose rows are all full; what stands in it does not matter."""
    import torch

    def ones(*shape: int) -> Tensor:
        return torch.ones(shape, dtype=torch.long)

    batch = {"input_ids": ones(rows, length), "attention_mask": ones(rows, length)}
    kind = task.auto_class.rpartition(":")[2]
    if kind == "Writer":
        batch |= {"decoder_input_ids": ones(rows, target_length),
                  "labels": ones(rows, target_length)}  # fmt: skip
    elif kind == "Generator":
        batch |= {"labels": ones(rows, length)}
    elif kind in ("MaskedWords", "Pretraining"):
        hidden = max(1, round(0.15 * length))
        batch |= {"positions": ones(rows, hidden), "labels": ones(rows, hidden)}
    elif kind.endswith("TokenClassification"):
        batch |= {"labels": ones(rows, length)}
    return batch


def scored(task: Task[Any]) -> Any:
    """A loss of the size that the task's has."""
    from torch.nn import functional

    def loss(outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        labels = batch.get("labels")
        if labels is not None:
            logits = outputs.logits.float()
            return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())
        first: Tensor = next(value for value in outputs.values() if value.is_floating_point())
        return first.float().square().sum()

    return loss
