"""What was measured of memory: it stands in the docs, and the estimate of today is near it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("a source distribution has no benchmarks", allow_module_level=True)

from benchmarks import memory  # noqa: E402

NEAR = 0.15
QUICK = ("bert-mini", "modernbert-small")
LINES = memory.newest(memory.RESULTS)


def test_the_table_in_the_docs_is_of_these_lines() -> None:
    assert memory.table(memory.RESULTS) in (ROOT / "docs/models.md").read_text("utf-8")


def test_five_models_were_measured_with_two_batches_and_both_commands() -> None:
    plain = [line for line in LINES if line["setting"] == "fp32"]
    measured = Counter((line["shape"], line["command"]) for line in plain)
    assert set(measured.values()) == {len(memory.BATCHES)} and len(measured) >= 10
    assert {line["setting"] for line in LINES} >= {"fp32", "bf16", "lora"}


@pytest.mark.parametrize(
    "shape",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
     for name in memory.SHAPES],
)  # fmt: skip
def test_what_is_estimated_now_is_near_what_was_measured(shape, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lines = [line for line in LINES if line["shape"] == shape]
    assert lines
    for setting, rows, length in {(x["setting"], x["rows"], x["length"]) for x in lines}:
        guess = memory.estimated(shape, setting, rows, length)
        for line in lines:
            if (line["setting"], line["rows"], line["length"]) == (setting, rows, length):
                found = memory.compared(line, guess)
                assert abs(found["error"]) <= NEAR, found


def test_a_command_is_measured_without_what_its_caller_holds() -> None:
    held = bytearray(1000 * 2**20)
    held[:: 2**12] = b"x" * len(held[:: 2**12])  # every page is there
    assert memory.peak(["estimate", "--config-size", "tiny", "-t", "ner"]) < 900
