"""Every task in two processes learns what it learns in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from every_task import TASKS, arguments, write_rows
from safetensors.numpy import load_file
from toys import write_base_model, write_generator, write_writer

from hfkit.cli.app import run

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base models and rows."""
    found = tmp_path_factory.mktemp("tasks")
    write_base_model(found / "bert")
    write_generator(found / "gpt2")
    write_writer(found / "t5")
    write_rows(found)
    return found


@pytest.fixture(scope="module")
def together(folder: Path) -> Path:
    """The runs of two processes, started once."""
    out = folder / "together"
    script = Path(__file__).parents[1] / "every_task.py"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
         "127.0.0.1", "--nproc-per-node", "2", script, folder, out],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1",
             "TORCH_CPP_LOG_LEVEL": "ERROR"},
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.mark.parametrize("task", TASKS)
def test_two_processes_learn_what_one_learns(task: str, folder: Path, together: Path) -> None:
    assert run(arguments(folder, task, folder / "alone" / task)) == 0
    one, two = (
        load_file(place / task / "model.safetensors") for place in (folder / "alone", together)
    )
    assert list(one) == list(two)
    distance = sum(float(np.square(one[name] - two[name]).sum()) for name in one) ** 0.5
    size = sum(float(np.square(one[name]).sum()) for name in one) ** 0.5
    # AdamW also moves weights whose gradient is nothing but rounding, as biases of keys.
    assert distance <= 1e-4 * size
