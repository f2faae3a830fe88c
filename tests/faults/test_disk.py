"""A disk that is full or fails: exit code 4, one line, what stood before stands, the rerun works.

First by injection: operation n fails, for n = 1, 2, 3 … until none is left to fail. Then for real:
files that may not grow, and a small file system.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disk import Disk
from faults.conftest import counts
from forks import start
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit import hashing, sealing
from hfkit.cli.app import run as command_line
from hfkit.train.checkpoint import Checkpoints

EVERY = counts(13, 1)  # at the gate every thirteenth operation


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A base model, rows, a classifier, and a run cut short after its first checkpoint."""
    folder = tmp_path_factory.mktemp("files")
    write_base_model(folder / "base", num_hidden_layers=1)
    write_classifier(folder / "classifier", num_hidden_layers=1)
    write_csv(folder / "rows.csv", toy_rows(12))
    assert command_line(finetune(folder, folder / "whole")) == 0

    def cut(self, progress, *rest):
        path = save(self, progress, *rest)
        if progress.step == 1:
            raise KeyboardInterrupt
        return path

    save = Checkpoints.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", cut)
        assert command_line(finetune(folder, folder / "cut")) == 130
    return folder


def finetune(files: Path, out: Path) -> list[str]:
    return [
        "finetune", str(files / "rows.csv"), "-m", str(files / "base"), "-o", str(out), "-q",
        "--validation", str(files / "rows.csv"), "--max-steps", "3", "--batch-size", "4",
        "--checkpoint-every", "1", "--device", "cpu", "--max-length", "16",
    ]  # fmt: skip


def content(folder: Path) -> dict[str, str]:
    """The hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashing.sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def fail_at(number: int, root: Path, arguments: list[str], capfd: Any) -> tuple[Disk, int, str]:
    """Run a command on a disk whose operation `number` fails."""
    capfd.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(root, number, (errno.ENOSPC, errno.EIO)[number % 2])
        disk.install(patch)
        code = command_line(arguments)
    return disk, code, capfd.readouterr().err


def assert_refused(disk: Disk, code: int, said: str) -> None:
    lines = [line for line in said.splitlines() if "rows so far are in" not in line]
    assert code == 4, (disk.fails_at, disk.failed, said)
    assert len(lines) == 1 and lines[0].startswith("hfkit: error: "), (disk.failed, said)
    assert "disk full" in said or "space left" in said or "nput/output error" in said, said


def test_each_operation_of_finetune_fails_once(tmp_path, capfd, files, measured):
    expected = hashing.sha256(files / "whole" / "model.safetensors")
    failed, number = 0, 1
    while True:
        out = shutil.copytree(files / "cut", tmp_path / f"run-{number}")
        disk, code, said = fail_at(number, tmp_path, finetune(files, out), capfd)
        if not disk.failed:
            break
        failed += 1
        assert_refused(disk, code, said)
        sealed = sorted((out / "checkpoints").glob("step-*"))
        assert (sealed and not any(map(sealing.damage, sealed))) or not sealing.damage(out)
        assert command_line(finetune(files, out)) == 0
        assert hashing.sha256(out / "model.safetensors") == expected
        shutil.rmtree(out)
        number += EVERY
    assert code == 0
    assert failed * EVERY > 60
    measured("T5", "operation n of `finetune` fails, n = 1, 2, 3 …", failed=failed,
             of=disk.count, exit_4_in_one_line=failed, same_weights_afterwards=failed)  # fmt: skip


def test_each_operation_of_export_fails_once(tmp_path, capfd, files, measured):
    pytest.importorskip("onnxruntime")
    model = shutil.copytree(files / "classifier", tmp_path / "model")
    arguments = ["export", str(model), "-q"]
    assert command_line(arguments) == 0
    before = content(model)
    failed = done = 0
    number = 1
    while True:
        disk, code, said = fail_at(number, tmp_path, [*arguments, "--overwrite"], capfd)
        if not disk.failed:
            break
        failed += 1
        if code == 0:  # the new one is in its place, only the old one could not be put away
            assert disk.failed == "rename" and (model / ".was-onnx").is_dir()
            assert command_line([*arguments, "--overwrite"]) == 0  # it deletes that one, too
            done += 1
        else:
            assert_refused(disk, code, said)
        assert sealing.damage(model / "onnx", manifest="export.json") is None
        assert {n: h for n, h in content(model).items() if "onnx" not in n} == {
            n: h for n, h in before.items() if "onnx" not in n
        }
        number += EVERY
    assert code == 0
    assert sealing.damage(model / "onnx", manifest="export.json") is None
    assert failed * EVERY > 12 and done <= 1
    assert [path.name for path in model.iterdir() if "onnx" in path.name] == ["onnx"]
    measured("T5", "operation n of `export` fails, n = 1, 2, 3 …", failed=failed, of=disk.count,
             exit_4_in_one_line=failed - done, done_but_for_deleting_the_old_one=done)  # fmt: skip


def test_each_operation_of_predict_fails_once(tmp_path, capfd, files, measured):
    output = tmp_path / "answers.jsonl"
    arguments = ["predict", str(files / "classifier"), str(files / "rows.csv"), "-q",
                 "-o", str(output), "--overwrite"]  # fmt: skip
    assert command_line(arguments) == 0
    expected = output.read_bytes()
    output.write_bytes(b"what stood before\n")
    failed, number = 0, 1
    while True:
        disk, code, said = fail_at(number, tmp_path, arguments, capfd)
        if not disk.failed:
            break
        failed += 1
        assert_refused(disk, code, said)
        assert output.read_bytes() == b"what stood before\n"
        number += 1
    assert code == 0
    assert output.read_bytes() == expected
    assert failed >= 4
    measured("T5", "operation n of `predict -o` fails, n = 1, 2, 3 …", failed=failed,
             of=disk.count, exit_4_in_one_line=failed, old_file_intact=failed)  # fmt: skip


LIMITS = [400, 550, 700, 1500, 3000, 6000, 10_000, 20_000, 40_000, 60_000, 80_000, 90_000]


@pytest.mark.processes
def test_files_that_may_not_grow(tmp_path, files, measured):
    """The system's own refusal, whatever library writes."""
    said = tmp_path / "said"
    refused = 0
    expected = hashing.sha256(files / "whole" / "model.safetensors")
    for limit in LIMITS[:: counts(4, 1)]:
        out = shutil.copytree(files / "cut", tmp_path / f"run-{limit}")
        fork = start(finetune(files, out), said, largest=limit)
        assert fork.wait() == 4, (limit, fork.stderr)
        assert fork.stderr.count("\n") == 1 and "disk full" in fork.stderr, fork.stderr
        refused += 1
        assert start(finetune(files, out), said).wait() == 0
        assert hashing.sha256(out / "model.safetensors") == expected
    model = shutil.copytree(files / "classifier", tmp_path / "model")
    before = content(model)
    for limit in LIMITS[:: counts(6, 2)]:
        fork = start(["export", str(model), "-q"], said, largest=limit)
        assert fork.wait() == 4, (limit, fork.stderr)
        assert fork.stderr.count("\n") == 1, fork.stderr
        assert content(model) == before
        refused += 1
    output = tmp_path / "answers.jsonl"
    for limit in (400, 700):  # what it says is in a file too
        predict = ["predict", str(files / "classifier"), str(files / "rows.csv"), "-q"]
        fork = start([*predict, "-o", str(output)], said, largest=limit)
        assert fork.wait() == 4, fork.stderr
        assert not output.exists()
        refused += 1
        assert start([*predict, "-o", str(output)], said).wait() == 0
        output.unlink()
    measured("T5", "a limit on the size of files (RLIMIT_FSIZE)", commands=refused,
             exit_4=refused)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    """A way to mount a file system of so many kilobytes; it needs rights that not everyone has."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(kilobytes: int, *options: str) -> Path:
        given = ",".join([f"size={kilobytes}k", *options])
        mount = ["mount", "-t", "tmpfs", "-o", given, "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"NO FULL DISK WAS TRIED: cannot mount one here ({done.stderr.strip()})")
        return folder

    yield sized
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def test_a_full_file_system(small_disk, capfd, files, measured):
    sizes = [32, 120, 240, 330, 420, 500, 580, 660, 740, 820][:: counts(4, 1)]
    expected = hashing.sha256(files / "whole" / "model.safetensors")
    disk = small_disk(sizes[0])
    refused = 0
    for size in sizes:
        shutil.rmtree(disk / "run", ignore_errors=True)  # a disk cannot be made less than is on it
        small_disk(size, "remount")
        capfd.readouterr()
        code = command_line(finetune(files, disk / "run"))
        stderr = capfd.readouterr().err
        assert "Traceback" not in stderr
        if code == 0:
            continue
        refused += 1
        errors = [line for line in stderr.splitlines() if "error: " in line]
        assert (code, len(errors)) == (4, 1), stderr
        assert not any(map(sealing.damage, (disk / "run" / "checkpoints").glob("step-*")))
        small_disk(4000, "remount")
        assert command_line(finetune(files, disk / "run")) == 0
        assert hashing.sha256(disk / "run" / "model.safetensors") == expected
    assert refused >= 2
    measured("T5", "a full tmpfs", sizes=len(sizes), refused_with_4=refused,
             same_weights_afterwards=refused)  # fmt: skip


def test_too_little_room_is_found_before_the_training(tmp_path, capfd, files, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    free = usage._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    assert command_line(finetune(files, tmp_path / "run")) == 4
    (line,) = capfd.readouterr().err.splitlines()
    assert "run/checkpoints: a checkpoint needs 0.3 MB, 0.0 MB are free; make room" in line
    assert not list(tmp_path.rglob("step-*"))
    free = usage._replace(free=500_000)
    arguments = [word for word in finetune(files, tmp_path / "run") if word != "-q"]
    assert command_line(arguments) == 0
    assert "0.5 MB are free; checkpoints may come to need 0." in capfd.readouterr().err
