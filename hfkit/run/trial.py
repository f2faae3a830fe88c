"""How long a step takes here: two of the loop's own with random weights, of which the second
counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hfkit.config import Device, Training
from hfkit.model.gate import read_config
from hfkit.run.sizing import Asked, example, head_of, scored
from hfkit.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

    from hfkit.train.loop import Parts
    from hfkit.train.losses import Loss


def seconds_of(folder: Path, task: Task[Any], asked: Asked, *, device: Device) -> dict[str, float]:
    """Seconds of an optimizer step over the micro-batch, and of answering one: ``training_step``,
    ``prediction_batch``. The weights are drawn: numbers do not change how long they take.

    Raises `InputError` for a device that is not here, and an optimizer that it does not have.
    """
    import torch

    from hfkit.train.loop import Learner

    with TemporaryDirectory(prefix="hfkit-trial-") as scratch:
        parts = _parts(folder, task, asked, device, Path(scratch))
        with Learner(parts, parts.plan(), None) as learner:
            training = [_seconds(lambda: learner.step(0)), _seconds(lambda: learner.step(1))]
    where = parts.accelerator.device
    batch = example(task, asked.rows, asked.length, asked.target_length)
    read = {name: value.to(where) for name, value in batch.items() if name != "labels"}
    parts.model.eval()
    with torch.inference_mode():
        answers = [_seconds(lambda: parts.model(**read)) for _ in range(2)]
    # The first ones prepare kernels.
    return {"training_step": training[1], "prediction_batch": answers[1]}


def _parts(folder: Path, task: Task[Any], asked: Asked, device: Device, scratch: Path) -> Parts:
    """A training of two steps, each over a whole micro-batch, of which nothing is kept."""
    import numpy as np

    from hfkit.model.arithmetic import keep_memory, set_arithmetic
    from hfkit.model.dropout import quicken
    from hfkit.model.load import drawn
    from hfkit.model.unpad import unpad
    from hfkit.train.checkpoint import Checkpoints
    from hfkit.train.launch import make_accelerator
    from hfkit.train.loop import Parts

    accelerator = make_accelerator(device, "bf16" if asked.half else "fp32", 1)
    set_arithmetic("auto", asked.threads)
    keep_memory()
    head = head_of(task, read_config(folder))
    model = drawn(folder, task.auto_class, head).to(accelerator.device)
    quicken(model)
    if asked.unpad and not getattr(model, "writes", False):
        unpad(model, gradients=True)
    batch = example(task, asked.rows, asked.length, asked.target_length)
    arrays = {name: value.numpy() for name, value in batch.items()}
    settings = Training(
        lr=1e-5,
        batch_size=asked.rows,
        max_steps=2,
        optim=asked.optim,
        gradient_checkpointing=asked.recomputed,
    )
    return Parts(
        model=model,
        settings=settings,
        accelerator=accelerator,
        lengths=np.full(2 * asked.rows, asked.length),
        make_batch=lambda rows, number: arrays,
        loss=_summed(scored(task)),
        checkpoints=Checkpoints(scratch),
    )


def _summed(loss: Callable[[Any, Mapping[str, Tensor]], Tensor]) -> Loss:
    """The same as a sum over rows, as the loop wants it."""
    import torch

    def found(outputs: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        return loss(outputs, batch), torch.tensor(float(len(batch["input_ids"])))

    return found


def _seconds(action: Callable[[], Any]) -> float:
    import torch

    start = perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return round(perf_counter() - start, 4)
