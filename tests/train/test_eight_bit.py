"""AdamW with moments of a byte: what it learns, what a checkpoint keeps of it, what it refuses."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file
from training_cases import fingerprint, flat, make_parts, make_settings, tiny_model

from hfkit.errors import InputError
from hfkit.train.launch import check_optimizer, check_sharding
from hfkit.train.loop import train
from hfkit.train.optim import make_optimizer

installed = pytest.mark.skipif(
    find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed (pip install 'hfkit[eightbit]'): "
    "--optim adamw8bit IS NOT TESTED",
)
WIDE = {"hidden_size": 64, "intermediate_size": 128}  # matrices of 4096 numbers and more


def wide_model(dropout: float = 0.0):
    from transformers import BertForSequenceClassification

    config = tiny_model(dropout=dropout).config
    config.update(WIDE)
    torch.manual_seed(1)
    return BertForSequenceClassification(config)


def parts_of(folder, dropout=0.0, **settings):
    given = {"optim": "adamw8bit", "max_steps": 6, "parts": {"model": wide_model(dropout)}}
    return make_parts(folder, **given, **settings)


@installed
def test_it_learns_about_what_adamw_learns(tmp_path):
    curves = {}
    for name in ("adamw", "adamw8bit"):
        parts = make_parts(tmp_path / name, optim=name, epochs=6, parts={"model": wide_model()})
        curves[name] = [event.loss for event in train(parts) if hasattr(event, "loss")]
    assert curves["adamw8bit"] == pytest.approx(curves["adamw"], rel=0.02)
    assert curves["adamw8bit"] != curves["adamw"]


@installed
def test_a_run_that_goes_on_ends_in_the_same_bits(tmp_path):
    whole = parts_of(tmp_path / "whole", dropout=0.1)
    list(train(whole))
    first = parts_of(tmp_path / "cut", dropout=0.1)
    for event in train(first):
        if getattr(event, "step", 0) == 2:
            first.stop.signum = 15
    second = parts_of(tmp_path / "cut", dropout=0.1)
    list(train(second, second.checkpoints.newest()))
    assert fingerprint(second.model) == fingerprint(whole.model)


@installed
def test_a_checkpoint_keeps_bytes(tmp_path):
    parts = parts_of(tmp_path)
    list(train(parts))
    saved = load_file(parts.checkpoints.newest().path / "optimizer.safetensors")
    large = {name for name, p in parts.model.named_parameters() if p.numel() >= 4096}
    of_a_byte = {name.rpartition("/")[0] for name, t in saved.items() if t.dtype == torch.uint8}
    assert of_a_byte == large
    assert {name.rpartition("/")[2] for name in saved} == {
        "step", "state1", "state2", "absmax1", "absmax2",
    }  # fmt: skip


@installed
def test_cuts_of_a_step_learn_the_same(tmp_path):
    found = []
    for cut in (None, 4):
        parts = parts_of(tmp_path / str(cut), micro_batch=cut)
        list(train(parts))
        found.append(flat(parts.model))
    # What rounding leaves different in a gradient may tip a moment into its neighbouring value.
    one, other = found
    assert abs(one - other).max() < 1e-4


@installed
def test_a_device_without_it_is_refused():
    model = torch.nn.Linear(4, 4, device="meta")
    with pytest.raises(InputError, match="does not compute on meta"):
        make_optimizer(model, lr=1e-3, weight_decay=0.0, name="adamw8bit")


def test_without_its_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr("hfkit.train.launch.find_spec", lambda name: None)
    check_optimizer(make_settings())
    with pytest.raises(InputError, match="not installed") as refused:
        check_optimizer(make_settings(optim="adamw8bit"))
    assert "pip install 'hfkit[eightbit]'" in refused.value.hint


def test_shards_are_refused():
    settings = {"num_processes": 2, "optim": "adamw8bit"}
    check_sharding(make_settings(**settings))
    with pytest.raises(InputError, match="--optim adamw8bit"):
        check_sharding(make_settings(fsdp=True, **settings))
