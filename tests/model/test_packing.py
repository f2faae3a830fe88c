"""Packed tokens, and attention over them, against torch's own on each text alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from hfkit.model import attention
from hfkit.model.packing import Packing, grouped, spare

batches = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any)


def mask_of(lengths: list[int]) -> torch.Tensor:
    return (torch.arange(max(lengths)).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)).long()


def filled_up(tokens: int) -> int:
    return -(-tokens // 16) * 16


@given(batches)
def test_packing_and_padding_undo_each_other(lengths: list[int]) -> None:
    mask = mask_of(lengths)
    values = torch.rand(*mask.shape, 3)
    packing = Packing(mask)
    packed = packing.pack(values)
    assert packed.shape == (1, filled_up(sum(lengths)), 3)
    assert torch.equal(packed[0, : sum(lengths)], values[mask.bool()])
    assert torch.equal(packing.pad(packed), values * mask.unsqueeze(-1))


@given(st.integers(1, 5000))
def test_coarse_rows_have_few_lengths_and_little_filling(count: int) -> None:
    full = count + spare(count, coarse=True)
    assert full % 16 == 0 and count <= full < max(count + 16, count * 9 / 8)
    assert full * 8 % (1 << (full - 1).bit_length() - 1) == 0 or full <= 128


@given(batches)
def test_a_coarse_row_comes_back_as_it_was(lengths: list[int]) -> None:
    mask = mask_of(lengths)
    values = torch.rand(*mask.shape, 3)
    packing = Packing(mask, coarse=True)
    assert torch.equal(packing.pad(packing.pack(values)), values * mask.unsqueeze(-1))


@given(batches)
def test_groups_hold_each_text_once_and_little_padding(lengths: list[int]) -> None:
    groups = grouped(lengths)
    assert sorted(text for group in groups for text in group) == [
        text for text, size in enumerate(lengths) if size
    ]
    for group in groups:
        sizes = [lengths[text] for text in group]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] <= 32 or sum(sizes) + 1e-9 >= 0.8 * len(sizes) * sizes[0]


def attended(
    lengths: list[int], kv_heads: int = 4, dtype: torch.dtype = torch.float32, **rule: Any
) -> tuple[torch.Tensor, list]:
    """What `attend` gives, and what torch gives for each text alone; with a gradient of each."""
    torch.manual_seed(sum(lengths))
    total = sum(lengths)
    query = torch.randn(1, 4, total, 8, dtype=dtype, requires_grad=True)
    key, value = (
        torch.randn(1, kv_heads, total, 8, dtype=dtype, requires_grad=True) for _ in range(2)
    )
    current = attention.Current()
    current.packing = Packing(mask_of(lengths))
    module = SimpleNamespace(**{attention.PACKING: current})
    found, _ = attention.attend(module, query, key, value, None, **rule)  # type: ignore[arg-type]
    assert found.shape[1] == filled_up(total) and found.dtype == dtype
    found = found[:, :total]
    wanted, start = [], 0
    for length in lengths:
        part = slice(start, start + length)
        start += length
        if not length:
            continue
        distance = torch.arange(length).unsqueeze(1) - torch.arange(length)
        seen = torch.ones_like(distance, dtype=torch.bool)
        if rule.get("is_causal"):
            seen &= distance >= 0
        if rule.get("sliding_window"):
            seen &= distance.abs() < rule["sliding_window"]
        keys, values = (
            side[:, :, part].repeat_interleave(4 // kv_heads, dim=1) for side in (key, value)
        )
        wanted.append(
            scaled_dot_product_attention(
                query[:, :, part], keys, values, attn_mask=seen, scale=rule.get("scaling")
            ).transpose(1, 2)
        )
    whole = torch.cat(wanted, dim=1)
    weights = torch.rand_like(whole)
    slopes = [
        torch.autograd.grad((side * weights).sum(), (query, key, value)) for side in (found, whole)
    ]
    return found - whole, [one - other for one, other in zip(*slopes, strict=True)]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"scaling": 0.3},
        {"is_causal": True},
        {"sliding_window": 5},
        {"kv_heads": 2, "is_causal": True},
    ],
    ids=str,
)
@settings(max_examples=25, deadline=None)
@given(lengths=batches)
def test_each_text_sees_itself_alone(rule: dict[str, Any], lengths: list[int]) -> None:
    difference, slopes = attended(lengths, **rule)
    assert difference.abs().max() < 1e-5
    assert all(slope.abs().max() < 1e-4 for slope in slopes)


@pytest.mark.parametrize(
    "rule", [{}, {"sliding_window": 65}, {"is_causal": True}, {"sliding_window": 400}], ids=str
)
def test_long_texts(rule: dict[str, Any]) -> None:
    difference, slopes = attended([1500, 700, 690, 3], **rule)
    assert difference.abs().max() < 1e-5
    assert all(slope.abs().max() < 1e-4 for slope in slopes)


@pytest.mark.parametrize("rule", [{}, {"sliding_window": 65}, {"is_causal": True}], ids=str)
def test_in_bf16_short_texts_and_long_ones_of_rounded_lengths(rule: dict[str, Any]) -> None:
    difference, slopes = attended([700, 300, 131, 130, 40, 39, 3], dtype=torch.bfloat16, **rule)
    assert difference.abs().max() < 0.05
    assert all(slope.abs().max() < 0.1 for slope in slopes)


def test_a_batch_that_was_not_packed_is_refused() -> None:
    module = SimpleNamespace(**{attention.PACKING: attention.Current()})
    texts = torch.rand(1, 4, 3, 8)
    with pytest.raises(ValueError, match="not packed"):
        attention.attend(module, texts, texts, texts, None)  # type: ignore[arg-type]
