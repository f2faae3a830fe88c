"""Weighted values in pieces, and their gradient, against what autograd makes of the formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hfkit.model import pieces
from hfkit.model.dropout import LEVELS, kept
from hfkit.model.footprint import Held
from hfkit.model.pieces import weighted


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 2 * 4 * 6 * 9)


def given(dtype: torch.dtype = torch.float32) -> tuple[list[Tensor], Tensor, Tensor]:
    """Queries, keys and values that learn, a mask that hides some keys, and a gradient."""
    torch.manual_seed(0)
    learning = [torch.randn(5, length, 4, dtype=dtype, requires_grad=True) for length in (6, 9, 9)]
    mask = torch.zeros(5, 1, 9, dtype=dtype).masked_fill(torch.rand(5, 1, 9) < 0.3, -1e30)
    return learning, mask, torch.randn(5, 6, 4, dtype=dtype)


def plainly(learning: list[Tensor], mask: Tensor | None, dropout: float) -> Tensor:
    """The formula as it is written, with the same weights dropped."""
    query, key, value = learning
    scores = query @ key.transpose(1, 2) * 0.7
    weights = (scores if mask is None else scores + mask).float().softmax(dim=-1)
    if dropout:
        level = round(dropout * LEVELS)
        stays = [kept((len(part), 6, 9), level) for part in weights.split(2)]
        weights = weights * torch.cat(stays) * LEVELS / (LEVELS - level)
    return weights.to(value.dtype) @ value


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients(dropout: float, masked: bool) -> None:
    learning, mask, slope = given()
    results = []
    for compute in (plainly, lambda *rest: weighted(*rest[0], rest[1], 0.7, rest[2])):
        torch.manual_seed(3)
        found = compute(learning, mask if masked else None, dropout)
        results.append([found, *torch.autograd.grad(found, learning, slope)])
    for wanted, found in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_mask_is_read_from_the_first_key_that_it_may_hide() -> None:
    learning, mask, _ = given()
    mask[..., :4] = 0.0
    assert torch.equal(weighted(*learning, mask, 0.7, 0.0, 4), weighted(*learning, mask, 0.7, 0.0))


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_bf16_is_as_exact_as_autograd(dropout: float) -> None:
    learning, mask, slope = given(torch.bfloat16)
    precise = [part.detach().float().requires_grad_() for part in learning]
    torch.manual_seed(3)
    wanted = torch.autograd.grad(plainly(precise, mask.float(), dropout), precise, slope.float())
    torch.manual_seed(3)
    found = weighted(*learning, mask, 0.7, dropout)
    assert found.dtype == torch.bfloat16
    for one, other in zip(torch.autograd.grad(found, learning, slope), wanted, strict=True):
        assert one.dtype == torch.bfloat16
        torch.testing.assert_close(one.float(), other, rtol=0.05, atol=0.05)


def test_the_gradient_can_be_asked_for_again() -> None:
    learning, mask, slope = given()
    found = weighted(*learning, mask, 0.7, 0.4)
    first = torch.autograd.grad(found, learning, slope, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(found, learning, slope), strict=True):
        assert torch.equal(one, other)


def test_without_gradients_it_is_the_same_and_holds_one_piece_at_a_time() -> None:
    learning, mask, _ = given()
    found = weighted(*learning, mask, 0.7, 0.0)
    around = sum(part.nbytes for part in (*learning, mask, found))
    piece = 2 * 4 * 6 * 9  # bytes
    plain = [part.detach() for part in learning]
    with torch.inference_mode(), Held() as held:
        assert torch.equal(weighted(*plain, mask, 0.7, 0.0), found)
    assert around + piece <= held.peak.most < around + 2 * piece
