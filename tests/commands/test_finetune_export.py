"""`hfkit finetune --export`: the finished run as a file that needs no torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from exports import go, read_report
from toys import toy_rows, write_csv

from hfkit import sealing

# How two processes are started: what stands before the command, and behind it.
STARTS = {
    "relaunched": (["hfkit"], ["--num-processes", "2"]),
    "torchrun": (["torch.distributed.run", "--nproc-per-node", "2", "-m", "hfkit"], []),
}


@pytest.fixture
def command(tmp_path, tiny_base_folder):
    """A short fine-tuning into `run`, which cuts its validation rows off the others."""
    data = write_csv(tmp_path / "train.csv", toy_rows(60))
    return [
        "finetune", data, "-m", tiny_base_folder, "-o", tmp_path / "run", "--max-steps", 2,
        "--validation", "0.2", "--max-length", 32, "--device", "cpu",
    ]  # fmt: skip


def state(folder):
    """The files of a run, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def test_a_finished_run_is_exported_once(command, tmp_path, capsys):
    run = tmp_path / "run"
    assert go(*command) == 0
    alone = state(run)
    capsys.readouterr()
    assert go(*command, "--export", "onnx") == 0  # the same run: nothing is trained again
    shown = capsys.readouterr()
    assert "this run is finished" in shown.err and "outputs differ from torch's" in shown.err
    assert shown.out == f"{run}\n"
    whole = state(run)
    assert {name: whole[name] for name in alone} == alone
    assert set(whole) - set(alone) == {"model.onnx", "model.onnx_data", "export.json"}
    cut_off = sealing.read_json(run / "manifest.json")["data"]["validation"]["rows"]
    assert read_report(run)["parity"]["rows"] == cut_off > 5
    assert sealing.damage(run) is None
    assert go(*command, "--export", "onnx") == 0
    assert "exported already" in capsys.readouterr().err
    assert state(run) == whole


@pytest.mark.processes
@pytest.mark.parametrize("start", STARTS)
def test_the_first_process_exports(command, tmp_path, start):
    before, behind = STARTS[start]
    done = subprocess.run(
        [sys.executable, "-m", *before, *map(str, command), *behind, "--export", "onnx"],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'run'}\n"
    assert done.stderr.count("outputs differ from torch's") == 1
    assert read_report(tmp_path / "run")["parity"]["difference"] <= 1e-5
    assert go("predict", tmp_path / "run", "rain", "--engine", "onnx", "-q") == 0


def test_what_cannot_be_exported_is_said_before_the_training(
    command, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("hfkit.run.exporting.find_spec", lambda name: None)
    for engine in ("onnx", "openvino"):
        assert go(*command, "--export", engine) == 2
        error = capsys.readouterr().err
        assert f"--export: exporting needs {engine}" in error
        assert f"pip install 'hfkit[{engine}]'" in error
    assert not (tmp_path / "run").exists()
