from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from hfkit.errors import InputError
from hfkit.train.losses import (
    binary_cross_entropy,
    cross_entropy,
    find_loss,
    mean_squared_error,
    pretraining,
)

B, T, C = 6, 5, 3


def outputs(*shape, dtype=torch.float32):
    torch.manual_seed(0)
    return SimpleNamespace(logits=torch.randn(*shape, dtype=dtype).requires_grad_())


def labels(*shape):
    torch.manual_seed(1)
    found = torch.randint(0, C, shape)
    found[0] = -100
    return found


def test_cross_entropy_is_torchs_sum():
    out, target = outputs(B, C), labels(B)
    loss, count = cross_entropy(out, {"labels": target})
    assert loss.item() == pytest.approx(
        functional.cross_entropy(out.logits, target, reduction="sum").item()
    )
    assert count == B - 1


def test_cross_entropy_with_class_weights_is_torchs_weighted_mean():
    out, target, weight = outputs(B, C), labels(B), torch.tensor([0.5, 2.0, 7.0])
    loss, count = cross_entropy(out, {"labels": target, "loss_weight": weight[target.clamp(min=0)]})
    expected = functional.cross_entropy(out.logits, target, weight=weight)
    assert (loss / count).item() == pytest.approx(expected.item(), rel=1e-6)


def test_cross_entropy_of_tokens_with_weights_of_rows():
    out, target, weight = outputs(B, T, C), labels(B, T), torch.arange(1.0, B + 1)
    loss, count = cross_entropy(out, {"labels": target, "loss_weight": weight})
    each = functional.cross_entropy(out.logits.transpose(1, 2), target, reduction="none")
    assert loss.item() == pytest.approx((each * weight[:, None]).sum().item(), rel=1e-6)
    assert count == ((target != -100) * weight[:, None]).sum()


def test_label_smoothing_is_torchs():
    out, target = outputs(B, C), labels(B)
    loss, count = find_loss("cross_entropy", {"smoothing": 0.1})(out, {"labels": target})
    expected = functional.cross_entropy(out.logits, target, label_smoothing=0.1)
    assert (loss / count).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("weights", [None, torch.arange(1.0, B + 1), torch.rand(B, C)])
@pytest.mark.parametrize("unknown", [math.nan, -100.0])
def test_binary_cross_entropy_leaves_unknown_labels_out(weights, unknown):
    out, target = outputs(B, C), torch.rand(B, C).round()
    known = torch.ones(B, C)
    known[1, 2] = known[4] = 0
    batch = {"labels": torch.where(known.bool(), target, unknown)}
    if weights is not None:
        batch["loss_weight"] = weights
    loss, count = binary_cross_entropy(out, batch)
    each = functional.binary_cross_entropy_with_logits(out.logits, target, reduction="none")
    full = known if weights is None else known * weights.view(B, -1)
    assert loss.item() == pytest.approx((each * full).sum().item(), rel=1e-6)
    assert count.item() == pytest.approx(full.sum().item())
    loss.backward()
    assert out.logits.grad.isfinite().all()
    assert (out.logits.grad[4] == 0).all()


def test_mean_squared_error_knows_minus_100_as_a_number():
    out, target = outputs(B, 1), torch.tensor([1.0, math.nan, -100.0, 0.0, 2.0, 3.0])
    loss, count = mean_squared_error(out, {"labels": target})
    known = ~target.isnan()
    expected = functional.mse_loss(out.logits[known, 0], target[known], reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert count == B - 1


def test_mean_squared_error_of_several_numbers():
    out, target = outputs(B, C), torch.rand(B, C)
    loss, count = mean_squared_error(out, {"labels": target})
    assert (loss / count).item() == pytest.approx(functional.mse_loss(out.logits, target).item())


@pytest.mark.parametrize(
    ("loss", "logits", "batch"),
    [
        (cross_entropy, (B, C), {"labels": torch.full((B,), -100)}),
        (cross_entropy, (B, T, C), {"labels": torch.full((B, T), -100)}),
        (cross_entropy, (B, C), {}),
        (binary_cross_entropy, (B, C), {"labels": torch.full((B, C), math.nan)}),
        (binary_cross_entropy, (B, C), {}),
        (mean_squared_error, (B, 1), {"labels": torch.full((B,), math.nan)}),
        (mean_squared_error, (B, 1), {}),
    ],
)
def test_without_labels_nothing_is_lost_and_backward_still_runs(loss, logits, batch):
    out = outputs(*logits)
    total, count = loss(out, batch)
    assert (total.item(), count.item()) == (0.0, 0.0)
    total.backward()
    assert (out.logits.grad == 0).all()


def test_half_precision_logits_are_summed_in_fp32():
    out, target = outputs(B, C, dtype=torch.bfloat16), labels(B)
    loss, _ = cross_entropy(out, {"labels": target})
    expected = functional.cross_entropy(out.logits.float(), target, reduction="sum")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item())


def test_losses_by_name():
    assert find_loss("hfkit.train.losses:mean_squared_error").func is mean_squared_error
    with pytest.raises(InputError, match="did you mean 'cross_entropy'"):
        find_loss("cross_entrpy")
    with pytest.raises(InputError, match="cannot load"):
        find_loss("no_such_module:loss")


def test_pretraining_is_the_mean_of_a_row_plus_its_pair():
    torch.manual_seed(0)
    words, pairs = torch.randn(3, 4, C), torch.randn(3, 2)
    out = SimpleNamespace(logits=words.requires_grad_(), next_logits=pairs.requires_grad_())
    target = torch.tensor([[0, 1, -100, -100], [2, 2, 1, 0], [-100] * 4])
    follows = torch.tensor([0, 1, 1])
    loss, count = pretraining(out, {"labels": target, "next_sentence_label": follows})
    expected = functional.cross_entropy(pairs, follows, reduction="sum")
    for row, hidden in enumerate((2, 4)):
        expected = expected + functional.cross_entropy(words[row, :hidden], target[row, :hidden])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert count == 3
    nothing, none = pretraining(out, {})
    assert (nothing.item(), none.item()) == (0, 0)
    nothing.backward()
