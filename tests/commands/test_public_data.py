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
from hfkit.model.locate import packaged_minilm

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
SICK = [
    "--input-format",
    "tsv",
    "--text-column",
    "sentence_A",
    "--text-pair-column",
    "sentence_B",
    "--label-column",
]
QA = ["--max-length", "128", "--on-long", "window"]  # short windows of long contexts are many
# Name -> folder, training file, validation file, flags, task, what an answer holds.
MORE: dict[str, tuple[str, str, str, list[str], str, str]] = {
    "wnut17": ("wnut17", "wnut17train.conll", "emerging.dev.conll", [], "ner", "entities"),
    "wikigold": ("wikigold", "train.conll.txt", "validation.conll.txt", [], "ner", "entities"),
    "sec_filings": (
        "sec_filings", "FIN5.train.txt", "FIN5.validation.txt", [], "ner", "entities"),
    "ncbi_disease": ("ncbi_disease", "train.tsv", "devel.tsv", [], "ner", "entities"),
    "germeval2014": ("germeval2014", "train.tsv", "validation.tsv", [], "ner", "entities"),
    "weibo_ner": (
        "weibo_ner", "weiboNER_2nd_conll.train", "weiboNER_2nd_conll.dev", [], "ner", "entities"),
    "cluener": ("cluener", "train.json", "validation.json", [], "ner", "entities"),
    "squad_v1": ("squad_v1", "train.json", "validation.json", QA, "qa", "answer"),
    "squad_v2": ("squad_v2", "train.json", "validation.json", QA, "qa", "answer"),
    "cmrc2018": ("cmrc2018", "train.json", "validation.json", QA, "qa", "answer"),
    "xquad": ("xquad", "xquad.en.json", "xquad.zh.json", QA, "qa", "answer"),
    "stsb-similarity": (
        "stsb", "sts-train.csv", "sts-dev.csv", [*CASES["stsb"][2], "-t", "similarity"],
        "similarity", "score"),
    "sick-similarity": (
        "sick", "SICK_train.txt", "SICK_trial.txt",
        [*SICK, "relatedness_score", "-t", "similarity", "--architecture", "cross-encoder"],
        "similarity", "score"),
    "stsb_multi_mt": (
        "stsb_multi_mt", "stsb-de-train.csv", "stsb-de-dev.csv",
        [*NO_HEADER, "sentence1,sentence2,score"], "similarity", "score"),
    "afqmc": (
        "afqmc", "train.txt", "validation.txt",
        [*NO_HEADER, "sentence1,sentence2,label", "--quoting", "none", "-t", "similarity"],
        "similarity", "score"),
    "snli": ("snli", "train.tsv", "validation.tsv", ["--quoting", "none", "-t", "nli"],
             "classification", "label"),
    "sick-nli": ("sick", "SICK_train.txt", "SICK_trial.txt",
                 [*SICK, "entailment_judgment", "-t", "nli"], "classification", "label"),
    "ocnli": ("ocnli", "train.3k.json", "dev.json", ["-t", "nli", "--label-column", "label"],
              "classification", "label"),
}  # fmt: skip
TRAINING_ONLY = ("--architecture",)  # a run knows it


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


@pytest.mark.parametrize("name", MORE)
def test_the_other_tasks(
    name: str,
    real_data: Callable[[str], Path],
    tiny_base_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder, train, validation, flags, task, key = MORE[name]
    folder = real_data(folder)
    go_through(folder / train, folder / validation, flags, tiny_base_folder, tmp_path, capfd)
    records = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().split("\n")
               if line]  # fmt: skip
    assert len(records) == 50
    assert all(key in record["prediction"] for record in records)
    assert json.loads((tmp_path / "run/metrics.json").read_text())["task"] == task


@pytest.mark.parametrize("name", ["ag_news", "trec6"])
def test_zero_shot_with_the_packaged_model(
    name: str,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It works at once, and far above chance."""
    if packaged_minilm() is None:
        pytest.skip("the extra `demo` is not installed")
    folder = real_data(name)
    _, validation, flags = CASES[name]
    if name == "ag_news":
        flags = [*NO_HEADER, "label,_,text", "--label-names", "classes.txt"]
        labels = (folder / "classes.txt").read_text().split()
    else:
        labels = ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    capfd.readouterr()
    arguments = [
        "evaluate",
        "minilm",
        str(folder / validation),
        "-t",
        "zero-shot",
        "--limit",
        "100",
    ]
    arguments += ["--labels-file", str(tmp_path / "labels.txt"), *flags_of(folder, flags)]
    code = command_line([*arguments, "--device", "cpu"])
    out, err = capfd.readouterr()
    assert code == 0, err
    scores = json.loads(out)["values"]
    assert scores["accuracy"] > (0.45 if name == "ag_news" else 0.2)


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
    flags = [f for n, f in enumerate(flags) if not {f, flags[n - 1]} & set(TRAINING_ONLY)]
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
