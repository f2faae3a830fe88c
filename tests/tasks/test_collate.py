"""Padding, dtypes and what stays out of a batch."""

from __future__ import annotations

import numpy as np

from hfkit.tasks.collate import collate


def test_lists_are_padded_with_the_value_of_their_key():
    batch = collate(
        [
            {"input_ids": [5, 6, 7], "token_type_ids": [0, 1, 1], "_row": 0},
            {"input_ids": [8], "token_type_ids": [0], "_row": 1},
        ],
        {"input_ids": 9, "attention_mask": 0, "token_type_ids": 3},
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["token_type_ids"].tolist() == [[0, 1, 1], [0, 3, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert "_row" not in batch
    assert all(array.dtype == np.int64 for array in batch.values())


def test_labels_of_tokens_are_padded_with_what_no_loss_counts():
    batch = collate([{"input_ids": [1, 2], "labels": [0, 1]}, {"input_ids": [3], "labels": [1]}])
    assert batch["labels"].tolist() == [[0, 1], [1, -100]]


def test_numbers_become_one_value_a_row():
    batch = collate(
        [
            {"input_ids": [1], "labels": 2, "loss_weight": 0.5},
            {"input_ids": [1], "labels": 0, "loss_weight": 1.0},
        ]
    )
    assert batch["labels"].tolist() == [2, 0] and batch["labels"].dtype == np.int64
    assert batch["loss_weight"].tolist() == [0.5, 1.0] and batch["loss_weight"].dtype == np.float32


def test_vectors_of_floats_stay_floats():
    batch = collate(
        [{"input_ids": [1], "labels": [0.0, 1.0]}, {"input_ids": [1], "labels": [1.0, 0.0]}]
    )
    assert batch["labels"].dtype == np.float32 and batch["labels"].shape == (2, 2)
