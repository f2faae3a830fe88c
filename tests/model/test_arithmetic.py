"""Kernels, threads, and dropout with few random bits."""

from __future__ import annotations

import logging

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from hfkit import processor
from hfkit.model import arithmetic
from hfkit.model.dropout import Dropout, dropped, quicken
from hfkit.processor import Processor, kernels_for, precision_for

ZEN5 = Processor("AuthenticAMD", 26, frozenset({"avx512f", "avx512_bf16"}))
ZEN2 = Processor("AuthenticAMD", 23, frozenset({"avx2"}))
SAPPHIRE = Processor("GenuineIntel", 6, frozenset({"avx512f", "avx512_bf16", "amx_bf16"}))
UNKNOWN = Processor()


@pytest.fixture(autouse=True)
def as_it_was():
    kernel, threads = torch.backends.mkldnn.matmul.fp32_precision, torch.get_num_threads()
    yield
    torch.backends.mkldnn.matmul.fp32_precision = kernel
    torch.set_num_threads(threads)


def test_the_table_of_processors() -> None:
    kernels = [kernels_for(one) for one in (ZEN5, ZEN2, SAPPHIRE, UNKNOWN)]
    assert kernels == ["onednn", "default", "default", "default"]
    precisions = [precision_for(one) for one in (ZEN5, ZEN2, SAPPHIRE, UNKNOWN)]
    assert precisions == ["bf16", "fp32", "bf16", "fp32"]


def test_threads_are_those_of_the_setting_or_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert processor.cores() == 3
    arithmetic.set_arithmetic("default", 1)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("kernels", ["auto", "default", "onednn"])
def test_every_kernel_has_the_accuracy_of_fp32(kernels) -> None:
    arithmetic.set_arithmetic(kernels, 1)
    assert arithmetic.is_accurate()


def test_a_kernel_that_rounds_is_not_used(monkeypatch, caplog) -> None:
    monkeypatch.setattr(arithmetic, "is_accurate", lambda: False)
    with caplog.at_level(logging.WARNING):
        arithmetic.set_arithmetic("onednn", 1)
    if torch.backends.mkldnn.is_available():
        assert torch.backends.mkldnn.matmul.fp32_precision == "none"
        assert "rounds fp32 products" in caplog.text


def test_the_check_of_accuracy_can_fail() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert not arithmetic.is_accurate()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(probability) -> None:
    torch.manual_seed(0)
    values = torch.ones(100_003, requires_grad=True)
    found = dropped(values, probability)
    assert (found == 0).float().mean().item() == pytest.approx(probability, abs=0.01)
    assert found.mean().item() == pytest.approx(1.0, abs=0.03)
    (slope,) = torch.autograd.grad(found.sum(), values)
    assert torch.equal(slope, found.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_of_any_layout(dtype: torch.dtype) -> None:
    for values in (torch.ones(3, 8, dtype=dtype).t(), torch.ones(8, 1, dtype=dtype).expand(8, 3)):
        found = dropped(values, 0.5)
        assert found.dtype == dtype and found.shape == (8, 3)
        assert set(found.unique().tolist()) <= {0.0, 2.0}
    assert dropped(torch.ones(0, 3, dtype=dtype), 0.5).shape == (0, 3)


def test_dropout_follows_the_seed_and_stops_at_prediction() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
    quicken(model)
    assert isinstance(model[1], Dropout)
    values = torch.rand(64, 4)
    torch.manual_seed(1)
    one, two = model(values), model(values)
    torch.manual_seed(1)
    assert torch.equal(model(values), one)
    assert not torch.equal(one, two)
    model.eval()
    assert torch.equal(model(values), model[0](values))


def test_shapes_of_dropout_are_known_without_numbers() -> None:
    with FakeTensorMode():
        values = torch.empty(10, 2**40, requires_grad=True)
        found = dropped(values, 0.1)
        (slope,) = torch.autograd.grad(found.sum(), values)
    assert found.shape == slope.shape == (10, 2**40)


@pytest.mark.skipif(not arithmetic.MAPS.exists(), reason="only Linux tells what lies where")
def test_what_lies_in_a_file_is_given_back_and_comes_back(tmp_path, monkeypatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(torch.arange(100_000, dtype=torch.float32).numpy().tobytes())
    mapped = torch.from_file(str(path), shared=False, size=100_000)
    before = mapped.sum()
    assert 390_000 < arithmetic.Files().give_back(mapped) <= 400_000
    assert mapped.sum() == before
    assert arithmetic.Files().give_back(torch.rand(100_000)) == 0  # lies in no file
    mapped[70_000] = 3.0
    assert arithmetic.Files().give_back(mapped) == 0  # is not what the file has
    assert mapped[70_000] == 3.0
    monkeypatch.setattr(arithmetic, "MAPS", tmp_path / "none")
    assert not arithmetic.Files().parts
