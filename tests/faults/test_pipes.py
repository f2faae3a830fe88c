"""Where answers go: a reader that leaves, a device that is full, an output that is closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from exports import go
from faults.conftest import counts
from toys import toy_rows, write_classifier, write_csv

HFKIT = f"{sys.executable} -m hfkit"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a model, and rows of which one in a hundred cannot be answered."""
    folder = tmp_path_factory.mktemp("pipes")
    write_classifier(folder / "model", "bert")
    assert go("export", folder / "model", "-q") == 0  # starts without torch are quick
    rows = toy_rows(counts(600, 3000), seed=3)
    for row in rows[7::100]:
        row["text"] = ""
    write_csv(folder / "rows.csv", rows)
    write_csv(folder / "good.csv", toy_rows(400, seed=4))
    return folder


COMMANDS = {
    "predict": "predict model good.csv --device cpu -q",
    "embed": "embed model good.csv --device cpu -q",
    "convert": "convert good.csv --to jsonl -q",
    "evaluate": "evaluate model good.csv --device cpu -q --json",
}


def shell(place: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=place, text=True, capture_output=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_a_reader_that_leaves_ends_it_without_a_word(place, measured):
    # More than a pipe holds (64 KiB), or a slow reader leaves when all has been written.
    write_csv(place / "long.csv", toy_rows(6000, seed=5))
    ended = []
    for command in ("predict", "embed", "convert"):
        arguments = COMMANDS[command].replace("good.csv", "long.csv")
        line = f"{HFKIT} {arguments} | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = shell(place, line)
        assert (done.stdout, done.stderr) == ("141\n", ""), command
        ended.append(command)
    measured("R3", "`| head -1`", commands=len(ended), exit=141, lines_on_stderr=0)


@pytest.mark.parametrize(("where", "says"), [(">/dev/full", "no space left"), (">&-", "closed")])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_takes_nothing_ends_it_with_four(place, measured, where, says):
    for command, arguments in COMMANDS.items():
        done = shell(place, f"{HFKIT} {arguments} {where}")
        assert done.returncode == 4, (command, done.stderr)
        (line,) = done.stderr.splitlines()
        assert line.startswith("hfkit: error: ") and says in line
    measured("R4", f"`{where}`", commands=len(COMMANDS), exit=4, lines_on_stderr=1)


def test_every_row_has_one_row_and_stdout_is_data_alone(place, measured):
    line = f"{HFKIT} predict model rows.csv --device cpu --format jsonl"
    quiet, loud = shell(place, f"{line} 2>/dev/null"), shell(place, line)
    assert quiet.returncode == loud.returncode == 1
    assert quiet.stdout == loud.stdout and "\r" not in loud.stderr
    found = [json.loads(line) for line in loud.stdout.splitlines()]
    bad = [record["row"] for record in found if "error" in record]
    assert len(found) == counts(600, 3000)
    assert bad == list(range(8, len(found) + 1, 100))
    assert all(("error" in record) != ("prediction" in record) for record in found)
    measured("R1", "rows in, of which some cannot be answered", rows=len(found), bad=len(bad),
             answered_or_named=len(found), exit=1)  # fmt: skip
    measured("R5", "stdout with and without stderr", bytes_that_differ=0)


def test_the_size_of_a_batch_changes_no_label(place, measured):
    runs = []
    for size in (1, 8, 64):
        line = f"{HFKIT} predict model good.csv --device cpu -q --format jsonl -b {size}"
        runs.append(
            [json.loads(row)["prediction"] for row in shell(place, line).stdout.splitlines()]
        )
    assert len(runs[0]) == 400
    labels = [[answer["label"] for answer in run] for run in runs]
    assert labels[0] == labels[1] == labels[2]
    scores = [[answer["score"] for answer in run] for run in runs]
    distance = max(max(found) - min(found) for found in zip(*scores, strict=True))
    assert distance < 1e-5
    measured("R9", "batches of 1, 8 and 64 rows", rows=400, labels_that_differ=0,
             scores_differ_by_at_most=float(f"{distance:.1g}"))  # fmt: skip


NAMED = {"stdout": "-o /dev/stdout | cat", "fd": "-o /dev/fd/1 | cat", "process": "-o >(cat)"}


@pytest.mark.parametrize("way", NAMED)
@pytest.mark.parametrize("command", ["convert", "predict"])
def test_a_pipe_may_be_named(place, command, way):
    line = f"{HFKIT} {COMMANDS[command]}"
    plain, named = shell(place, f"{line} | cat"), shell(place, f"{line} {NAMED[way]}; sleep 0.3")
    assert (named.stdout, named.stderr) == (plain.stdout, "") and plain.stdout


def test_a_pipe_cannot_be_gone_on_with(place):
    done = shell(place, f"{HFKIT} {COMMANDS['predict']} -o >(cat) --resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--resume: goes on with a file" in done.stderr


def test_a_deleted_file_behind_standard_output_is_written(place):
    convert = f"{HFKIT} {COMMANDS['convert']}"
    whole = shell(place, convert).stdout
    done = shell(place, f"exec 3<>gone; rm gone; {convert} -o /dev/stdout >&3; cat /dev/fd/3; ls")
    assert done.stdout.startswith(whole) and "deleted" not in done.stdout
