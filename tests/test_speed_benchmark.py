"""The speed benchmark runs, its results have their shape, and the docs show them: never times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hfkit import WAITING_THREADS
from hfkit.model.locate import packaged_minilm
from hfkit.processor import NO_BUFFERS

pytest.importorskip("sentence_transformers")
ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("a source distribution has no benchmarks", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks.speed import table  # noqa: E402
from benchmarks.speed.limit import useful_flops  # noqa: E402
from benchmarks.speed.lines import GROUPS  # noqa: E402
from benchmarks.speed.turns import environment  # noqa: E402

LATER = ("onnx", "openvino")  # engines that a quick run does not export for


def speed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results file of a quick run."""
    if packaged_minilm() is None:
        pytest.skip("the extra `demo` is not installed")
    results = tmp_path_factory.mktemp("speed") / "speed.jsonl"
    done = speed("--quick", "--results", str(results), HFKIT_TEST_DATA="")
    assert done.returncode == 0, done.stderr[-3000:]
    return results


def test_every_line_runs(quick: Path) -> None:
    records = {record["line"]: record for record in table.read(quick)}
    lines = [line for group in GROUPS.values() for line in group.lines]
    assert {line.name for line in lines} <= set(records)
    assert {
        "peaks",
        "share",
        "memory",
        "length",
        "cold-torch",
        "shape-bert-base-128-batch-8",
    } <= set(records)
    for name, record in records.items():
        engines = {"hfkit onnx", "hfkit openvino", "hfkit openvino bf16"}
        if record.get("ours") in engines:
            assert record["unavailable"]
        else:
            assert "unavailable" not in record, (name, record)


def test_the_shape_of_a_ratio(quick: Path) -> None:
    records = {record["line"]: record for record in table.read(quick)}
    record = records["train-128-fp32"]
    assert record["source"] == "made-up texts" and record["threads"] == 2
    assert record["machine"]["versions"]["torch"] and record["tokens_per_second"]["value"] > 0
    assert [peer["reach"] for peer in record["peers"]] == [5, 2.8]
    for peer in record["peers"]:
        wanted = peer["seconds"]["value"] / record["seconds"]["value"]
        assert peer["ratio"]["value"] == pytest.approx(wanted, rel=2e-3)
    assert records["predict-mixed-torch-fp32"]["compared"]["equal"]
    assert records["embed-short-fp32"]["compared"]["equal"]
    assert records["zero-shot"]["compared"]["equal"]
    assert [step["rows"] for step in records["memory"]["steps"]] == [20, 60]
    assert [step["length"] for step in records["length"]["steps"]] == [16, 64]


def test_the_page_shows_the_results() -> None:
    page = table.PAGE.read_text("utf-8")
    shown = table.between_markers(page)
    assert shown == table.tables(table.read(table.RESULTS)), "python -m benchmarks.speed --table"


def test_the_table_of_a_quick_run(quick: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nobsolete\n{table.END}\nafter\n")
    table.write(quick, page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "obsolete" not in text
    assert "| training, mixed ≤ 128, fp32 |" in text and "Not available:" in text
    for line in text.splitlines():
        if line.startswith("| training"):
            assert line.count("|") in (11, 7)  # beside its peers, or in turns with the limit
    assert "| in turns with the limit | threads | real tokens/s |" in text


def record(line: str, **given: Any) -> dict[str, Any]:
    machine = {"processor": "X", "cores": 2, "python": "3.11", "versions": {"torch": "2"}}
    return {
        "kind": "ratio", "line": line, "title": line, "ours": "hfkit", "device": "cpu",
        "threads": 2, "source": "real texts", "machine": machine, **given,
    }  # fmt: skip


def test_the_last_result_of_a_line_counts() -> None:
    first, again = record("a", unavailable="no engine"), record("a", unavailable="not exported")
    shown = table.tables([first, record("b", unavailable="no engine"), again])
    assert "- a: not exported" in shown and "- b: no engine" in shown
    assert "**X, 2 cores, 2 threads, real texts.**" in shown


def test_the_work_of_a_model(tmp_path: Path) -> None:
    config = {"model_type": "bert", "hidden_size": 4, "num_hidden_layers": 2,
              "intermediate_size": 8}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = 2 * (4 * 4 * 4 + 2 * 4 * 8)
    attention = 2 * 4 * 4 * (3**2 + 5**2)
    assert useful_flops(tmp_path, [3, 5]) == 2 * weights * 8 + attention


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "absent"], "no such rows; there are: train-128"),
        (["--quick"], "its figures mean nothing"),
        (["--device", "cuda"], "NO CUDA DEVICE HERE"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path) -> None:
    results = [] if arguments == ["--quick"] else ["--results", str(tmp_path / "speed.jsonl")]
    done = speed(*arguments, *results, CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0 and said in done.stderr


def test_no_peer_gets_a_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {**WAITING_THREADS, **NO_BUFFERS}
    for name, value in ours.items():  # as importing hfkit has done, and predicting
        monkeypatch.setenv(name, value)
    assert not ours.keys() & environment(2).keys()
