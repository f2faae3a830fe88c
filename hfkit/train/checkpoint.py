"""Checkpoints: sealed folders that hold everything a run needs to go on.

    checkpoints/step-120/
      model.safetensors      the weights that learn, by parameter name
      optimizer.safetensors  AdamW's moments, "name/exp_avg"
      progress.json          where the run stands
      manifest.json          size and SHA-256 of each file

No random state is kept, and no schedule: both are functions of the step. A checkpoint is taken only
if its hashes verify, and those of the best one it counts on. Nothing in it can run code.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hfkit import sealing
from hfkit.errors import InputError, ResourceError
from hfkit.train.sharding import entire, sharded_like

KEPT = 2  # the newest ones that stay, beside the best
MODEL, OPTIMIZER, PROGRESS = "model.safetensors", "optimizer.safetensors", "progress.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `step` counts finished optimizer steps, `evaluated` is the last step
    whose weights were evaluated, `fingerprint` names the settings and data the run belongs to,
    `micro_batch` is what was found to fit into memory."""

    step: int = 0
    evaluated: int = 0
    best_step: int | None = None
    best_score: float | None = None
    bad_evaluations: int = 0
    scaler: Mapping[str, Any] | None = None
    fingerprint: str = ""
    world: int = 1
    micro_batch: int | None = None

    def judged(self, score: float, *, lower_is_better: bool) -> Self:
        """Return the progress after an evaluation. A tie is not better, and NaN never is."""
        best = self.best_score
        if best is None:
            better = score == score  # only NaN differs from itself
        else:
            better = score < best if lower_is_better else score > best
        if better:
            news: dict[str, Any] = {"best_step": self.step, "best_score": score}
            return replace(self, evaluated=self.step, bad_evaluations=0, **news)
        return replace(self, evaluated=self.step, bad_evaluations=self.bad_evaluations + 1)


@dataclass(frozen=True)
class Saved:
    """A checkpoint that verified."""

    path: Path
    progress: Progress


class Checkpoints:
    """The folder of a run's checkpoints. One process writes; any number may read.

    `fingerprint` names the run; a checkpoint with another one is not taken.
    """

    def __init__(self, folder: Path, keep: int = KEPT, fingerprint: str = "") -> None:
        self.folder = folder
        self.keep = keep
        self.fingerprint = fingerprint

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is, if it exists."""
        return self.folder / f"step-{step}"

    def steps(self) -> list[int]:
        """The steps that have a folder, ascending; whether it verifies is another question."""
        names = [re.fullmatch(r"step-(\d+)", path.name) for path in self.folder.glob("step-*")]
        return sorted(int(name[1]) for name in names if name)

    def save(
        self, progress: Progress, model: torch.nn.Module, moments: Mapping[str, Tensor]
    ) -> Path:
        """Write the checkpoint of ``progress.step``, then drop those no longer needed.

        `moments` is what `moments_of` gives. Raises `ResourceError` where the disk is full or
        fails; what was there before stays.
        """
        weights = learnt(model)
        size = sum(t.nbytes for t in (*weights.values(), *moments.values()))
        path = self.path(progress.step)
        try:
            with sealing.staged(path, needs=size) as stage:
                save_file(weights, stage / MODEL, metadata={"format": "pt"})
                save_file(dict(moments), stage / OPTIMIZER)
                signed = replace(progress, fingerprint=self.fingerprint)
                (stage / PROGRESS).write_bytes(sealing.as_json(asdict(signed)))
        except ResourceError as error:
            raise ResourceError(error.message, place=str(path), hint=self._what_stands()) from error
        self._drop_old(progress.step, progress.best_step)
        return path

    def newest(self) -> Saved | None:
        """Return the newest checkpoint that verifies; name those that do not in one warning."""
        unusable = []
        found = None
        for step in reversed(self.steps()):
            progress, wrong = self._read(step)
            if progress is not None:
                best = progress.best_step
                lost = self._read(best)[1] if best not in (None, step) else ""
                if not lost:
                    found = Saved(self.path(step), progress)
                    break
                wrong = f"its best, step-{best}: {lost}"
            unusable.append(f"step-{step} ({wrong})")
        if unusable:
            instead = f"using {found.path.name}" if found else "starting from the beginning"
            log.warning("%s: not usable: %s; %s", self.folder, ", ".join(unusable), instead)
        return found

    def _read(self, step: int) -> tuple[Progress | None, str]:
        """How far the checkpoint of a step is, or None and why it cannot be taken."""
        path = self.path(step)
        wrong = sealing.damage(path)
        if wrong is not None:
            return None, wrong
        try:
            progress = Progress(**json.loads((path / PROGRESS).read_text("utf-8")))
        except TypeError:  # whole, but with other entries
            return None, "of another version of hfkit"
        if progress.step != step or progress.fingerprint != self.fingerprint:
            return None, "of another run"
        return progress, ""

    def load_optimizer(
        self, step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Put the optimizer of `model` back to where it was at the save of `step`."""
        moments = load_file(self.path(step) / OPTIMIZER)
        numbers = {name: number for number, name in enumerate(_names(model, optimizer))}
        parameters = dict(model.named_parameters())
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in moments.items():
            name, _, part = key.rpartition("/")
            own = sharded_like(value.clone(), parameters[name])
            state.setdefault(numbers[name], {})[part] = own
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})

    def load_model(self, step: int, model: torch.nn.Module) -> None:
        """Put the weights of the checkpoint of `step` into `model`.

        Raises `InputError` where the checkpoint is of another model.
        """
        path = self.path(step) / MODEL
        wanted = learnt(model)
        weights = load_file(path)
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in wanted.items()}:
            raise InputError("the weights are those of another model", place=str(path))
        model.load_state_dict(weights, strict=False)  # tied weights are there once, frozen ones not

    def check_room(self, model: torch.nn.Module, optim: str) -> None:
        """Find a disk that is too small for one more checkpoint now, not after an hour, and warn of
        one without room for two. For the one process that writes.

        Raises `ResourceError`.
        """
        self.clean()
        size = sum(weights.nbytes for weights in learnt(model).values())
        if optim == "adamw":
            size += 2 * sum(
                weights.nbytes for weights in model.parameters() if weights.requires_grad
            )
        sealing.check_room(self.folder, size, 2 * size)

    def clean(self) -> None:
        """Remove what kills have left behind. For the one process that writes."""
        sealing.sweep(self.folder)

    def _drop_old(self, newest: int, best: int | None) -> None:
        """Later ones than the newest were not usable: they do not count among those that stay."""
        with sealing.storing(self.folder):
            for step in [step for step in self.steps() if step <= newest][: -self.keep]:
                if step != best:
                    sealing.remove(self.path(step))

    def _what_stands(self) -> str:
        steps = self.steps()
        from_where = f"from step {steps[-1]} " if steps else ""
        return f"make room and give the same command again: it goes on {from_where}".rstrip()


def learnt(model: torch.nn.Module) -> dict[str, Tensor]:
    """The weights that a step can change, each once, and the buffers. What does not learn is as it
    is in the base model, whose hash is a part of the fingerprint."""
    state = model.state_dict(keep_vars=True)
    kept = {
        name: value
        for name, value in state.items()
        if value.requires_grad or not isinstance(value, torch.nn.Parameter)
    }
    return distinct(kept)


def distinct(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep one name, the first, of tensors that share their memory: safetensors refuses the rest.

    >>> tied = torch.zeros(2)
    >>> list(distinct({"embedding": tied, "decoder": tied}))
    ['embedding']
    """
    names: dict[tuple[Any, ...], str] = {}
    for name, tensor in state.items():
        names.setdefault(
            (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else (name,), name
        )
    return {name: state[name].detach().contiguous() for name in names.values()}


def _names(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the parameters in the order in which the optimizer numbers them."""
    by_identity = {id(parameter): name for name, parameter in model.named_parameters()}
    return [by_identity[id(p)] for group in optimizer.param_groups for p in group["params"]]


def moments_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state, "name/part"; where it is in shards, all processes must ask."""
    names = _names(model, optimizer)
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {
        f"{names[index]}/{part}": entire(value).contiguous()
        for index, parts in state.items()
        for part, value in parts.items()
    }
