"""What happens at which step: pure, the same on every process and after every resume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hfkit.config import Training
from hfkit.errors import InputError, did_you_mean
from hfkit.train.batches import Examples, Rows, epoch_batches, steps_per_epoch
from hfkit.train.checkpoint import Progress
from hfkit.train.optim import lr_factor
from hfkit.train.stopping import Ending

TEXTS = 3  # texts of an example, at most: anchor, positive, negative


class Plan:
    """The steps of a run. `best` names the score that picks the checkpoint, with a minus in front
    where lower is better; None: nothing is evaluated."""

    def __init__(
        self,
        settings: Training,
        lengths: NDArray[np.integer[Any]],
        best: str | None,
        groups: NDArray[np.integer[Any]] | None = None,
        keys: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        if not len(lengths):
            raise InputError("no rows to train on")
        if settings.lr is None:
            raise InputError("no learning rate", place="lr")
        self.settings, self.lengths, self.best = settings, lengths, best
        self.grouped = groups is not None
        self.examples = Examples(lengths, groups, keys)
        self.peak_lr = settings.lr
        self.per_epoch = steps_per_epoch(len(self.examples), settings.batch_size)
        self.all_epochs = math.ceil(settings.epochs * self.per_epoch)
        self.total = min(self.all_epochs, settings.max_steps or self.all_epochs)
        self.eval_every = settings.eval_every or self.per_epoch
        self._epoch, self._batches = -1, list[Rows]()

    def epoch(self, step: int) -> float:
        """Passes over the data that are done after so many steps."""
        return step / self.per_epoch

    def pass_of(self, step: int) -> int:
        """The number of the pass over the data that a step belongs to."""
        return step // self.per_epoch

    def count(self, step: int) -> int:
        """The examples of a step."""
        return len(self._batch(step))

    def rows(self, step: int) -> Rows:
        """The encoded rows of a step, over all processes; those of examples with several by
        length, so that cuts of them need little padding."""
        rows = self.examples.rows(self._batch(step))
        if self.grouped and self.settings.group_by_length:
            rows = rows[np.argsort(-self.lengths[rows], kind="stable")]
        return rows

    def micro_batch(self) -> int | None:
        """Most encoded rows computed at once, to begin with where that is to be found. An example
        of many windows must not decide it."""
        given = self.settings.micro_batch
        wanted = None if given == "auto" else given
        if self.grouped:
            return wanted or TEXTS * self.settings.batch_size
        return wanted

    def _batch(self, step: int) -> Rows:
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            settings = self.settings
            self._epoch, self._batches = (
                epoch,
                epoch_batches(
                    self.examples,
                    settings.batch_size,
                    seed=settings.seed,
                    epoch=epoch,
                    by_length=settings.group_by_length,
                ),
            )
        return self._batches[place]

    def lr(self, step: int) -> float:
        """The learning rate of a step."""
        settings = self.settings
        return self.peak_lr * lr_factor(settings.schedule, step, self.total, settings.warmup)

    def evaluates(self, progress: Progress) -> bool:
        """Whether these weights are to be scored and have not been yet."""
        if self.best is None or progress.step <= progress.evaluated:
            return False
        return progress.step % self.eval_every == 0 or progress.step == self.total

    def judge(self, progress: Progress, scores: Mapping[str, float]) -> Progress:
        """The progress once the scores of its step are known."""
        best = self.best or ""
        name = best.removeprefix("-")
        if name not in scores and progress.best_step is not None:
            return progress.judged(math.nan, lower_is_better=False)  # undefined, but only now
        if not scores:
            hint = "all its labels are the same, or all answers; give other data with --validation"
            raise InputError("no score is defined on the validation data", hint=hint)
        if name not in scores:
            hint = did_you_mean(name, scores)
            raise InputError(f"no score '{name}' to pick the best by", hint=hint)
        return progress.judged(scores[name], lower_is_better=name != best)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is due: after each evaluation, so that the best one exists."""
        every = self.settings.checkpoint_every
        return step % self.eval_every == 0 or (every is not None and step % every == 0)

    def ending(self, progress: Progress) -> Ending | None:
        """Why training is over, if it is."""
        patience = self.settings.patience
        if patience and progress.bad_evaluations >= patience:
            return Ending("patience")
        if progress.step >= self.total:
            return Ending("finished" if self.total == self.all_epochs else "max_steps")
        return None


def seed_dropout(*position: int) -> None:
    """Make dropout a function of the position (seed, step, process, …), so that a resumed step
    drops the same units."""
    entropy = np.random.SeedSequence(position).generate_state(1, np.uint64)
    torch.manual_seed(int(entropy[0]))
