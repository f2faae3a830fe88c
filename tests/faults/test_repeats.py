"""The same seed gives the same weights; a run that diverges stops and keeps what was finite."""

from __future__ import annotations

import re

import pytest
from faults.conftest import counts
from forks import start
from safetensors.torch import load_file, save_file
from toys import toy_rows, write_base_model, write_csv

from hfkit import hashing, sealing
from hfkit.cli.app import run as command_line


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_base_model(folder / "base", num_hidden_layers=1)
    write_csv(folder / "rows.csv", toy_rows(40))
    return folder


def finetune(files, out, *more: object, base: str = "base") -> list[str]:
    return [
        "finetune", str(files / "rows.csv"), "-m", str(files / base), "-o", str(out), "-q",
        "--validation", str(files / "rows.csv"), "--batch-size", "8", "--device", "cpu",
        "--max-length", "16", "--dropout", "0.1", *map(str, more),
    ]  # fmt: skip


@pytest.mark.processes
def test_one_seed_gives_one_model(tmp_path, files, measured):
    """There are no workers that read the data, so that their number cannot matter."""
    runs = counts(3, 20)
    hashes = []
    for number in range(runs):
        out = tmp_path / f"run-{number}"
        assert start(finetune(files, out, "--epochs", 2), tmp_path / "said").wait() == 0
        hashes.append(hashing.sha256(out / "model.safetensors"))
    assert len(set(hashes)) == 1
    out = tmp_path / "other"
    assert start(finetune(files, out, "--epochs", 2, "--seed", 7), tmp_path / "said").wait() == 0
    assert hashing.sha256(out / "model.safetensors") != hashes[0]
    measured("T11", "runs with one seed", runs=runs, different_hashes=len(set(hashes)))


@pytest.mark.parametrize("rate", ["1e20", "1e30"])
def test_a_rate_that_is_far_too_high(tmp_path, files, capfd, measured, rate):
    out = tmp_path / "run"
    arguments = finetune(files, out, "--lr", rate, "--schedule", "constant", "--warmup", 0,
                         "--epochs", 8, "--checkpoint-every", 1)  # fmt: skip
    assert command_line(arguments) == 8
    (line,) = capfd.readouterr().err.splitlines()
    assert "hfkit: error: the " in line and "; try a lower --lr" in line
    assert not (out / sealing.MANIFEST).exists()
    saved = sorted((out / "checkpoints").glob("step-*"))
    for path in saved:
        assert sealing.damage(path) is None
        for name, value in load_file(path / "model.safetensors").items():
            assert value.isfinite().all(), (path, name)
    step = int(re.search(r" at step (\d+); ", line)[1])
    assert step <= len(saved) + 2
    measured("T12", f"a learning rate of {rate}", exit=8, at_step=step,
             checkpoints_that_are_not_finite=0)  # fmt: skip


def test_weights_that_overflow(tmp_path, files, capfd, measured):
    base = tmp_path / "base"
    write_base_model(base, num_hidden_layers=1)
    weights = load_file(base / "model.safetensors")
    name = next(name for name in weights if name.endswith("output.dense.weight"))
    weights[name] = weights[name] * 1e38
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path / "run"
    capfd.readouterr()
    assert command_line(finetune(files, out, "--epochs", 2, base=str(base))) == 8
    (line,) = capfd.readouterr().err.splitlines()
    assert " at step 1; " in line
    assert "nan" in line or "inf" in line
    assert not list(out.glob("checkpoints/*"))
    measured("T12", "base weights that overflow", exit=8, step=1)
