"""`hfkit bench`: the shape of what it says, never how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import toy_rows, write_csv

import hfkit as package

FEW = ("--rows", 6, "--rounds", 2, "--lengths", "short", "--threads", 1)


def test_the_result_as_json(hfkit, tiny_classifier_folder: Path) -> None:
    code, out, err = hfkit(
        "bench", tiny_classifier_folder, *FEW, "--budgets", "64, 256", "--cold-starts", 1, "--json"
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert (found["rows"], found["rounds"], found["task"]) == (6, 2, "classification")
    assert found["source"] == "made up (short)"
    assert found["machine"]["versions"]["torch"]
    engine = found["engines"][0]
    assert (engine["engine"], engine["precision"]) == ("torch", "fp32")
    assert [batch["batch_tokens"] for batch in engine["batches"]] == [64, 256]
    for figure in (
        *(batch["rows_per_second"] for batch in engine["batches"]),
        *(batch["tokens_per_second"] for batch in engine["batches"]),
        engine["latency_seconds"]["p50"],
    ):
        assert 0 < figure["low"] <= figure["value"] <= figure["high"]
    for batch in engine["batches"]:
        rate = batch["tokens_per_second"]["value"] / batch["rows_per_second"]["value"]
        assert rate == pytest.approx(found["tokens"]["mean"], rel=0.02)
    start = engine["cold_start"]
    assert start["wall_seconds"]["value"] > 0.1 and start["wall_seconds"]["low"] is None
    assert start["peak_mib"]["value"] > 100 and engine["peak_mib"] > 100
    measured = {engine["engine"] for engine in found["engines"]}
    assert measured | set(found["unavailable"]) == {"torch", "onnx", "openvino"}


def test_rows_of_a_file_and_a_table(hfkit, tiny_classifier_folder: Path, tmp_path: Path) -> None:
    rows = [{"body": row["text"], "kind": row["label"]} for row in toy_rows(9)]
    file = write_csv(tmp_path / "rows.csv", rows)
    code, out, err = hfkit(
        "bench", tiny_classifier_folder, file, "--column", "body", *FEW, "--cold-starts", 0,
        "--batch-tokens", 128, "--engine", "torch",
    )  # fmt: skip
    assert code == 0, err
    assert f"6rows,{file}" in "".join(out.split())  # a long path is broken over lines
    assert "torch fp32" in out and "128" in out and "1024" not in out
    assert "│" not in out and "\x1b" not in out
    assert "torch: one text at a time" in err


def test_a_cold_start_reads_the_columns_of_its_own_file(
    hfkit, tiny_classifier_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    """What the user's file calls a column is not what the new process is given."""
    monkeypatch.setenv("HFKIT_TEXT_COLUMN", "body")
    file = write_csv(tmp_path / "rows.tsv", [{"body": "rain and sun"}, {"body": "soup"}])
    code, out, err = hfkit(
        "bench", tiny_classifier_folder, file, "--input-format", "csv", *FEW,
        "--cold-starts", 1, "--engine", "torch", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["engines"][0]["peak_mib"] > 0


def test_an_encoder_is_measured_as_one(tiny_base_folder: Path) -> None:
    found = package.bench(
        str(tiny_base_folder), rows=4, rounds=1, cold_starts=0, lengths="short", engine="torch"
    )
    assert found.task == "embedding"
    assert found.to_json()["engines"][0]["cold_start"] is None
    assert found.engines[0].rates[0].rows.low is None  # measured once: no interval


def test_a_task_that_reads_two_texts(tiny_classifier_folder: Path, tiny_base_folder: Path) -> None:
    found = package.bench(
        str(tiny_base_folder), task="zero-shot", labels="rain,soup", rows=3, rounds=1,
        cold_starts=0, lengths="short", engine="torch",
    )  # fmt: skip
    assert (found.task, found.rows) == ("zero-shot", 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no model"),
        (["absent"], "neither a folder here nor a model|no such folder"),
        (["MODEL", "--budgets", "many"], "--budgets: expected numbers of tokens, got 'many'"),
        (["MODEL", "absent.csv"], "absent.csv"),
        (["MODEL", "--engine", "openvino"], "openvino"),
        (["MODEL", "--rounds", "0"], "--rounds: expected a number of at least 1"),
    ],
)
def test_mistakes(
    hfkit, tiny_classifier_folder: Path, arguments: list[str], said: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(tiny_classifier_folder) if word == "MODEL" else word for word in arguments]
    code, out, err = hfkit("bench", *given, *(() if "--rounds" in given else FEW))
    assert code == 2 and out == ""
    assert any(part in err for part in said.split("|")), err
