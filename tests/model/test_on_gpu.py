"""On a CUDA GPU: kernels for packed texts, and a run from training to prediction.

Skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from toys import toy_rows, write_base_model, write_csv

import hfkit
from hfkit.model import attention
from hfkit.model.attention import by_kernel, has_kernel
from hfkit.model.grouped import Rule, in_groups
from hfkit.model.packing import Packing
from hfkit.model.unpad import unpad

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")

LENGTHS = [30, 4, 311, 29, 1, 17, 140, 22]


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    attention.kernel_works.cache_clear()
    yield
    attention.kernel_works.cache_clear()


def packed(heads: int = 4, size: int = 32) -> tuple[Packing, torch.Tensor]:
    torch.manual_seed(0)
    lengths = torch.tensor(LENGTHS, device="cuda")
    packing = Packing(torch.arange(max(LENGTHS), device="cuda") < lengths.unsqueeze(1))
    shape = (3, 1, heads, sum(LENGTHS), size)
    return packing, torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=True)


@pytest.mark.parametrize("dropout", [False, True])
def test_this_gpu_has_the_kernel(dropout: bool) -> None:
    if torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("the kernel is for newer GPUs")
    assert attention.kernel_works(torch.device("cuda:0"), dropout)


@pytest.mark.parametrize("rule", [Rule(0.2, 0, None, False), Rule(0.2, 0, 9, False),
                                  Rule(0.2, 0, None, True), Rule(0.2, 0, 9, True)])  # fmt: skip
def test_the_kernel_gives_what_groups_do(rule: Rule) -> None:
    packing, rows = packed()
    query, key, value = rows
    assert has_kernel(query, key, rule)
    found = by_kernel(query, key, value, packing, rule)
    (slopes,) = torch.autograd.grad(found.float().square().sum(), rows)
    wanted = in_groups(*rows.float(), packing, rule)
    (wanted_slopes,) = torch.autograd.grad(wanted.square().sum(), rows)
    assert (found - wanted).abs().max() < 0.03
    assert (slopes - wanted_slopes).abs().max() < 0.05 * wanted_slopes.abs().max()


def test_the_kernel_drops_as_many_weights_as_it_is_told() -> None:
    packing, rows = packed(size=64)
    query, key = torch.zeros_like(rows[0]), torch.zeros_like(rows[1])  # all weights are alike
    value = torch.ones_like(rows[2])
    rule = Rule(0.2, 0.25, None, False)
    assert has_kernel(query, key, rule)
    torch.manual_seed(3)
    found = by_kernel(query, key, value, packing, rule)
    torch.manual_seed(3)
    again = by_kernel(query, key, value, packing, rule)
    assert torch.equal(found, again)
    long = found[0, sum(LENGTHS[:2]) : sum(LENGTHS[:3])].float()
    assert abs(float(long.mean()) - 1) < 0.02
    assert float(long.std()) > 0.01  # something was dropped


@pytest.mark.parametrize("family", ["bert", "modernbert", "roberta", "mpnet"])
def test_a_model_is_the_same_without_padding(family: str, tmp_path: Path) -> None:
    from hfkit.model.load import load_for_training

    write_base_model(tmp_path, family)
    head = {"num_labels": 2, "id2label": {0: "a", 1: "b"}}
    model = load_for_training(
        tmp_path, "AutoModelForSequenceClassification", head, dropout=0.0, seed=1
    ).cuda()
    model.eval()
    tokens = torch.randint(5, 60, (4, 20), device="cuda")
    mask = (torch.arange(20).unsqueeze(0) < torch.tensor([20, 3, 11, 7]).unsqueeze(1)).cuda()
    given = {"input_ids": tokens, "attention_mask": mask.long()}
    wanted = model(**given).logits
    assert unpad(model, gradients=True)
    assert (model(**given).logits - wanted).abs().max() < 1e-4
    with torch.autocast("cuda", torch.bfloat16):
        assert (model(**given).logits.float() - wanted).abs().max() < 0.05


@pytest.mark.parametrize("precision", ["bf16", "fp32", "fp16"])
def test_a_run_from_training_to_prediction(precision: str, tmp_path: Path) -> None:
    base = write_base_model(tmp_path / "base", "bert")
    train = write_csv(tmp_path / "train.csv", toy_rows(300))
    held_out = write_csv(tmp_path / "validation.csv", toy_rows(60, seed=1))
    folder = tmp_path / "run"
    hfkit.finetune(
        str(train), validation=str(held_out), model=str(base), output=str(folder), epochs=4,
        batch_size=16, lr=3e-3, precision=precision, device="cuda", seed=5,
    )  # fmt: skip
    texts = [row["text"] for row in toy_rows(40, seed=2)]
    answers = [
        hfkit.load(str(folder), device=device, engine="torch").predict(texts)
        for device in ("cpu", "cuda")
    ]
    assert [a["label"] for a in answers[0]] == [a["label"] for a in answers[1]]
    right = [
        row["label"] == a["label"] for row, a in zip(toy_rows(40, seed=2), answers[0], strict=True)
    ]
    assert sum(right) > 30
