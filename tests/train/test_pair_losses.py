"""Losses over the texts of a step, against sentence-transformers' on the same vectors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer import losses as oracle

from hfkit.errors import InputError
from hfkit.train.losses import find_loss
from hfkit.train.pair_losses import StepLoss, contrastive, cosent, multiple_negatives

CASES = 1000


class Nobody(torch.nn.Module):
    """A model for the oracle, which is only ever given embeddings."""


def step(sides: list[torch.Tensor], labels: Any = None, **more: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and batch of examples with one window for each text, in a random order."""
    count = len(sides[0])
    order = torch.randperm(count * len(sides))
    batch = {
        "example": torch.arange(count).repeat(len(sides)) * 7,
        "side": torch.arange(len(sides)).repeat_interleave(count),
        "share": torch.ones(count * len(sides)),
        **{name: value for name, value in more.items() if value is not None},
    }
    if labels is not None:
        batch["labels"] = torch.as_tensor(labels, dtype=torch.float32).repeat(len(sides))
    shuffled = {name: value[order] for name, value in batch.items()}
    return SimpleNamespace(embeddings=torch.cat(sides)[order]), shuffled


def random_sides(chance: np.random.Generator, sides: int) -> list[torch.Tensor]:
    count, width = int(chance.integers(1, 20)), int(chance.integers(2, 9))
    return [torch.tensor(chance.normal(size=(count, width)), dtype=torch.float32)
            for _ in range(sides)]  # fmt: skip


def test_cosent_is_that_of_sentence_transformers() -> None:
    chance, reference = np.random.default_rng(0), oracle.CoSENTLoss(Nobody())
    for _ in range(CASES):
        sides = random_sides(chance, 2)
        labels = torch.tensor(chance.integers(0, 5, size=len(sides[0])) / 4, dtype=torch.float32)
        value, count = cosent(*step(sides, labels))
        expected = reference.compute_loss_from_embeddings(sides, labels)
        assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
        assert count.item() == float(len(set(labels.tolist())) > 1)


def test_cosent_sees_the_order_of_labels_only() -> None:
    sides = random_sides(np.random.default_rng(4), 2)
    labels = torch.arange(len(sides[0])) % 4
    first, second = (cosent(*step(sides, scaled))[0] for scaled in (labels / 3, labels * 10 - 2))
    assert first.item() == pytest.approx(second.item(), rel=1e-6)


def test_contrastive_is_that_of_sentence_transformers() -> None:
    chance, reference = np.random.default_rng(1), oracle.OnlineContrastiveLoss(Nobody())
    for _ in range(CASES):
        sides = random_sides(chance, 2)
        labels = torch.tensor(chance.integers(0, 2, size=len(sides[0])))
        value, count = contrastive(*step(sides, labels))
        expected = reference.compute_loss_from_embeddings(sides, labels)
        assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
        assert count.item() == len(labels)


@pytest.mark.parametrize("sides", [2, 3])
def test_multiple_negatives_is_that_of_sentence_transformers(sides: int) -> None:
    chance, reference = np.random.default_rng(2), oracle.MultipleNegativesRankingLoss(Nobody())
    for _ in range(CASES):
        texts = random_sides(chance, sides)
        value, count = multiple_negatives(*step(texts))
        expected = reference.compute_loss_from_embeddings(texts, None)
        assert (value / count).item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)


def test_equal_texts_are_no_wrong_answers() -> None:
    """Leaving a copy of the right answer, or of the question, out of the candidates by its key is
    the same as not having it there."""
    chance = np.random.default_rng(3)
    first, second = (torch.tensor(chance.normal(size=(4, 6)), dtype=torch.float32) for _ in "ab")
    second[1] = second[0]
    keys = torch.tensor([0, 1, 2, 3, 10, 10, 12, 0])  # text 3 of the second is text 0 of the first
    value, count = multiple_negatives(*step([first, second], text_key=keys))
    unit = torch.nn.functional.normalize
    logits = 20 * unit(first) @ unit(second).T
    for row, left_out in [(0, 1), (1, 0), (0, 3)]:
        logits[row, left_out] = -torch.inf
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(4), reduction="sum")
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert count.item() == 4


def test_pairs_labelled_0_do_not_ask() -> None:
    texts = random_sides(np.random.default_rng(8), 2)
    labels = torch.arange(len(texts[0])) % 2
    value, count = multiple_negatives(*step(texts, labels))
    assert count.item() == labels.sum().item()
    assert torch.isfinite(value)


@pytest.mark.parametrize("loss", [cosent, contrastive, multiple_negatives])
def test_windows_are_averaged_by_their_tokens(loss: StepLoss) -> None:
    chance = np.random.default_rng(5)
    labels = [0.0, 1.0, 1.0, 0.0]
    windows = torch.tensor(chance.normal(size=(2, 4, 3, 5)), dtype=torch.float32)
    share = torch.tensor(chance.integers(1, 9, size=(2, 4, 3)), dtype=torch.float32)
    whole = (windows * share.unsqueeze(-1)).sum(dim=2) / share.sum(dim=2, keepdim=True)
    side, example, _ = torch.meshgrid(torch.arange(2), torch.arange(4), torch.arange(3),
                                      indexing="ij")  # fmt: skip
    batch = {
        "example": example.flatten(),
        "side": side.flatten(),
        "share": share.flatten(),
        "labels": torch.tensor(labels)[example.flatten()],
    }
    value, count = loss(SimpleNamespace(embeddings=windows.reshape(-1, 5)), batch)
    expected, expected_count = loss(*step([whole[0], whole[1]], labels))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    assert count.item() == expected_count.item()


@pytest.mark.parametrize("name", ["cosent", "contrastive", "multiple_negatives"])
def test_dimensions_are_the_mean_over_the_first_numbers(name: str) -> None:
    chance = np.random.default_rng(6)
    texts = [torch.tensor(chance.normal(size=(8, 6)), dtype=torch.float32) for _ in range(2)]
    labels = torch.arange(8) % 2
    plain = find_loss(name)
    value, count = find_loss(name, {"dimensions": (2, 4)})(*step(texts, labels))
    parts = [plain(*step([side[:, :n] for side in texts], labels)) for n in (2, 4, 6)]
    assert value.item() == pytest.approx(np.mean([part.item() for part, _ in parts]), rel=1e-5)
    assert count == parts[0][1]
    with pytest.raises(InputError, match="6 numbers, so their first 7"):
        find_loss(name, {"dimensions": (7,)})(*step(texts, labels))


@pytest.mark.parametrize("loss", [cosent, contrastive])
def test_without_labels_nothing_is_lost(loss: StepLoss) -> None:
    outputs, batch = step(random_sides(np.random.default_rng(7), 2))
    outputs.embeddings.requires_grad_()
    value, count = loss(outputs, batch)
    assert (value.item(), count.item()) == (0.0, 0.0)
    value.backward()
    assert not outputs.embeddings.grad.any()


def test_half_precision_is_compared_in_fp32() -> None:
    texts = random_sides(np.random.default_rng(9), 2)
    labels = torch.arange(len(texts[0]))
    value, _ = cosent(*step([side.bfloat16() for side in texts], labels))
    expected, _ = cosent(*step([side.bfloat16().float() for side in texts], labels))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_step_loss_stays_one_by_name() -> None:
    found = find_loss("hfkit.train.pair_losses:multiple_negatives", {"scale": 5.0})
    assert isinstance(found, StepLoss)
    assert found.distinct
