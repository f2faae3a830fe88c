"""Computation without padding: equal to the padded one, or left alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import write_base_model
from transformers import AutoModelForSequenceClassification

from hfkit.model import attention, grouped, unpad
from hfkit.model.dropout import quicken
from hfkit.model.load import load_for_training
from hfkit.train.memory import recomputing

PACKED = ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "modernbert"]
AROUND = ["mpnet", "deberta-v2"]  # they compute attention themselves
PADDED = ["albert", "fnet"]
LENGTHS = [30, 4, 11, 29, 1, 17, 8, 22]


def batch(seed: int, lengths: list[int] = LENGTHS) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(5, 60, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
    return {"input_ids": tokens.masked_fill(~mask, 0), "attention_mask": mask.long()}


def model_of(
    family: str, folder: Path, auto: str = "AutoModelForTokenClassification", dropout: float = 0.0
) -> Any:
    """A tiny model; weights ten times as large as usual, so that outputs differ by text."""
    write_base_model(folder, family)
    head = {"num_labels": 3, "id2label": {0: "a", 1: "b", 2: "c"}}
    model = load_for_training(folder, auto, head, dropout=dropout, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return model


@pytest.mark.parametrize("family", [*PACKED, *AROUND])
def test_the_same_without_padding(family: str, tmp_path: Path) -> None:
    model = model_of(family, tmp_path).eval()
    given = batch(1)
    real = given["attention_mask"].bool()
    wanted = model(**given).logits[real]
    assert unpad.unpad(model, gradients=True)
    found = model(**given).logits[real]
    assert (found - wanted).abs().max() < 1e-5
    assert (model.config._attn_implementation == attention.NAME) == (family in PACKED)


def test_the_layers_see_real_tokens_alone_and_a_few_to_fill_up(tmp_path: Path) -> None:
    model = model_of("bert", tmp_path).eval()
    unpad.unpad(model)
    seen: list[torch.Size] = []
    model.base_model.encoder.layer[1].intermediate.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].shape)
    )
    model(**batch(1))
    assert sum(LENGTHS) == 122 and seen == [torch.Size([1, 128, 32])]


@pytest.mark.parametrize("family", PADDED)
def test_other_families_stay_padded_and_it_is_said(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auto = "AutoModelForSequenceClassification"
    model = model_of(family, tmp_path, auto).eval()
    given = batch(2)
    wanted = model(**given).logits
    with caplog.at_level(logging.INFO):
        assert not unpad.unpad(model)
    assert "computing with padding" in caplog.text
    assert torch.equal(model(**given).logits, wanted)


def test_a_wrong_attention_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The proof can fail: with texts that see their filling, the model stays padded."""
    honest = grouped._weighted
    monkeypatch.setattr(
        grouped, "_weighted", lambda q, k, v, hidden, rule: honest(q, k, v, None, rule)
    )
    model = model_of("bert", tmp_path).eval()
    monkeypatch.setattr(unpad, "_attach_around_attention", lambda owner, layers: None)
    with caplog.at_level(logging.INFO):
        assert not unpad.unpad(model)
    assert "gives other outputs" in caplog.text
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", ["bert", "modernbert", "mpnet"])
def test_the_losses_of_fifteen_steps_are_the_same(family: str, tmp_path: Path) -> None:
    losses = []
    for without in (False, True):
        model = model_of(family, tmp_path / str(without), "AutoModelForSequenceClassification")
        assert not without or unpad.unpad(model, gradients=True)
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        labels = torch.arange(len(LENGTHS)) % 3
        for step in range(15):
            logits = model(**batch(step)).logits
            loss = torch.nn.functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert losses[:15] == pytest.approx(losses[15:], abs=1e-6)


def test_recomputed_activations_use_the_same_packing(tmp_path: Path) -> None:
    slopes = []
    for again in (False, True):
        model = model_of("bert", tmp_path / str(again), dropout=0.1)
        quicken(model)
        unpad.unpad(model, gradients=True)
        model.train()
        torch.manual_seed(3)
        with recomputing(model, again):
            model(**batch(1)).logits.square().sum().backward()
        slopes.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(torch.equal(one, other) for one, other in zip(*slopes, strict=True))


def test_a_model_that_cannot_be_tried_out_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_base_model(tmp_path, "bert", max_position_embeddings=8)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    with caplog.at_level(logging.INFO):
        assert not unpad.unpad(model)
        assert not unpad.unpad(torch.nn.Linear(2, 2))
    assert "cannot be tried out" in caplog.text
    assert model(**batch(3, [8, 2])).logits.shape == (2, 2)


def test_the_saved_folder_is_a_plain_one(tmp_path: Path) -> None:
    model = model_of("bert", tmp_path / "base", "AutoModelForSequenceClassification").eval()
    unpad.unpad(model)
    model.save_pretrained(tmp_path / "saved")
    assert attention.NAME not in (tmp_path / "saved/config.json").read_text("utf-8")
    assert json.loads((tmp_path / "saved/config.json").read_text("utf-8"))["model_type"] == "bert"
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    given = batch(4)
    assert (again(**given).logits - model(**given).logits).abs().max() < 1e-5


def test_a_text_of_one_token_and_a_batch_without_padding(tmp_path: Path) -> None:
    model = model_of("bert", tmp_path).eval()
    given = [batch(5, [1]), batch(6, [7, 7, 7])]
    wanted = [model(**one).logits for one in given]
    unpad.unpad(model)
    for one, logits in zip(given, wanted, strict=True):
        assert (model(**one).logits - logits).abs().max() < 1e-5
        del one["attention_mask"]
        assert (model(**one).logits - logits).abs().max() < 1e-5
