"""The training loop: one generator for every task.

    for event in train(parts, resume):
        ...                              # Step, Evaluation, Checkpoint, and at last Stopped

It neither prints nor parses, and knows no task; whoever takes the events reports them. The fact to
know: **the batch is the unit, not what fits into memory.** The loss of a step is the sum over all
its rows, in all micro-batches of all processes, divided once by the sum of their weights. So 1 × 16
rows, 4 × 4 rows and 2 processes × 8 rows give the same weights, to rounding:

    seed dropout by (seed, step, rank)                     so no random state is ever saved
    for each micro-batch of this process's share:
        loss sum, count = loss(model(inputs), batch)
        backward(loss sum)                                 gradients meet at the last one only
    add up loss sums, counts and wishes to stop            over the processes
    gradients × 1 / count, clipped; AdamW

A loss that looks across the rows (`StepLoss`) is computed once, from the embeddings of all of them:
across.py has the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from hfkit.config import Training
from hfkit.errors import DivergedError, ResourceError
from hfkit.targets import TARGETS
from hfkit.train.across import check_across, loss_and_gradient, together
from hfkit.train.batches import Rows, share
from hfkit.train.checkpoint import Checkpoints, Progress, Saved, moments_of
from hfkit.train.losses import Loss
from hfkit.train.memory import Room, average_gradients, recomputing
from hfkit.train.optim import make_optimizer, scale, set_lr
from hfkit.train.pair_losses import StepLoss
from hfkit.train.plan import Plan, seed_dropout
from hfkit.train.sharding import Shards, norm_of
from hfkit.train.stopping import Ending, Reason, Stop, decided
from hfkit.train.tables import Tables, gathered


@dataclass(frozen=True)
class Step:
    """One optimizer step is done. `epoch` counts passes, 1.5 is half-way through the second;
    `grad_norm` is the norm before clipping, `rows` counts examples, `tokens` the real tokens
    without padding."""

    step: int
    epoch: float
    loss: float
    lr: float
    grad_norm: float
    rows: int
    tokens: int


@dataclass(frozen=True)
class Evaluation:
    """The weights after `step` were scored; `best`: better than all before."""

    step: int
    epoch: float
    scores: dict[str, float]
    best: bool


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint is sealed."""

    step: int
    path: Path


@dataclass(frozen=True)
class Stopped:
    """The last event. After "max_time" and "signal" the same command goes on from here."""

    step: int
    reason: Reason
    signum: int | None
    best_step: int | None
    best_score: float | None


Event = Step | Evaluation | Checkpoint | Stopped


@dataclass(frozen=True)
class Parts:
    """What the loop is made of; each is simple to replace in a test.

    `make_batch` turns row numbers, in a pass over the data, into arrays ``[B, ...]``; `lengths`
    holds each row's tokens.
    `groups` numbers the example that each row belongs to (None: rows are examples), `keys` the text
    it is of: examples with a text in common are kept out of one step, as far as possible.
    `evaluate` is called on every process and must return the same scores on each; `best` names
    the score that counts, with a minus in front where lower is better.
    """

    model: torch.nn.Module
    settings: Training
    accelerator: Accelerator
    lengths: NDArray[np.integer[Any]]
    make_batch: Callable[[list[int], int], Mapping[str, NDArray[Any]]]
    loss: Loss
    checkpoints: Checkpoints
    evaluate: Callable[[], dict[str, float]] | None = None
    best: str = "-loss"
    stop: Stop = field(default_factory=Stop)
    groups: NDArray[np.integer[Any]] | None = None
    keys: NDArray[np.integer[Any]] | None = None

    def plan(self) -> Plan:
        """The steps that these parts make."""
        best = self.best if self.evaluate else None
        return Plan(self.settings, self.lengths, best, self.groups, self.keys)


def train(parts: Parts, resume: Saved | None = None) -> Iterator[Event]:
    """Fit ``parts.model`` in place, from the start or from a checkpoint, and tell what happens.

    Raises `DivergedError` as soon as a loss or gradient is not finite, and `ResourceError` when
    disk or memory run out; the checkpoints written before stand.
    """
    plan = parts.plan()
    progress = resume.progress if resume else Progress()
    sealed = progress.step
    ending: Ending | None = None
    with Learner(parts, plan, resume) as learner:
        while True:
            step = progress.step
            if not ending and plan.evaluates(progress):
                scores = learner.evaluate(step)
                progress = plan.judge(progress, scores)
                yield Evaluation(step, plan.epoch(step), scores, best=progress.best_step == step)
            ending = ending or plan.ending(progress)
            if step != sealed and (ending or plan.saves(step)):
                yield Checkpoint(step, learner.save(progress))
                sealed = step
            if ending:
                break
            done, ending = learner.step(step)
            progress = replace(progress, step=done.step)
            yield done
    yield Stopped(step, *ending, progress.best_step, progress.best_score)


class Learner:
    """The model and what changes it: optimizer, precision, processes.

    As a context manager it hands the model back as it came, without the wrapping of processes and
    mixed precision.
    """

    def __init__(self, parts: Parts, plan: Plan, resume: Saved | None) -> None:
        self.parts, self.plan = parts, plan
        self.accelerator = parts.accelerator
        if isinstance(parts.loss, StepLoss):
            check_across(parts.settings, self.accelerator.num_processes)
        self.model = parts.model.to(self.accelerator.device)
        if resume:
            parts.checkpoints.load_model(resume.progress.step, parts.model)
        self.shards: Shards | None = None
        if parts.settings.fsdp:
            self.shards = Shards(parts.model, self.accelerator)
            self.model = self.shards.model
        self.optimizer = make_optimizer(
            self.model,
            lr=plan.peak_lr,
            weight_decay=parts.settings.weight_decay,
            name=parts.settings.optim,
        )
        self.searches = parts.settings.micro_batch == "auto"
        known = resume.progress.micro_batch if resume and self.searches else None
        self.room = Room(self.accelerator, known or plan.micro_batch())
        self.tables = Tables(self.model, self.optimizer, self.accelerator.num_processes)
        self._recomputing = recomputing(self.model, parts.settings.gradient_checkpointing)
        self.scaler = self.accelerator.scaler or torch.amp.GradScaler(enabled=False)
        if self.accelerator.is_main_process:
            parts.checkpoints.clean()
        if resume:
            parts.checkpoints.load_optimizer(resume.progress.step, self.model, self.optimizer)
            if resume.progress.scaler:
                self.scaler.load_state_dict(dict(resume.progress.scaler))

    def __enter__(self) -> Self:
        # A model that was ever prepared for evaluation carries a mark that would make Accelerate
        # skip the wrapping: gradients would not meet and the processes drift apart, silently.
        self.model._is_accelerate_prepared = False  # type: ignore[assignment]
        self._recomputing.__enter__()
        sharded = self.shards is not None  # shards need no DDP around them
        self.wrapped = self.accelerator.prepare_model(self.model, evaluation_mode=sharded)
        self.wrapped.train()
        self.tables.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.tables.__exit__(*exception)
        self.accelerator.unwrap_model(self.wrapped, keep_fp32_wrapper=False)
        self.accelerator.free_memory()
        if self.shards:
            self.shards.close()
        self._recomputing.__exit__(None, None, None)

    def step(self, step: int) -> tuple[Step, Ending | None]:
        """Take one optimizer step; also return what all processes agreed on about stopping."""
        rows = self.plan.rows(step)
        lr = self.plan.lr(step)
        set_lr(self.optimizer, lr)
        try:
            own = self._backward(rows, step) if not self.searches else self._searched(rows, step)
        except torch.OutOfMemoryError as error:
            hint = "lower --micro-batch; the result stays the same"
            raise ResourceError(f"out of memory at step {step + 1}", hint=hint) from error
        loss_sum, count, *votes = self._over_processes([*own, *self.parts.stop.votes()])
        loss = loss_sum / count if count else 0.0
        self._check(loss, "loss", step)
        norm = self._update(count, step) if count else 0.0
        self.optimizer.zero_grad()
        tokens = int(self.parts.lengths[rows].sum())
        epoch = self.plan.epoch(step + 1)
        done = Step(step + 1, epoch, loss, lr, norm, self.plan.count(step), tokens)
        return done, decided(votes)

    def _searched(self, rows: Rows, step: int) -> tuple[float, float]:
        """The same as `_backward`, with fewer rows at once where it ran out of memory."""
        largest = -(-len(rows) // self.accelerator.num_processes)
        own = self.room.find(
            lambda limit: self._backward(rows, step), self.optimizer.zero_grad, largest
        )
        average_gradients(self.accelerator, self.model.parameters())
        return own

    def _backward(self, rows: Rows, step: int) -> tuple[float, float]:
        """Add this process's share to the gradients; return its loss sum and count."""
        accelerator = self.accelerator
        seed_dropout(self.parts.settings.seed, step, accelerator.process_index)
        mine = self._micro_batches(rows)
        if isinstance(self.parts.loss, StepLoss):
            own = [micro_batch for micro_batch, _ in mine]
            return self._backward_across(self.parts.loss, rows, own, mine[0][1], step)
        loss_sum, count = torch.zeros((), device=accelerator.device), 0.0
        for number, (micro_batch, weight) in enumerate(mine, start=1):
            with self._meeting(last=number == len(mine)):
                batch = self._tensors(micro_batch, step)
                part, labelled = self.parts.loss(self.wrapped(**_inputs(batch)), batch)
                self.scaler.scale(part * weight).backward()
            self.tables.settle()
            loss_sum += part.detach() * weight
            count += float(labelled) * weight
        return float(loss_sum), count

    def _micro_batches(self, rows: Rows) -> list[tuple[Rows, float]]:
        """This process's micro-batches; those with weight 0 only keep it in step with others."""
        world = self.accelerator.num_processes
        lengths, tokens = self.parts.lengths, self.parts.settings.batch_tokens
        cut = partial(share, rows, world=world, micro_batch=self.room.limit, lengths=lengths,
                      tokens=tokens)  # fmt: skip
        mine = cut(rank=self.accelerator.process_index)
        # Gradients meet once; shards are gathered and meet at every micro-batch.
        least = max(len(cut(rank=rank)) for rank in range(world)) if self.shards else 1
        return [(part, 1.0) for part in mine] + [(rows[:1], 0.0)] * (least - len(mine))

    def _backward_across(
        self, loss: StepLoss, rows: Rows, mine: list[Rows], weight: float, step: int
    ) -> tuple[float, float]:
        """The same for a loss of the whole step: first all embeddings, then their gradients.

        A single micro-batch keeps its graph; several are computed again, under the same dropout.
        """
        accelerator = self.accelerator
        batches = [self._tensors(micro_batch, step) for micro_batch in mine]
        with torch.set_grad_enabled(len(batches) == 1):
            model = self.wrapped if len(batches) == 1 else self.model
            found = [self._embed(model, batch, step, n) for n, batch in enumerate(batches)]
        own = torch.cat([part.detach() for part in found])
        whole = together(accelerator, own[: len(own) if weight else 0], len(rows))
        loss_sum, count, gradient = loss_and_gradient(loss, whole, self._tensors(rows, step))
        own_gradient = gradient[accelerator.process_index :: accelerator.num_processes]
        sizes = [len(part) for part in found]
        parts = torch.split(own_gradient, sizes) if weight else (own * 0.0,)
        for number, (batch, part) in enumerate(zip(batches, parts, strict=True)):
            with self._meeting(last=number == len(batches) - 1):
                embeddings = found[0]
                if len(batches) > 1:
                    embeddings = self._embed(self.wrapped, batch, step, number)
                self.scaler.scale((embeddings * part).sum()).backward()
            self.tables.settle()
        # Every process has computed the loss of all; it counts once.
        return (loss_sum, count) if accelerator.is_main_process else (0.0, 0.0)

    def _embed(self, model: Any, batch: Mapping[str, Tensor], step: int, number: int) -> Tensor:
        seed_dropout(self.parts.settings.seed, step, self.accelerator.process_index, number)
        embeddings: Tensor = model(**_inputs(batch)).embeddings
        return embeddings.float()

    def _meeting(self, *, last: bool) -> AbstractContextManager[Any]:
        """The gradients of the processes meet at the last micro-batch only, or after a search."""
        if (last and not self.searches) or self.shards:
            return nullcontext()
        meeting: AbstractContextManager[Any] = self.accelerator.no_sync(self.wrapped)
        return meeting

    def _update(self, count: float, step: int) -> float:
        """Turn the summed gradients into those of the mean, clip, step; return their norm."""
        self.scaler.unscale_(self.optimizer)
        gradients = gathered(self.model.parameters())
        # The processes' gradients arrive as their mean; the factor makes a sum of it again.
        factor = self.accelerator.num_processes / count
        norm: float = norm_of(gradients) * factor
        if not self.scaler.is_enabled() or self.scaler.get_scale() < 1:
            self._check(norm, "gradient", step)  # in fp16 the scaler first looks for a better scale
        limit = self.parts.settings.max_grad_norm
        clip = limit / norm if 0 < limit < norm else 1.0
        self.tables.update(scale(self.optimizer, gradients, factor * clip))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm

    def evaluate(self, step: int) -> dict[str, float]:
        """Score the weights as they are and as they will predict: without dropout, in fp32."""
        self._check(norm_of(self.model.parameters()), "size of the weights", step - 1)
        self.wrapped.eval()
        # The whole model of shards was never wrapped for mixed precision.
        plain = self.shards.gathered() if self.shards else full_precision(self.model)
        with torch.no_grad(), plain:
            scores = self.parts.evaluate() if self.parts.evaluate else {}
        self.wrapped.train()
        return scores

    def save(self, progress: Progress) -> Path:
        """Seal a checkpoint; all processes wait until it is there."""
        self._check(norm_of(self.model.parameters()), "size of the weights", progress.step - 1)
        checkpoints, accelerator = self.parts.checkpoints, self.accelerator
        if self.shards:
            self.shards.gather()
        if self.shards or accelerator.is_main_process:
            moments = moments_of(self.model, self.optimizer)
        if accelerator.is_main_process:
            complete = replace(
                progress,
                scaler=self.scaler.state_dict() or None,
                world=accelerator.num_processes,
                micro_batch=self.room.limit if self.searches else None,
            )
            checkpoints.save(complete, self.parts.model, moments)
        accelerator.wait_for_everyone()
        return checkpoints.path(progress.step)

    def _tensors(self, rows: Rows, step: int) -> dict[str, Tensor]:
        """The batch of these encoded rows in a step, on the device."""
        device = self.accelerator.device
        batch = self.parts.make_batch(rows.tolist(), self.plan.pass_of(step))
        return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}

    def _over_processes(self, values: list[float]) -> list[float]:
        if self.accelerator.num_processes == 1:
            return values
        own = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        together: list[float] = self.accelerator.reduce(own, "sum").tolist()
        return together

    def _check(self, value: float, what: str, step: int) -> None:
        if not math.isfinite(value):
            good = self.parts.checkpoints.steps()
            stands = f"the checkpoint of step {good[-1]} stands; " if good else ""
            hint = f"{stands}try a lower --lr, and look for broken rows"
            raise DivergedError(f"the {what} is {value} at step {step + 1}", hint=hint)


def _inputs(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a batch the model reads."""
    return {name: value for name, value in batch.items() if name not in TARGETS}


@contextmanager
def full_precision(model: torch.nn.Module) -> Iterator[None]:
    """Take away what Accelerate has put around ``forward`` for mixed precision."""
    mixed = model.__dict__.pop("forward", None)
    try:
        yield
    finally:
        if mixed is not None:
            model.__dict__["forward"] = mixed
