"""Whether training without padding ends at the same scores as with it, dropout on.

    HFKIT_TEST_DATA=DATA python -m benchmarks.padding

Fine-tunes MiniLM on drawn rows of three data sets with each seed, with and without padding, fp32;
one line a run, then the paired differences of the validation scores with 95 % intervals (Student's
t over the seeds). Dropout draws other numbers for other shapes, so single runs differ.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "padding.jsonl"
SETS = {
    "sst2": ("sst2/train.tsv", "sst2/validation.tsv", "accuracy", {
        "task": "classification", "no_header": True, "columns": "text,label", "quoting": "none",
    }),
    "wnut17": ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll", "f1", {"task": "ner"}),
    "stsb": ("stsb/sts-train.csv", "stsb/sts-dev.csv", "spearman", {
        "task": "similarity", "no_header": True, "delimiter": "tab", "quoting": "none",
        "columns": "_,_,_,_,score,sentence1,sentence2", "extra_columns": "ignore",
    }),
}  # fmt: skip
# Student's t at 97.5 % by degrees of freedom.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.padding")
    parser.add_argument("--runs", type=Path, default=RESULTS)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--limit", type=int, default=1000, help="training rows")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if not given.table:
        for seed in given.seeds:
            for name in given.sets:
                for unpad in (True, False):
                    job = {"set": name, "seed": seed, "unpad": unpad, "limit": given.limit,
                           "epochs": given.epochs}  # fmt: skip
                    execute(job, given.runs)
    table(given.runs)


def known(runs: Path) -> list[dict]:
    return [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []


def execute(job: dict, runs: Path) -> None:
    """One run, unless its line is there."""
    if any(all(line.get(key) == value for key, value in job.items()) for line in known(runs)):
        return
    import hfkit

    train, validation, score, reading = SETS[job["set"]]
    data = Path(os.environ["HFKIT_TEST_DATA"])
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = hfkit.finetune(
            str(data / train), validation=str(data / validation), model="minilm",
            output=f"{folder}/run", precision="fp32", quiet=True, limit=job["limit"],
            seed=job["seed"], unpad=job["unpad"], epochs=job["epochs"], **reading,
        )  # fmt: skip
        value = done.splits["validation"].values[score]
    line = {**job, "score": score, "value": value, "seconds": round(time.monotonic() - start, 1)}
    with runs.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def table(runs: Path) -> None:
    print("\n| data | score | seeds | padded | without padding | difference (95 %) |")
    print("|---|---|--:|--:|--:|--:|")
    for name in SETS:
        lines = [line for line in known(runs) if line["set"] == name]
        by_side = [
            {line["seed"]: line["value"] for line in lines if line["unpad"] is unpad}
            for unpad in (False, True)
        ]
        seeds = sorted(by_side[0].keys() & by_side[1].keys())
        if len(seeds) < 2:
            continue
        padded, packed = ([side[seed] for seed in seeds] for side in by_side)
        apart = [one - other for one, other in zip(packed, padded, strict=True)]
        reach = T[len(seeds) - 1] * statistics.stdev(apart) / len(seeds) ** 0.5
        cells = [f"{statistics.mean(side):.3f} ± {statistics.stdev(side):.3f}"
                 for side in (padded, packed)]  # fmt: skip
        print("|", " | ".join([name, lines[0]["score"], str(len(seeds)), *cells,
                               f"{statistics.mean(apart):+.3f} ± {reach:.3f}"]), "|")  # fmt: skip


if __name__ == "__main__":
    main()
