"""Linear layers whose weights are laid out once: as torch computes, for families that bear it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.activations import GELUActivation

from hfkit.infer.torch_engine import TorchEngine
from hfkit.model import linear, unpad
from tests.model.test_unpad import AROUND, PACKED, batch, model_of

ARRAYS = {"input_ids", "attention_mask"}


def outputs(engine: TorchEngine) -> torch.Tensor:
    """Of the real tokens."""
    given = {name: value.numpy() for name, value in batch(1).items() if name in ARRAYS}
    return torch.from_numpy(engine.run(given)["logits"][given["attention_mask"] == 1])


@pytest.mark.parametrize("family", [*PACKED, *AROUND])
def test_bf16_is_near_fp32(family: str, tmp_path: Path) -> None:
    """Whether the layers bear it, or torch's autocast takes their place."""
    model = model_of(family, tmp_path).eval()
    engine = TorchEngine(model)
    wanted = outputs(engine)
    unpad.unpad(model)
    halved = linear.lay_out(model, torch.bfloat16)
    assert halved or family in AROUND
    engine.half = not halved
    difference = (outputs(engine) - wanted).abs().max() / wanted.abs().max()
    assert 0 < difference < 0.05


@pytest.mark.parametrize("family", [*PACKED, *AROUND])
def test_fp32_stays_fp32(family: str, tmp_path: Path) -> None:
    model = model_of(family, tmp_path).eval()
    engine = TorchEngine(model)
    unpad.unpad(model)
    wanted = outputs(engine)
    assert linear.lay_out(model, torch.float32)
    assert (outputs(engine) - wanted).abs().max() < 1e-5 * max(1, float(wanted.abs().max()))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_gelu_is_taken_along_where_it_follows(kind: torch.dtype, tmp_path: Path) -> None:
    model = model_of("bert", tmp_path).eval()
    assert linear.lay_out(model, kind)
    layer = model.bert.encoder.layer[0]
    assert layer.intermediate.dense.activation == "gelu"
    assert type(layer.intermediate.intermediate_act_fn) is nn.Identity
    assert layer.output.dense.activation == "none"


def test_rows_are_coarse_in_every_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction computes a batch in each of several threads."""
    model = model_of("bert", tmp_path).eval()
    unpad.unpad(model)
    assert linear.lay_out(model, torch.float32)
    seen: list[bool] = []
    made = unpad.Packing

    def packing(mask: torch.Tensor, *, coarse: bool) -> unpad.Packing:
        seen.append(coarse)
        return made(mask, coarse=coarse)

    monkeypatch.setattr(unpad, "Packing", packing)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(outputs, TorchEngine(model)).result()
    assert seen == [True]


def test_nothing_is_laid_out_where_a_kernel_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, count = linear.LaidOut.__init__, []

    def failing(self: linear.LaidOut, *given: Any) -> None:
        count.append(1)
        if len(count) == 3:
            raise RuntimeError("no such kernel")
        made(self, *given)

    monkeypatch.setattr(linear.LaidOut, "__init__", failing)
    model = model_of("bert", tmp_path).eval()
    assert not linear.lay_out(model, torch.bfloat16)
    assert not [one for one in model.modules() if type(one) is linear.LaidOut]


def test_a_gate_keeps_its_activation(tmp_path: Path) -> None:
    """ModernBERT's GELU reads a half of what the layer gives."""
    model = model_of("modernbert", tmp_path).eval()
    assert linear.lay_out(model, torch.float32)
    assert {one.activation for one in model.modules() if type(one) is linear.LaidOut} == {"none"}


def test_an_activation_that_changes_too_much_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where what the layer gives is read elsewhere too."""
    forward = linear.LaidOut.forward

    def wrong(self: linear.LaidOut, values: torch.Tensor) -> torch.Tensor:
        found = forward(self, values)
        return found + 1 if self.activation == "gelu" else found

    monkeypatch.setattr(linear.LaidOut, "forward", wrong)
    model = model_of("bert", tmp_path).eval()
    assert linear.lay_out(model, torch.float32)
    layer = model.bert.encoder.layer[0]
    assert type(layer.intermediate.intermediate_act_fn) is GELUActivation
    assert layer.intermediate.dense.activation == "none"


def test_the_layers_alone_are_replaced(tmp_path: Path) -> None:
    model = model_of("bert", tmp_path).eval()
    assert linear.lay_out(model, torch.bfloat16)
    kinds = {name: type(module) for name, module in model.named_modules()}
    assert kinds["classifier"] is nn.Linear
    layer = model.bert.encoder.layer[0]
    assert type(layer.attention.self.query) is linear.LaidOut
    assert layer.attention.self.query.out_features == 32


def test_a_model_that_does_not_bear_it_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: linear.LaidOut, values: torch.Tensor) -> torch.Tensor:
        return values.new_ones(*values.shape[:-1], self.out_features)

    monkeypatch.setattr(linear.LaidOut, "forward", wrong)
    model = model_of("bert", tmp_path).eval()
    engine = TorchEngine(model)
    wanted = outputs(engine)
    assert not linear.lay_out(model, torch.bfloat16)
    assert torch.equal(outputs(engine), wanted)


def test_what_was_rounded_is_rounded_once() -> None:
    rounded = linear.Rounded(torch.bfloat16)
    values = torch.rand(3)
    assert rounded.of(values) is rounded.of(values)
    other = rounded.of(values)
    assert rounded.of(other) is other and rounded.of(torch.rand(3)) is not other
