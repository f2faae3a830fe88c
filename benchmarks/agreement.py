"""How many labels bf16 changes, of models that were fine-tuned for the texts they read.

    HFKIT_TEST_DATA=DATA python -m benchmarks.agreement

Fine-tunes MiniLM on each data set with hfkit's defaults, then answers the validation rows in fp32
and in bf16, with torch and, where it is installed, with OpenVINO. One line a model and engine goes
to benchmarks/results/agreement.jsonl; the table of all is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "agreement.jsonl"
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sst2": ("sst2/train.tsv", "sst2/validation.tsv", {
        "no_header": True, "columns": "text,label", "quoting": "none",
    }),
    "ag_news": ("ag_news/train.csv", "ag_news/validation.csv", {
        "no_header": True, "columns": "label,text,text_pair",
    }),
    "banking77": ("banking77/train.csv", "banking77/validation.csv", {}),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--limit", type=int, default=2000, help="training rows")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    for name in [] if given.table else given.sets:
        with tempfile.TemporaryDirectory() as folder, given.results.open("a") as file:
            for line in measured(name, Path(folder), given.limit):
                file.write(json.dumps(line) + "\n")
                print(line, flush=True)
    table(given.results)


def measured(name: str, folder: Path, limit: int) -> Iterator[dict[str, Any]]:
    """Fine-tune, answer in both arithmetics, and count what is equal."""
    import hfkit

    train, validation, reading = SETS[name]
    data = Path(os.environ["HFKIT_TEST_DATA"])
    run, source = str(folder / "run"), str(data / validation)
    done = hfkit.finetune(
        str(data / train), validation=source, model="minilm", output=run, quiet=True, limit=limit,
        seed=1, **reading,
    )  # fmt: skip
    accuracy = done.splits["validation"].values["accuracy"]
    engines = ["torch"]
    if find_spec("openvino"):
        hfkit.export(run, engine="openvino", quiet=True)
        engines.append("openvino")
    for engine in engines:
        full, half = (
            [
                row["prediction"]["label"]
                for row in hfkit.predict(
                    run, [source], engine=engine, precision=precision, quiet=True, **reading
                )
            ]
            for precision in ("fp32", "bf16")
        )
        equal = sum(one == other for one, other in zip(full, half, strict=True))
        yield {"set": name, "engine": engine, "training_rows": limit, "accuracy": accuracy,
               "rows": len(full), "equal": equal}  # fmt: skip


def table(results: Path) -> None:
    """Print the last record of each line, and the sum over the data sets."""
    records = [json.loads(line) for line in results.read_text().splitlines()]
    last = {(record["set"], record["engine"]): record for record in records}
    print("\n| data | accuracy (fp32) | engine in bf16 | rows | equal labels |")
    print("|---|--:|---|--:|--:|")
    for (name, engine), found in sorted(last.items()):
        share = found["equal"] / found["rows"]
        cells = [name, f"{found['accuracy']:.3f}", engine, f"{found['rows']:,}", f"{share:.2%}"]
        print(f"| {' | '.join(cells)} |")
    for engine in sorted({engine for _, engine in last}):
        of_engine = [found for (_, own), found in last.items() if own == engine]
        rows = sum(found["rows"] for found in of_engine)
        share = sum(found["equal"] for found in of_engine) / rows
        print(f"| all | | {engine} | {rows:,} | {share:.2%} |")


if __name__ == "__main__":
    main()
