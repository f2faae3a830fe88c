"""Less memory, the same weights: searched micro-batches, cuts by tokens, recomputed activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_cases import Tight, fingerprint, flat, make_parts, tiny_model

from hfkit.errors import InputError, ResourceError
from hfkit.train.loop import train


def weights(folder, **changes):
    parts = make_parts(folder, max_steps=4, **changes)
    list(train(parts))
    if changes.get("problem") == "span":
        # It shifts the logits of all tokens alike: its gradient is zero, and AdamW steps by the
        # sign of what rounding leaves of that.
        parts.model.bert.encoder.layer[-1].output.LayerNorm.bias.data.zero_()
    return flat(parts.model)


def assert_same(found, expected):
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("problem", ["single-label", "tokens", "span", "graded", "triplets"])
def test_cuts_by_tokens_learn_what_one_batch_learns(tmp_path, problem):
    lr = 1e-4 if problem in ("graded", "triplets") else 1e-3
    whole = weights(tmp_path / "whole", problem=problem, lr=lr)
    for tokens in (1, 20, 60):
        cut = weights(tmp_path / str(tokens), problem=problem, lr=lr, batch_tokens=tokens)
        assert_same(cut, whole)


@pytest.mark.parametrize("problem", ["single-label", "graded"])
def test_the_search_halves_until_it_fits_and_learns_the_same(tmp_path, problem, caplog):
    lr = 1e-4 if problem == "graded" else 1e-3
    whole = weights(tmp_path / "whole", problem=problem, lr=lr)
    tight = Tight(tiny_model(problem=problem), room=5)
    with caplog.at_level("INFO"):
        found = weights(tmp_path / "auto", problem=problem, lr=lr, micro_batch="auto",
                        parts={"model": tight})  # fmt: skip
    assert_same(found, whole)
    said = [record.getMessage() for record in caplog.records if "at once" in record.getMessage()]
    assert said[-1].startswith("out of memory on") and 2 < tight.largest <= 5


def test_a_resumed_run_uses_at_once_what_fitted(tmp_path):
    again = {"micro_batch": "auto", "dropout": 0.1, "max_steps": 6}
    whole = make_parts(
        tmp_path / "whole", parts={"model": Tight(tiny_model(dropout=0.1), 5)}, **again
    )
    list(train(whole))
    first = make_parts(
        tmp_path / "cut", parts={"model": Tight(tiny_model(dropout=0.1), 5)}, **again
    )
    for event in train(first):
        if getattr(event, "step", 0) == 2:
            first.stop.signum = 15
    tight = Tight(tiny_model(dropout=0.1), 5)
    second = make_parts(tmp_path / "cut", parts={"model": tight}, **again)
    saved = second.checkpoints.newest()
    assert saved.progress.micro_batch == 4
    list(train(second, saved))
    assert tight.failures == 0
    assert fingerprint(second.model) == fingerprint(whole.model)


def test_one_row_that_does_not_fit_is_a_resource_error(tmp_path):
    with pytest.raises(ResourceError, match="out of memory at step 1"):
        weights(tmp_path, micro_batch="auto", parts={"model": Tight(tiny_model(), room=0)})


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
@pytest.mark.parametrize("cut", [None, 3])
def test_recomputed_activations_give_the_same_bits_with_dropout(tmp_path, family, cut):
    kept = weights(tmp_path / "kept", family=family, dropout=0.2, micro_batch=cut)
    again = weights(tmp_path / "again", family=family, dropout=0.2, micro_batch=cut,
                    gradient_checkpointing=True)  # fmt: skip
    assert kept.tolist() == again.tolist()


def test_the_layers_are_handed_back_as_they_were(tmp_path):
    parts = make_parts(tmp_path, gradient_checkpointing=True, max_steps=1)
    list(train(parts))
    assert not any(getattr(part, "gradient_checkpointing", False) for part in parts.model.modules())


def test_a_model_that_cannot_recompute_is_refused(tmp_path):
    with pytest.raises(InputError, match="activations"):
        weights(tmp_path, gradient_checkpointing=True, parts={"model": torch.nn.Linear(2, 2)})


def test_adafactor_learns_and_resumes_exactly(tmp_path):
    again = {"optim": "adafactor", "dropout": 0.1, "max_steps": 6, "lr": 1e-2}
    whole = make_parts(tmp_path / "whole", **again)
    losses = [event.loss for event in train(whole) if hasattr(event, "loss")]
    assert losses[-1] < losses[0]
    first = make_parts(tmp_path / "cut", **again)
    for event in train(first):
        if getattr(event, "step", 0) == 2:
            first.stop.signum = 15
    second = make_parts(tmp_path / "cut", **again)
    list(train(second, second.checkpoints.newest()))
    assert fingerprint(second.model) == fingerprint(whole.model)
