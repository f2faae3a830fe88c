"""The torch engine: what it passes on, and what it does when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hfkit.errors import InputError, ResourceError
from hfkit.infer.torch_engine import TorchEngine, choose_device


class Small(torch.nn.Module):
    """Fits at most `room` rows; knows no `token_type_ids`."""

    def __init__(self, room=100):
        super().__init__()
        self.room = room
        self.sizes = []
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, input_ids, attention_mask=None, labels=None):
        assert labels is None
        self.sizes.append(len(input_ids))
        if len(input_ids) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        total = (input_ids * attention_mask).sum(dim=1, keepdim=True).to(torch.bfloat16)
        return {"loss": None, "logits": self.drop(total), "hidden_states": (total,)}


def batch(rows, length=3):
    return {
        "input_ids": np.arange(rows * length).reshape(rows, length),
        "attention_mask": np.ones((rows, length), dtype=np.int64),
        "labels": np.zeros(rows, dtype=np.int64),
        "token_type_ids": np.zeros((rows, length), dtype=np.int64),
    }


def expected(rows, length=3):
    return np.arange(rows * length).reshape(rows, length).sum(axis=1)


def test_it_gives_fp32_without_dropout_and_without_labels():
    engine = TorchEngine(Small())
    found = engine.run(batch(4))
    assert list(found) == ["logits"] and found["logits"].dtype == np.float32
    assert found["logits"][:, 0].tolist() == expected(4).tolist()


def test_a_model_in_training_goes_on_training():
    model = Small().train()
    TorchEngine(model).run(batch(2))
    assert model.training


def test_a_batch_that_does_not_fit_is_halved_and_told_once(caplog):
    model = Small(room=3)
    engine = TorchEngine(model)
    for _ in range(2):
        found = engine.run(batch(10))
        assert found["logits"][:, 0].tolist() == pytest.approx(expected(10).tolist(), rel=0.01)
    assert max(model.sizes[-1:]) <= 3
    assert caplog.text.count("--batch-size") == 1


def test_one_row_that_does_not_fit_is_a_resource_error():
    with pytest.raises(ResourceError, match="one row of 3 tokens") as caught:
        TorchEngine(Small(room=0)).run(batch(4))
    assert "--max-length" in str(caught.value)


def test_other_errors_are_not_taken_for_memory():
    class Broken(torch.nn.Module):
        def forward(self, input_ids):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        TorchEngine(Broken()).run(batch(4))


def test_a_device_that_is_not_here_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(InputError, match="no cuda"):
        choose_device("cuda")
