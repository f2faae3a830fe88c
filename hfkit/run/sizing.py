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
from hfkit.model.facts import WRITER, head_kind
from hfkit.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from hfkit.model.footprint import Alive, Skeleton

MIB = 2**20
# Libraries of hfkit with torch for CPUs, on Linux.
LIBRARIES = 440 * MIB
# What the process takes for a byte that lives in a training, which keeps every freed block. Blocks
# of other sizes do not always fit in: activations leave gaps, and gradients, which are made between
# them anew in each step, leave more.
OF_ACTIVATIONS, OF_GRADIENTS = 1.3, 2.2
COPIED = 3.0  # of gradients: a checkpoint, weights and moments as bytes on their way to the disk
KEPT_SMALL = 1.0  # of a prediction, beside each byte in small blocks; see `footprint.SMALL`
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
    answered = answering(made, task, asked)
    return Sized(
        batch_size,
        asked.length,
        training(made, task, asked, answered),
        prediction(made, answered),
    )


def training(made: Skeleton, task: Task[Any], asked: Asked, answered: Alive) -> Memory:
    """The memory of a training, which also answers the rows that it is evaluated on. Raises
    `InputError` for a model that cannot recompute."""
    from hfkit.model.footprint import step_peak
    from hfkit.train.memory import recomputing

    batch = example(task, asked.rows, asked.length, asked.target_length)
    with recomputing(made.model, asked.recomputed):
        stepped = step_peak(made, batch, scored(task), half=asked.half, unpad=asked.unpad)
    live = max(stepped.most, answered.most)
    gradients = made.learning * 4
    optimizer = round(made.learning * moments(asked.optim, made))
    if made.fused:
        return Memory(
            made.weights, gradients, optimizer, max(live - gradients, 0), 0,
            made.weights + optimizer + live,
        )  # fmt: skip
    activations = max(live - gradients, 0)
    step = OF_ACTIVATIONS * activations + OF_GRADIENTS * gradients
    process = LIBRARIES + round(max(step, COPIED * gradients)) - activations - gradients
    peak = made.weights + gradients + optimizer + activations + process
    return Memory(made.weights, gradients, optimizer, activations, process, peak)


def prediction(made: Skeleton, answered: Alive) -> Memory:
    """The memory of `hfkit predict`, which cuts its batches by tokens."""
    if made.fused:
        return Memory(made.weights, 0, 0, answered.most, 0, made.weights + answered.most)
    process = LIBRARIES + round(KEPT_SMALL * answered.small)
    peak = made.weights + answered.most + process
    return Memory(made.weights, 0, 0, answered.most, process, peak)


def answering(made: Skeleton, task: Task[Any], asked: Asked) -> Alive:
    """Bytes alive beside the weights while batches are answered: on a CPU one in each thread."""
    from hfkit.infer.torch_engine import GPU_TOKENS
    from hfkit.infer.writing_engine import TOKENS
    from hfkit.model.footprint import Alive, answer_peak, writing_peak

    writes = task.auto_class == WRITER
    tokens = GPU_TOKENS if made.fused else TOKENS if writes else BATCH_TOKENS
    batch = example(task, max(1, tokens // asked.length), asked.length, 1)
    batch.pop("labels", None)
    if writes:
        found = writing_peak(made, batch, asked.target_length)
    else:
        found = answer_peak(made, batch, unpad=asked.unpad)
    at_once = 1 if made.fused else asked.threads
    return Alive(at_once * found.most, at_once * found.small)


def head_of(task: Task[Any], described: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a head: none where the model that is `described` has one of this kind, with
    labels of its own; else a few labels, which weigh nothing."""
    kind = head_kind(task.auto_class)
    if not kind.endswith("Classification"):
        return {}
    architecture = str((described.get("architectures") or [""])[0])
    own = architecture.endswith(kind) and bool(described.get("id2label"))
    return {} if own else {"num_labels": 2}


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
