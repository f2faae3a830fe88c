"""kill -9 of `hfkit predict`: nobody sees half a line, and --resume ends in the same bytes."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from faults.conftest import counts
from forks import start
from toys import toy_rows, write_classifier, write_csv

KILLS_PER_FILE = 4


def until_noted(process: Any, journal: Path) -> None:
    """Wait until the journal is written, or written again."""
    before = journal.stat().st_mtime_ns if journal.exists() else 0
    while process.is_alive():
        try:
            if journal.stat().st_mtime_ns != before:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.0005)


def is_torn(part: Path, journal: Path) -> bool:
    """Whether the journal tells of bytes that are not there."""
    position = json.loads(journal.read_text())["position"]
    rows = part.read_bytes()[: position["size"]]
    return hashlib.sha256(rows).hexdigest() != position["written"] or not rows.endswith(b"\n")


@pytest.mark.parametrize(("suffix", "kills"), [("jsonl", counts(6, 140)), ("csv", counts(4, 60))])
def test_killed_predictions_end_in_the_bytes_of_the_uninterrupted_one(
    tmp_path, suffix, kills, measured
):
    model = write_classifier(tmp_path / "model", "bert")
    rows = write_csv(tmp_path / "rows.csv", toy_rows(6000, seed=3))
    said, chance = tmp_path / "said", random.Random(5)

    def arguments(out: Path) -> list[str]:
        return ["predict", str(model), str(rows), "-o", str(out), "--device", "cpu", "-q"]

    whole = tmp_path / f"whole.{suffix}"
    since = time.monotonic()
    assert start(arguments(whole), said, every_window=True).wait() == 0, said.read_text()
    duration = time.monotonic() - since
    expected = whole.read_bytes()

    killed = aimed = resumes = identical = torn = number = 0
    while killed < kills:
        number += 1
        out = tmp_path / f"out-{number}.{suffix}"
        part, journal = (out.with_name(out.name + end) for end in (".part", ".part.json"))
        for _ in range(KILLS_PER_FILE):
            resumes += journal.exists()
            fork = start([*arguments(out), "--resume"], said, every_window=True)
            if killed % 2:
                until_noted(fork.process, journal)
                time.sleep(chance.uniform(0, 0.01))
            else:
                time.sleep(chance.uniform(0, duration))
            if fork.process.is_alive():
                killed, aimed = killed + 1, aimed + killed % 2
            fork.end(signal.SIGKILL)
            assert fork.wait() in (0, -9), said.read_text()
            if out.exists():
                break
            torn += journal.exists() and is_torn(part, journal)
        if not out.exists():
            resumes += journal.exists()
            assert start([*arguments(out), "--resume"], said, every_window=True).wait() == 0, (
                said.read_text()
            )
        assert out.read_bytes() == expected
        identical += 1
        assert [p.name for p in tmp_path.glob(f"*out-{number}*")] == [out.name]
    assert torn == 0
    measured(
        "R2", f"kill -9 of `hfkit predict -o out.{suffix}`, then the same with --resume",
        kills=killed, aimed_at_a_window=aimed, torn=torn, resumes=resumes,
        files_to_the_same_bytes=identical,
    )  # fmt: skip
