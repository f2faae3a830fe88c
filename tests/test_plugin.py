"""A third party's package, one file with entry points, without a change to hfkit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from toys import toy_rows, write_csv

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in, really installed, into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    command += ["--target", str(target), str(PLUGIN)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_the_plug_in_finetunes_evaluates_and_predicts(
    installed: Path, tiny_base_folder: Path, tmp_path: Path
) -> None:
    import os

    def hfkit(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "hfkit", *map(str, arguments)],
            capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(installed)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    rows = [{"text": row["text"].upper() if n % 2 else row["text"]} for n, row in
            enumerate(toy_rows(48))]  # fmt: skip
    data = write_csv(tmp_path / "loud.csv", rows)
    assert "shouting" in hfkit("tasks")
    run = tmp_path / "run"
    hfkit(
        "finetune", data, "-t", "shouting", "-m", tiny_base_folder, "-o", run,
        "--validation", "0.25", "--max-steps", 3, "--set", "scale=10",
    )  # fmt: skip
    saved = json.loads((run / "metrics.json").read_text())
    assert saved["task"] == "shouting"
    assert "error" in saved["scores"]["validation"]["values"]
    answer = json.loads(hfkit("predict", run, "STOP IT", "--format", "jsonl"))
    assert isinstance(answer["prediction"]["loudness"], float)
    scores = json.loads(hfkit("evaluate", run, data))
    assert scores["values"]["error"] > 0
    assert "scale: 10.0" in (run / "hfkit.yaml").read_text()
