from __future__ import annotations

import pytest
import torch
from training_cases import tiny_model
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from hfkit.train.optim import lr_factor, make_optimizer, scale, warmup_steps
from hfkit.train.sharding import norm_of


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)],
)
def test_schedules_after_warmup_are_those_of_transformers(ours, theirs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = theirs(optimizer, num_warmup_steps=3, num_training_steps=12)
    for step in range(12):
        if step >= 3:
            assert lr_factor(ours, step, 12, 3) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 0.1, 1, 5, 500])
def test_no_step_is_spent_at_zero_and_none_above_the_peak(schedule, warmup):
    factors = [lr_factor(schedule, step, 40, warmup) for step in range(40)]
    assert min(factors) > 0
    assert max(factors) == 1.0
    assert factors.index(1.0) == max(warmup_steps(warmup, 40) - 1, 0)


def test_biases_and_norms_do_not_decay():
    model = tiny_model()
    optimizer = make_optimizer(model, lr=1e-3, weight_decay=0.1)
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    for name, parameter in model.named_parameters():
        is_vector = name.endswith("bias") or "LayerNorm" in name
        assert (id(parameter) in decayed) is not is_vector, name


def test_frozen_parameters_are_left_out():
    model = tiny_model()
    model.bert.requires_grad_(False)
    optimizer = make_optimizer(model, lr=1e-3, weight_decay=0.1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_scaled_gradients_are_what_the_step_sees(name):
    def stepped(scaled: bool) -> list[torch.Tensor]:
        model = tiny_model()
        optimizer = make_optimizer(model, lr=1e-3, weight_decay=0.1, name=name)
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        gradients = [parameter.grad for parameter in model.parameters()]
        if scaled:
            scale(optimizer, gradients, 0.01)
        else:
            torch._foreach_mul_(gradients, 0.01)
        optimizer.step()
        return list(model.parameters())

    for found, wanted in zip(stepped(True), stepped(False), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8)


def test_the_norm_is_torchs():
    tensors = [torch.randn(70, 40), torch.randn(3), torch.randn(500, 30).t(), torch.zeros(2, 0)]
    wanted = torch.nn.utils.get_total_norm(tensors).item()
    assert norm_of(iter(tensors)) == pytest.approx(wanted, rel=1e-6)
    assert norm_of([torch.tensor([1.0, torch.inf])]) == torch.inf
    assert norm_of([torch.tensor([1.0, torch.nan])]) != norm_of([torch.tensor([1.0])])
