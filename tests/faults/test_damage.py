"""Each file of a checkpoint is harmed in every way; the older one is used, and it is said once."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.conftest import FULL, counts
from toys import toy_rows, write_base_model, write_csv
from training_cases import fingerprint, make_parts

from hfkit import hashing, sealing
from hfkit.cli.app import run as command_line
from hfkit.train.loop import train

FILES = ("model.safetensors", "optimizer.safetensors", "progress.json", "manifest.json")
Harm = Callable[[Path, random.Random], None]


def delete(path: Path, chance: random.Random) -> None:
    path.unlink()


def empty(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def halve(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def become_a_folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def flip_a_bit(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


HARMS: list[Harm] = [delete, empty, halve, become_a_folder, *[flip_a_bit] * counts(3, 20)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with checkpoints at steps 8 and 10, and the weights it ended with."""
    folder = tmp_path_factory.mktemp("finished")
    parts = make_parts(folder, dropout=0.1, checkpoint_every=2)
    list(train(parts))
    assert parts.checkpoints.steps() == [8, 10]
    return folder, fingerprint(parts.model)


@pytest.mark.parametrize("file", FILES)
def test_harm_is_named_and_the_older_checkpoint_used(tmp_path, caplog, finished, file, measured):
    silent = others = 0
    # A bit of the manifest may be one of another file's hash.
    named = "step-10 (" if file == sealing.MANIFEST else f"step-10 ({file}: "
    for number, harm in enumerate(HARMS):
        folder = shutil.copytree(finished[0], tmp_path / f"run-{number}")
        harm(folder / "step-10" / file, random.Random(number))
        parts = make_parts(folder, dropout=0.1, checkpoint_every=2)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            saved = parts.checkpoints.newest()
        said = [record.message for record in caplog.records]
        silent += not (len(said) == 1 and named in said[0])
        assert saved.progress.step == 8 and said[0].endswith("; using step-8"), harm.__name__
        list(train(parts, saved))
        others += fingerprint(parts.model) != finished[1]
        assert parts.checkpoints.newest().progress.step == 10  # the harmed one was replaced
    assert (silent, others) == (0, 0)
    measured("T3", f"{file} deleted, emptied, halved, made a folder, its bits flipped",
             harms=len(HARMS), silent=silent, other_weights_at_the_end=others)  # fmt: skip


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The command of a run, the folder it stopped in, and the weights it would end with."""
    folder = tmp_path_factory.mktemp("stopped")
    write_base_model(folder / "base")
    write_csv(folder / "train.csv", toy_rows(48))

    def arguments(out: Path) -> list[str]:
        return [
            "finetune", str(folder / "train.csv"), "-m", str(folder / "base"), "-o", str(out),
            "--validation", str(folder / "train.csv"), "--epochs", "2", "--batch-size", "8",
            "--checkpoint-every", "2", "--device", "cpu",
        ]  # fmt: skip

    from hfkit.train.checkpoint import Checkpoints

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", _stopping_after(Checkpoints.save, step=10))
        assert command_line([*arguments(folder / "cut"), "-q"]) == 130
    assert command_line([*arguments(folder / "whole"), "-q"]) == 0
    return arguments, folder / "cut", hashing.sha256(folder / "whole" / "model.safetensors")


def _stopping_after(save, step):
    def stopping(self, progress, *rest):
        path = save(self, progress, *rest)
        if progress.step == step:
            raise KeyboardInterrupt
        return path

    return stopping


@pytest.mark.parametrize("harm", HARMS[:5] if FULL else [halve, flip_a_bit])
def test_the_command_says_it_in_one_line_and_ends_the_same(
    tmp_path, capfd, stopped, harm, measured
):
    arguments, cut, expected = stopped
    tracebacks = 0
    for file in FILES:
        out = shutil.copytree(cut, tmp_path / file)
        harm(out / "checkpoints" / "step-10" / file, random.Random(5))
        capfd.readouterr()
        assert command_line(arguments(out)) == 0
        stderr = capfd.readouterr().err
        tracebacks += "Traceback" in stderr
        warnings = [line for line in stderr.splitlines() if "warning: " in line and "step-" in line]
        assert len(warnings) == 1, stderr
        assert "not usable: step-10 (" in warnings[0]
        assert "continuing from step 8" in stderr
        assert hashing.sha256(out / "model.safetensors") == expected
    assert tracebacks == 0
    measured("T3", f"`hfkit finetune` on a checkpoint with a file harmed ({harm.__name__})",
             files=len(FILES), tracebacks=tracebacks, lines_that_say_it=1)  # fmt: skip


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path, capfd, stopped):
    """Copied in by hand: whole, of the same shapes, and wrong."""
    arguments, cut, expected = stopped
    other = tmp_path / "other"
    assert command_line([*arguments(other), "--seed", "7", "--keep-checkpoints", "-q"]) == 0
    out = shutil.copytree(cut, tmp_path / "out")
    shutil.copytree(other / "checkpoints" / "step-12", out / "checkpoints" / "step-12")
    capfd.readouterr()
    assert command_line(arguments(out)) == 0
    stderr = capfd.readouterr().err
    assert "not usable: step-12 (of another run); using step-10" in stderr
    assert hashing.sha256(out / "model.safetensors") == expected
