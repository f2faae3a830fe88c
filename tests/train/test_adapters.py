"""Training with adapters, or with parts that stay: what is saved, and that cuts and stops change
nothing."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file
from training_cases import fingerprint, flat, make_parts

from hfkit.train.loop import train

CHOICES = {
    "lora": {"lora": "r=4,dropout=0.1"},
    "all": {"lora": "r=4,targets=all", "optim": "adafactor"},
    "frozen": {"freeze_embeddings": True, "freeze_layers": 1},
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("family", ["bert", "deberta-v2", "modernbert"])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, name, family):
    again = {"family": family, "dropout": 0.1, "max_steps": 6, **CHOICES[name]}
    whole = make_parts(tmp_path / "whole", **again)
    before = fingerprint(whole.model)
    list(train(whole))
    assert fingerprint(whole.model) != before
    first = make_parts(tmp_path / "cut", **again)
    for event in train(first):
        if getattr(event, "step", 0) == 2:
            first.stop.signum = 15
        last = event
    assert last.step < 6
    second = make_parts(tmp_path / "cut", **again)
    list(train(second, second.checkpoints.newest()))
    assert fingerprint(second.model) == fingerprint(whole.model)


@pytest.mark.parametrize("name", CHOICES)
def test_a_checkpoint_holds_what_learns_alone(tmp_path, name):
    parts = make_parts(tmp_path, max_steps=3, **CHOICES[name])
    before = {key: value.clone() for key, value in parts.model.state_dict().items()}
    list(train(parts))
    learns = {key for key, value in parts.model.named_parameters() if value.requires_grad}
    assert 0 < len(learns) < len(before)
    path = parts.checkpoints.path(3)
    assert set(load_file(path / "model.safetensors")) == learns
    moments = load_file(path / "optimizer.safetensors")
    assert {key.rpartition("/")[0] for key in moments} == learns
    after = parts.model.state_dict()
    same = {key for key in before if (after[key] == before[key]).all()}
    assert same >= set(before) - learns
    assert not same & learns


@pytest.mark.parametrize("choice", ["lora", "frozen"])
@pytest.mark.parametrize("problem", ["single-label", "tokens", "graded"])
@pytest.mark.parametrize(
    "cut", [{"micro_batch": 3}, {"batch_tokens": 20}, {"gradient_checkpointing": True}],
    ids=["rows", "tokens", "recomputed"],
)  # fmt: skip
def test_how_a_step_is_cut_changes_nothing(tmp_path, choice, problem, cut):
    chosen = {"lora": {"lora": "r=4"}, "frozen": CHOICES["frozen"]}[choice]
    lr = 1e-4 if problem == "graded" else 1e-3
    found = []
    for name, changes in {"whole": {}, "cut": cut}.items():
        parts = make_parts(
            tmp_path / name, problem=problem, max_steps=4, lr=lr, **chosen, **changes
        )
        list(train(parts))
        found.append(flat(parts.model))
    assert np.linalg.norm(found[1] - found[0]) <= 1e-5 * np.linalg.norm(found[0])
