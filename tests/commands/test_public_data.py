"""Real data sets in their published formats, from the command line, with flags alone.

A tiny random model learns nothing here: this is about reading, training, scoring and predicting
without a conversion script.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit.cli.app import run as command_line

NO_HEADER = ["--no-header", "--columns"]
CASES = {
    "sst2": ("train.tsv", "validation.tsv", [*NO_HEADER, "text,label", "--quoting", "none"]),
    "trec6": (
        "train.txt",
        "validation.txt",
        [*NO_HEADER, "label,text", "--delimiter", ":", "--max-splits", "1"],
    ),
    "banking77": ("train.csv", "validation.csv", []),
    "ag_news": (
        "train.csv",
        "validation.csv",
        [*NO_HEADER, "label,title,description", "--text-column", "title",
         "--text-pair-column", "description", "--label-names", "classes.txt"],
    ),
    "go_emotions": (
        "train.tsv",
        "validation.tsv",
        [*NO_HEADER, "text,labels,_", "--quoting", "none", "--label-delimiter", ",",
         "--label-names", "labels.txt"],
    ),
    "chnsenticorp": ("train.tsv", "validation.tsv", ["--quoting", "none"]),
    "stsb": (
        "sts-train.csv",
        "sts-dev.csv",
        [*NO_HEADER, "_,_,_,_,score,sentence1,sentence2", "--delimiter", "tab", "--quoting", "none",
         "--extra-columns", "ignore", "-t", "regression"],
    ),
}  # fmt: skip
PREDICTED = {"go_emotions": "labels", "stsb": "value"}


def flags_of(folder: Path, flags: list[str]) -> list[str]:
    """Names of label files stand beside the data."""
    return [str(folder / flag) if flag in ("classes.txt", "labels.txt") else flag for flag in flags]


@pytest.mark.parametrize("name", CASES)
def test_train_evaluate_predict(
    name: str,
    real_data: Callable[[str], Path],
    tiny_base_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = real_data(name)
    train, validation, flags = CASES[name]
    flags = flags_of(folder, flags)
    go_through(folder / train, folder / validation, flags, tiny_base_folder, tmp_path, capfd)
    check(name, tmp_path)


def test_parallel_files_are_pasted(
    real_data: Callable[[str], Path],
    tiny_base_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`paste train_text.txt train_labels.txt` makes one file of two."""
    folder = real_data("tweet_emotion")
    pasted = {}
    for part in ("train", "validation"):
        texts, labels = (
            (folder / f"{part}_{what}.txt").read_text("utf-8").rstrip("\n").split("\n")
            for what in ("text", "labels")
        )
        pasted[part] = tmp_path / f"{part}.tsv"
        lines = [f"{text}\t{label}\n" for text, label in zip(texts, labels, strict=True)]
        pasted[part].write_text("".join(lines), "utf-8")
    flags = [*NO_HEADER, "text,label", "--quoting", "none", "--label-names"]
    flags += [str(folder / "mapping.txt")]
    go_through(pasted["train"], pasted["validation"], flags, tiny_base_folder, tmp_path, capfd)
    labels = json.loads((tmp_path / "run/config.json").read_text())["id2label"].values()
    assert set(labels) == {"anger", "joy", "optimism", "sadness"}


def go_through(
    train: Path, validation: Path, flags: list[str], base: Path, out: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Fine-tune, evaluate and predict, as a user would type it."""

    def hfkit(*arguments: object) -> str:
        capfd.readouterr()
        code = command_line([*map(str, arguments), "--device", "cpu"])
        stdout, stderr = capfd.readouterr()
        assert code == 0, stderr
        return stdout

    run = out / "run"
    hfkit(
        "finetune", train, "-m", base, "--validation", validation, "-o", run, "--max-steps", 2,
        "--limit", 400, "--max-length", 32, "--on-long", "truncate", *flags,
    )  # fmt: skip
    shown = json.loads(hfkit("evaluate", run, validation, *flags))
    saved = json.loads((run / "metrics.json").read_text())["scores"]["validation"]
    assert shown["values"] == pytest.approx(saved["values"], abs=1e-3)  # near ties
    output = hfkit("predict", run, validation, "--limit", 50, "--format", "jsonl", *flags)
    (out / "predictions.jsonl").write_text(output)
    as_csv = hfkit("predict", run, validation, "--limit", 50, "--format", "csv", *flags)
    assert len(list(csv.reader(io.StringIO(as_csv)))) == 51


def check(name: str, out: Path) -> None:
    records = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert len(records) == 50
    key = PREDICTED.get(name, "label")
    assert all(key in record["prediction"] for record in records)
    config = json.loads((out / "run/config.json").read_text())
    if name == "ag_news":
        assert sorted(config["id2label"].values()) == ["Business", "Sci/Tech", "Sports", "World"]
    if name == "go_emotions":
        assert config["problem_type"] == "multi_label_classification"
        assert "admiration" in config["id2label"].values()
    if name == "stsb":
        assert config["problem_type"] == "regression"
