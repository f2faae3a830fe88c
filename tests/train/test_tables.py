"""Gradients of embedding tables that stay rows: the same training, to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from training_cases import flat, make_parts

from hfkit.train import tables
from hfkit.train.loop import train
from hfkit.train.optim import make_optimizer, scale
from hfkit.train.tables import Tables, gathered

ROWS, WIDTH = 101, 64


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny tables count as large, and are updated seven rows at a time."""
    monkeypatch.setattr(tables, "LARGE", 10)
    monkeypatch.setattr(tables, "PIECE", 7 * WIDTH)


def made(**options: bool) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(ROWS, WIDTH, padding_idx=0, **options), nn.Linear(WIDTH, 3))


def step(model: nn.Module, optimizer: torch.optim.Optimizer, own: Tables, ids: Tensor) -> float:
    """A step of two micro-batches; the norm of its gradients is returned."""
    for part in ids.split(2):
        model(part).square().sum().backward()
    gradients = gathered(model.parameters())
    norm = torch.nn.utils.get_total_norm(gradients).item()
    own.update(scale(optimizer, gradients, 0.37))
    optimizer.step()
    optimizer.zero_grad()
    return norm


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("few", [0.0, 0.5, 1.0])  # of the rows; 60 are read
def test_rows_give_the_weights_and_moments_of_whole_gradients(
    weight_decay: float, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "FEW", few)
    one, other = made(), made()
    optimizers = [make_optimizer(m, lr=1e-2, weight_decay=weight_decay) for m in (one, other)]
    whole, rows = Tables(one, optimizers[0], processes=2), Tables(other, optimizers[1])
    assert (len(whole.tables), len(rows.tables)) == (0, 1)
    with rows:
        for _ in range(12):
            ids = torch.randint(20, 80, (4, 9))
            norm = step(one, optimizers[0], whole, ids)
            assert step(other, optimizers[1], rows, ids) == pytest.approx(norm, rel=1e-6)
    for wanted, found in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    kept = [one.state_dict()["state"] for one in optimizers]
    for number, parts in kept[0].items():
        for name, value in parts.items():
            torch.testing.assert_close(kept[1][number][name], value, rtol=1e-5, atol=1e-8)


def test_a_gradient_stays_rows_and_the_module_as_it_was() -> None:
    model = made()
    optimizer = make_optimizer(model, lr=1e-2, weight_decay=0.0)
    with Tables(model, optimizer):
        model(torch.tensor([[3, 3, 8, 0]])).sum().backward()
        assert model[0].weight.grad.is_sparse
        numbers, *_ = gathered(model.parameters())
        assert numbers.shape == (2, WIDTH)  # each row once, none for padding
    assert not model[0].sparse


def test_a_gradient_of_many_micro_batches_stays_below_the_table() -> None:
    model = made()
    optimizer = make_optimizer(model, lr=1e-2, weight_decay=0.0)
    with Tables(model, optimizer) as own:
        for _ in range(40):
            model(torch.randint(1, ROWS, (4, 9))).sum().backward()
            own.settle()
            assert model[0].weight.grad._nnz() <= ROWS


def test_rows_with_moments_are_known_after_a_resume_and_after_a_whole_gradient() -> None:
    model = made()
    optimizer = make_optimizer(model, lr=1e-2, weight_decay=0.0)
    with Tables(model, optimizer) as own:
        step(model, optimizer, own, torch.tensor([[3, 8]]))
        before = model[0].weight.detach().clone()
        step(model, optimizer, Tables(model, optimizer), torch.tensor([[5, 5]]))
        changed = (model[0].weight != before).any(dim=1).nonzero().squeeze(1)
        assert changed.tolist() == [3, 5, 8]
        model[0].weight.sum().backward()
        own.update(scale(optimizer, gathered(model.parameters()), 1.0))
        optimizer.step()
        optimizer.zero_grad()
        before = model[0].weight.detach().clone()
        step(model, optimizer, own, torch.tensor([[5, 5]]))
        assert (model[0].weight != before).any(dim=1).all()


def test_tables_that_others_read_are_left_alone() -> None:
    def count(model: nn.Module, name: str = "adamw") -> int:
        optimizer = make_optimizer(model, lr=1e-2, weight_decay=0.0, name=name)
        return len(Tables(model, optimizer).tables)

    assert count(made()) == 1
    assert count(made(), "adafactor") == 0
    assert count(made(scale_grad_by_freq=True)) == 0
    tied = nn.ModuleList([made(), nn.Linear(WIDTH, ROWS, bias=False)])
    tied[1].weight = tied[0][0].weight
    assert count(tied) == 0
    frozen = made()
    frozen[0].weight.requires_grad_(False)
    assert count(frozen) == 0


def test_a_table_that_is_read_in_another_way_gets_its_whole_gradient() -> None:
    model = made()
    optimizer = make_optimizer(model, lr=1e-2, weight_decay=0.0)
    with Tables(model, optimizer) as own:
        (model(torch.tensor([[3]])).sum() + model[0].weight.sum()).backward()
        assert not model[0].weight.grad.is_sparse
        own.update(scale(optimizer, gathered(model.parameters()), 1.0))
        before = model[0].weight.detach().clone()
        optimizer.step()
        assert not torch.equal(model[0].weight, before)


def test_a_training_is_the_same_to_rounding(tmp_path, monkeypatch) -> None:
    def weights(folder: str) -> Tensor:
        parts = make_parts(tmp_path / folder, max_steps=6, micro_batch=5, dropout=0.2)
        list(train(parts))
        return torch.from_numpy(flat(parts.model))

    rows = weights("rows")
    monkeypatch.setattr(tables, "LARGE", 10**9)
    torch.testing.assert_close(rows, weights("whole"), rtol=1e-4, atol=1e-6)
