"""Every write of a checkpoint fails once: the n-th, for n = 1, 2, 3 … until all succeed."""

from __future__ import annotations

import errno
import os
import pathlib
import resource
import signal

import pytest
from safetensors import SafetensorError
from training_cases import make_parts, tiny_model

from hfkit import sealing
from hfkit.errors import ResourceError
from hfkit.train import checkpoint
from hfkit.train.checkpoint import Checkpoints, Progress, moments_of
from hfkit.train.loop import train
from hfkit.train.optim import make_optimizer


class Disk:
    """Counts the operations that change the disk and lets one of them fail."""

    def __init__(self, monkeypatch, fails_at: int) -> None:
        self.count, self.fails_at = 0, fails_at
        for owner, name in [
            (checkpoint, "save_file"), (os, "fsync"), (pathlib.Path, "mkdir"),
            (pathlib.Path, "rename"), (pathlib.Path, "replace"),
        ]:  # fmt: skip
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), name))
        opened = pathlib.Path.open
        monkeypatch.setattr(
            pathlib.Path,
            "open",
            lambda path, mode="r", *rest, **options: (
                self.counted(opened, "open") if "w" in mode else opened
            )(path, mode, *rest, **options),
        )

    def counted(self, operation, name):
        def call(*arguments, **options):
            self.count += 1
            if self.count == self.fails_at:
                if name == "save_file":
                    raise SafetensorError("I/O error: No space left on device (os error 28)")
                raise OSError(errno.ENOSPC, "No space left on device")
            return operation(*arguments, **options)

        return call


def test_failure_of_any_write_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    checkpoints, model = Checkpoints(tmp_path, keep=1), tiny_model()
    optimizer = make_optimizer(model, lr=1e-3, weight_decay=0.0)
    checkpoints.save(Progress(step=1), model, moments_of(model, optimizer))
    for fails_at in range(1, 100):
        with monkeypatch.context() as patch:
            disk = Disk(patch, fails_at)
            try:
                checkpoints.save(Progress(step=2), model, moments_of(model, optimizer))
                break
            except ResourceError as error:
                assert "disk full" in str(error)
                assert error.exit_code == 4
        assert checkpoints.newest() is not None
        assert sealing.damage(checkpoints.path(checkpoints.steps()[-1])) is None
        if checkpoints.steps() == [1, 2]:  # only the old one could not be removed
            sealing.remove(checkpoints.path(2))
        elif checkpoints.steps() == [2]:
            sealing.remove(checkpoints.path(2))
            checkpoints.save(Progress(step=1), model, moments_of(model, optimizer))
    assert disk.count == fails_at - 1 >= 12
    assert checkpoints.steps() == [2]


def test_message_names_place_size_and_where_the_run_goes_on(tmp_path, monkeypatch):
    parts = make_parts(tmp_path, checkpoint_every=2)
    events = train(parts)
    for event in events:
        if getattr(event, "path", None) and event.step == 2:
            Disk(monkeypatch, 2)
            break
    with pytest.raises(ResourceError) as caught:
        list(events)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/step-4: disk full, needs 0.")
    assert message.endswith(" MB free; make room and give the same command again: "
                            "it goes on from step 2")  # fmt: skip
    monkeypatch.undo()
    again = make_parts(tmp_path, checkpoint_every=2)
    *_, last = train(again, again.checkpoints.newest())
    assert last.reason == "finished"


def test_a_real_limit_of_the_file_size(tmp_path):
    """No mock: the system refuses to let the file grow."""
    checkpoints, model = Checkpoints(tmp_path), tiny_model()
    optimizer = make_optimizer(model, lr=1e-3, weight_decay=0.0)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(ResourceError):
            checkpoints.save(Progress(step=1), model, moments_of(model, optimizer))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoints.steps() == [] and list(tmp_path.iterdir()) == []
    checkpoints.save(Progress(step=1), model, moments_of(model, optimizer))
