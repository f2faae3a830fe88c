"""Linear layers in bf16 whose weights are laid out once: near fp32, for families that bear it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hfkit.infer.torch_engine import TorchEngine
from hfkit.model import half, unpad
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
    halved = half.halve(model)
    assert halved or family in AROUND
    engine.half = not halved
    difference = (outputs(engine) - wanted).abs().max() / wanted.abs().max()
    assert 0 < difference < 0.05


def test_the_layers_alone_are_replaced(tmp_path: Path) -> None:
    model = model_of("bert", tmp_path).eval()
    assert half.halve(model)
    kinds = {name: type(module) for name, module in model.named_modules()}
    assert kinds["classifier"] is nn.Linear
    layer = model.bert.encoder.layer[0]
    assert type(layer.attention.self.query) is half.HalfLinear
    assert layer.attention.self.query.out_features == 32


def test_a_model_that_does_not_bear_it_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: half.HalfLinear, values: torch.Tensor) -> torch.Tensor:
        return values.new_ones(*values.shape[:-1], self.out_features)

    monkeypatch.setattr(half.HalfLinear, "forward", wrong)
    model = model_of("bert", tmp_path).eval()
    engine = TorchEngine(model)
    wanted = outputs(engine)
    assert not half.halve(model)
    assert torch.equal(outputs(engine), wanted)


def test_what_was_rounded_is_rounded_once() -> None:
    rounded = half.Rounded()
    values = torch.rand(3)
    assert rounded.of(values) is rounded.of(values)
    other = rounded.of(values)
    assert rounded.of(other) is other and rounded.of(torch.rand(3)) is not other
