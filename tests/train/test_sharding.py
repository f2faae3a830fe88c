"""What --fsdp refuses, in one line; what shards learn is in test_processes.py."""

from __future__ import annotations

import pytest
from training_cases import make_settings

from hfkit.errors import InputError
from hfkit.train.across import check_across
from hfkit.train.launch import check_sharding


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "one process has nothing to share"),
        ({"num_processes": 2, "micro_batch": "auto"}, "--micro-batch auto"),
        ({"num_processes": 2, "optim": "adafactor"}, "--optim adafactor"),
        ({"num_processes": 2, "precision": "fp16"}, "--precision fp16"),
    ],
)
def test_what_shards_cannot_do_is_refused(settings, message):
    check_sharding(make_settings(**settings))  # without shards it is allowed
    with pytest.raises(InputError, match=message) as refused:
        check_sharding(make_settings(fsdp=True, **settings))
    assert refused.value.place == "--fsdp" and refused.value.hint


def test_a_loss_across_the_step_is_refused():
    check_across(make_settings(num_processes=2), 2)
    with pytest.raises(InputError, match="across the step"):
        check_across(make_settings(fsdp=True, num_processes=2), 2)
