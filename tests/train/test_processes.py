"""Two processes, one gloo group, every case that needs them; started once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training_cases import (
    CASES,
    LONELY,
    MEMORY,
    SHARDED,
    assert_same_curves,
    flat,
    invariance_case,
    lonely_step,
    losses_of,
    make_parts,
    scored,
)

from hfkit.train.launch import make_accelerator
from hfkit.train.loop import Evaluation, Step, train

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of the two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
            "127.0.0.1", "--nproc-per-node", "2", Path(__file__).with_name("training_cases.py"),
            folder,
        ],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1",
             "TORCH_CPP_LOG_LEVEL": "ERROR"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Warning" not in done.stderr, done.stderr
    found = []
    for rank in range(2):
        results = json.loads((folder / f"rank-{rank}.json").read_text())
        found.append((results, np.load(folder / f"rank-{rank}.npz")))
    return found


@pytest.mark.parametrize(("family", "problem"), CASES)
def test_two_processes_learn_what_one_learns(tmp_path, ranks, family, problem):
    accelerator = make_accelerator("cpu", "fp32", 1)
    curves, weights, _ = invariance_case(tmp_path, family, problem, accelerator, None)
    results, arrays = ranks[0]
    name = f"{family}-{problem}"
    assert np.linalg.norm(arrays[name] - weights) <= 1e-5 * np.linalg.norm(weights)
    assert_same_curves(results[name]["curves"], curves)


def test_all_processes_end_with_the_same_weights(ranks):
    digests = [{name: case["digest"] for name, case in results.items()} for results, _ in ranks]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("kind", ["row", "step"])
def test_a_process_without_rows_keeps_step(tmp_path, ranks, kind):
    parts = make_parts(tmp_path, parts=lonely_step() if kind == "step" else {}, **LONELY)
    losses = losses_of(train(parts))
    results, arrays = ranks[0]
    found = results[f"lonely-{kind}"]["losses"]
    np.testing.assert_allclose(found, losses, rtol=1e-6, atol=1e-6)
    weights = flat(parts.model)
    assert np.linalg.norm(arrays[f"lonely-{kind}"] - weights) <= 1e-5 * np.linalg.norm(weights)


@pytest.mark.parametrize("name", MEMORY)
def test_less_memory_on_two_processes_learns_what_one_learns(tmp_path, ranks, name):
    cuts = ("micro_batch", "batch_tokens", "gradient_checkpointing")
    settings = {key: value for key, value in MEMORY[name].items() if key not in cuts}
    parts = make_parts(tmp_path, max_steps=4, warmup=0, **settings)
    list(train(parts))
    weights = flat(parts.model)
    _, arrays = ranks[0]
    assert np.linalg.norm(arrays[name] - weights) <= 1e-5 * np.linalg.norm(weights)


@pytest.mark.parametrize("name", SHARDED)
def test_shards_learn_what_one_process_learns(tmp_path, ranks, name):
    settings = {
        key: value
        for key, value in SHARDED[name].items()
        if key not in ("batch_tokens", "micro_batch", "gradient_checkpointing")
    }
    parts = make_parts(tmp_path, max_steps=4, warmup=0, **settings)
    parts = scored(parts)
    events = list(train(parts))
    weights, norms = flat(parts.model), [e.grad_norm for e in events if isinstance(e, Step)]
    scores = [e.scores["score"] for e in events if isinstance(e, Evaluation)]
    results, arrays = ranks[0]
    assert np.linalg.norm(arrays[name] - weights) <= 1e-5 * np.linalg.norm(weights)
    np.testing.assert_allclose(results[name]["norms"], norms, rtol=1e-4)
    np.testing.assert_allclose(results[name]["score"], scores, rtol=1e-5)


def test_the_process_with_least_memory_decides_for_all(ranks):
    assert [results["auto"]["failures"] > 0 for results, _ in ranks] == [False, True]


def test_a_part_without_use_stays_as_it_was(ranks):
    assert all(results["unused"]["pooler"] for results, _ in ranks)


@pytest.mark.parametrize("name", ["resume", "resume-sharded"])
def test_signal_to_one_process_stops_all_and_the_run_goes_on_exactly(ranks, name):
    for results, _ in ranks:
        assert results[name]["stopped"] == "signal 15 at 3"
        assert results[name]["digest"] == results[name]["whole"]
