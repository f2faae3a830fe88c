"""How long a step takes here: two of them with random weights, of which the second counts."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from hfkit.run.sizing import Asked, example, head_of, scored
from hfkit.tasks.base import Task


def seconds_of(folder: Path, task: Task[Any], asked: Asked, *, device: str) -> dict[str, float]:
    """Seconds of an optimizer step over the micro-batch, and of answering one: ``training_step``,
    ``prediction_batch``. The weights are drawn: numbers do not change how long they take."""
    import torch

    from hfkit.infer.torch_engine import choose_device
    from hfkit.model.arithmetic import keep_memory, set_arithmetic
    from hfkit.model.dropout import quicken
    from hfkit.model.load import drawn
    from hfkit.model.unpad import unpad
    from hfkit.train.optim import make_optimizer

    where = choose_device(device)
    set_arithmetic("auto", asked.threads)
    keep_memory()
    model = drawn(folder, task.auto_class, head_of(task)).to(where)
    quicken(model)
    if asked.unpad and not getattr(model, "writes", False):
        unpad(model, gradients=True)
    optimizer = make_optimizer(model, lr=1e-5, weight_decay=0.0)
    batch = example(task, asked.rows, asked.length, asked.target_length)
    batch = {name: value.to(where) for name, value in batch.items()}
    read = {name: value for name, value in batch.items() if name != "labels"}
    loss = scored(task)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def step() -> None:
        with torch.autocast(where, torch.bfloat16, enabled=asked.half):
            found = loss(model(**read), batch)
        gradients = torch.autograd.grad(found, learning, allow_unused=True)
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad()

    def answer() -> None:
        with torch.inference_mode():
            model(**read)

    model.train()
    training = _second(step, where)
    model.eval()
    return {"training_step": training, "prediction_batch": _second(answer, where)}


def _second(action: Any, device: str) -> float:
    """Seconds of the second time; the first one prepares kernels."""
    import torch

    taken = 0.0
    for _ in range(2):
        start = perf_counter()
        action()
        if device == "cuda":
            torch.cuda.synchronize()
        taken = perf_counter() - start
    return round(taken, 4)
