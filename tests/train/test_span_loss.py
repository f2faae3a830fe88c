"""The loss of question answering: torch's cross entropy of start and end, without the padding."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from hfkit.train.losses import find_loss

span = find_loss("span")
ROWS, TOKENS = 5, 7


def outputs() -> SimpleNamespace:
    torch.manual_seed(0)
    start, end = (torch.randn(ROWS, TOKENS, requires_grad=True) for _ in range(2))
    return SimpleNamespace(start_logits=start, end_logits=end)


def batch(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "start_positions": torch.tensor([0, 1, 2, 3, 4]),
        "end_positions": torch.tensor([0, 2, 2, 4, 4]),
        "attention_mask": torch.ones(ROWS, TOKENS, dtype=torch.long),
        **more,
    }


def test_it_is_the_mean_of_both_cross_entropies() -> None:
    found, given = outputs(), batch()
    loss, count = span(found, given)
    expected = sum(
        functional.cross_entropy(getattr(found, f"{side}_logits"), given[f"{side}_positions"])
        for side in ("start", "end")
    )
    assert (loss / count).item() == pytest.approx(expected.item() / 2)
    assert count == ROWS


def test_padding_changes_neither_loss_nor_gradient() -> None:
    found = outputs()
    span(found, batch())[0].backward()
    wider = SimpleNamespace(
        **{
            name: torch.cat([logits.detach(), torch.full((ROWS, 3), 9.0)], 1).requires_grad_()
            for name, logits in vars(found).items()
        }
    )
    mask = torch.cat([torch.ones(ROWS, TOKENS), torch.zeros(ROWS, 3)], 1).long()
    loss, _ = span(wider, batch(attention_mask=mask))
    loss.backward()
    assert loss.item() == pytest.approx(span(found, batch())[0].item())
    for name, logits in vars(found).items():
        gradient = getattr(wider, name).grad
        assert torch.allclose(gradient[:, :TOKENS], logits.grad, atol=1e-6)
        assert not gradient[:, TOKENS:].any()


def test_rows_without_target_and_weights() -> None:
    found = outputs()
    none = torch.tensor([-100, -100, 2, 3, 4])
    loss, count = span(found, batch(start_positions=none, end_positions=none))
    assert count == 3
    weighted, total = span(
        found,
        batch(start_positions=none, end_positions=none, loss_weight=torch.full((ROWS,), 0.5)),
    )
    assert total == 1.5
    assert weighted.item() == pytest.approx(loss.item() / 2)
    empty = torch.full((ROWS,), -100)
    loss, count = span(found, batch(start_positions=empty, end_positions=empty))
    assert (loss.item(), count.item()) == (0.0, 0.0)
    loss, count = span(found, {"attention_mask": torch.ones(ROWS, TOKENS)})
    assert (loss.item(), count.item()) == (0.0, 0.0)


def test_half_precision_is_summed_in_full() -> None:
    found = outputs()
    half = SimpleNamespace(**{name: value.bfloat16() for name, value in vars(found).items()})
    loss, _ = span(half, batch())
    assert loss.dtype == torch.float32
