"""Scores of hfkit beside transformers' Trainer: same rows, model, epochs, batch size and rate.

    python -m benchmarks.scores --runs FILE [--limit 2000] [--seeds 1 2 3] [--sets sst2 trec6]
    python -m benchmarks.scores --runs FILE --rates 5e-5 1e-4 2e-4 4e-4      hfkit alone, by rate
    python -m benchmarks.scores --runs FILE --table

Each run is a process of its own whose result is one line of FILE; what stands there is not run
again, so the script may be stopped and started at will. The data sets are read from the folder
named by HFKIT_TEST_DATA; the model is the MiniLM of the extra `demo`. Both sides use oneDNN for
fp32 products where the processor gains by it, which changes their speed and not their precision.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETS = {
    "sst2": ("sst2/train.tsv", "sst2/validation.tsv", {
        "no_header": True, "columns": "text,label", "quoting": "none"}),
    "trec6": ("trec6/train.txt", "trec6/validation.txt", {
        "no_header": True, "columns": "label,text", "delimiter": ":", "max_splits": 1}),
    "banking77": ("banking77/train.csv", "banking77/validation.csv", {}),
    "ag_news": ("ag_news/train.csv", "ag_news/validation.csv", {
        "no_header": True, "columns": "label,text,text_pair"}),
}  # fmt: skip
# hfkit's defaults, and those of transformers' TrainingArguments.
SETTINGS = {
    "hfkit's": {"lr": 2e-4, "batch_size": 16, "warmup": 0.1, "weight_decay": 0.01},
    "Trainer's": {"lr": 5e-5, "batch_size": 8, "warmup": 0.0, "weight_decay": 0.0},
}
EPOCHS = 3
MODEL = "minilm"
MAX_LENGTH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/scores.jsonl"))
    parser.add_argument("--sets", nargs="+", default=["sst2", "trec6", "banking77"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rates", nargs="+", type=float)
    parser.add_argument("--tools", nargs="+", default=["hfkit", "Trainer"])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS))
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run(json.loads(given.one))))
        return
    if not given.table:
        for job in jobs(given):
            execute(job, given.runs)
    table(given.runs)


def jobs(given: argparse.Namespace) -> list[dict]:
    """The runs asked for, seed by seed, so that an early stop leaves complete comparisons."""
    found = []
    for seed in given.seeds:
        for name in given.sets:
            base = {"set": name, "seed": seed, "limit": given.limit, "epochs": EPOCHS}
            if given.rates:
                own = SETTINGS["hfkit's"]
                found += [{**base, "tool": "hfkit", "settings": f"{rate:g}", **own, "lr": rate}
                          for rate in given.rates]  # fmt: skip
                continue
            found += [
                {**base, "tool": tool, "settings": settings, **SETTINGS[settings]}
                for settings in given.settings
                for tool in given.tools
            ]
    return found


def execute(job: dict, runs: Path) -> None:
    """Run one job in its own process, unless its result is there."""
    runs.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []
    if any(all(line.get(key) == value for key, value in job.items()) for line in known):
        return
    command = [sys.executable, "-m", "benchmarks.scores", "--one", json.dumps(job)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"failed: {job}\n{done.stderr[-2000:]}", file=sys.stderr)
        return
    result = json.loads(done.stdout.splitlines()[-1])
    with runs.open("a") as file:
        file.write(json.dumps({**job, **result}) + "\n")
    print({**job, **result}, file=sys.stderr, flush=True)


def run(job: dict) -> dict:
    """One training; returns its validation accuracy and the seconds it took."""
    from hfkit.model.arithmetic import set_arithmetic

    set_arithmetic("auto", None)  # both sides multiply alike
    root = Path(os.environ["HFKIT_TEST_DATA"])
    train, validation, reading = SETS[job["set"]]
    data = {"train": str(root / train), "validation": str(root / validation), "reading": reading}
    start = time.monotonic()
    score = (with_hfkit if job["tool"] == "hfkit" else with_trainer)(job, data)
    return {"accuracy": score, "seconds": round(time.monotonic() - start, 1)}


def with_hfkit(job: dict, data: dict) -> float:
    import hfkit

    with tempfile.TemporaryDirectory() as folder:
        done = hfkit.finetune(
            data["train"], validation=data["validation"], model=MODEL, output=f"{folder}/run",
            limit=job["limit"], epochs=job["epochs"], seed=job["seed"], lr=job["lr"],
            batch_size=job["batch_size"], warmup=job["warmup"], max_length=MAX_LENGTH,
            weight_decay=job["weight_decay"], precision="fp32", **data["reading"],
        )  # fmt: skip
        return done.splits["validation"].values["accuracy"]


def with_trainer(job: dict, data: dict) -> float:
    """The same, as the examples of transformers do it; the best epoch counts, as with hfkit."""
    import torch
    from datasets import Dataset
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        set_seed,
    )

    from benchmarks.quality.peers import train
    from hfkit.config import FinetuneConfig
    from hfkit.layers import resolve
    from hfkit.run.preparation import prepare

    given = {key: job[key] for key in ("limit", "seed")}
    files = {key: data[key] for key in ("train", "validation")}
    config = resolve(FinetuneConfig, {**files, **given, "model": MODEL, **data["reading"]}, {})
    prepared = prepare(config)  # the very rows that hfkit draws
    rows, held_out, labels = prepared.train, prepared.validation, prepared.task.labels
    folder = str(prepared.base.folder)
    set_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(part) -> Dataset:
        pairs = [row["text_pair"] for row in part.rows] if "text_pair" in part.rows[0] else None
        texts = [row["text"] for row in part.rows]
        found = tokenizer(texts, pairs, truncation=True, max_length=MAX_LENGTH)
        return Dataset.from_dict(
            {**found, "labels": [labels.index(row["label"]) for row in part.rows]}
        )

    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=len(labels), dtype=torch.float32
    )
    history = train(
        job, model, encoded(rows), encoded(held_out), DataCollatorWithPadding(tokenizer),
        lambda found: {
            "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
        },
    )  # fmt: skip
    return max(scores["accuracy"] for scores in history)


def table(runs: Path) -> None:
    """Mean and spread over the seeds, one line per data set, size and settings."""
    groups: dict[tuple, list[float]] = {}
    for line in runs.read_text().splitlines():
        found = json.loads(line)
        key = (found["set"], found["limit"] or "all", found["settings"], found["tool"])
        groups.setdefault(key, []).append(found["accuracy"])
    print("| data | rows | settings | tool | seeds | accuracy | sd |")
    print("|---|--:|---|---|--:|--:|--:|")
    for (name, limit, settings, tool), found in sorted(groups.items(), key=str):
        spread = f"{statistics.stdev(found):.4f}" if len(found) > 1 else ""
        mean = statistics.mean(found)
        print(f"| {name} | {limit} | {settings} | {tool} | {len(found)} | {mean:.4f} | {spread} |")


if __name__ == "__main__":
    main()
