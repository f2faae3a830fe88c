"""Short runs of every task, without dropout; `main` does them all in one group of processes."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from hfkit.cli.app import run

LINES = ["the rain and the storm", "my old drum today", "some bread near the oven", "snow again"]
USUAL = [
    "--max-steps", "6", "--batch-size", "6", "--lr", "1e-3", "--dropout", "0", "--precision",
    "fp32", "--device", "cpu", "--max-length", "24", "--threads", "1", "-q",
]  # fmt: skip
# Task -> the kind of its base model, and its own settings.
TASKS: dict[str, tuple[str, list[str]]] = {
    "classification": ("bert", []),
    "ner": ("bert", []),
    "similarity": ("bert", []),
    "qa": ("bert", []),
    "text2text": ("t5", ["--max-target-length", "6", "--beams", "1"]),
    "generation": ("gpt2", []),
    "clm": ("gpt2", []),
    "mlm": ("bert", []),
    "nsp": ("bert", ["--mlm"]),
}


def rows(task: str) -> list[dict[str, Any]]:
    """Rows of this task, some short and some long."""
    chance = random.Random(3)
    found: list[dict[str, Any]] = []
    for number in range(48):
        text = " ".join(chance.choices(LINES, k=chance.randint(1, 2)))
        words = text.split()
        found.append({
            "classification": {"text": text, "label": "ab"[number % 2]},
            "ner": {"tokens": words, "tags": ["B-X", *["O"] * (len(words) - 1)]},
            "similarity": {"text": text, "text_pair": chance.choice(LINES), "score": number % 5},
            "qa": {"question": words[0], "context": text,
                   "answers": {"text": [words[-1]], "answer_start": [text.rindex(words[-1])]}},
            "text2text": {"source": text, "target": words[0]},
            "generation": {"prompt": text, "completion": " " + words[0]},
        }.get(task, {"text": text, "document": number // 4}))  # fmt: skip
    return found


def arguments(folder: Path, task: str, out: Path) -> list[str]:
    """The command of a run. `folder` holds the base models and the rows."""
    kind, more = TASKS[task]
    data = str(folder / f"{task}.jsonl")
    return [
        "finetune", data, "--validation", data, "-t", task, "-m", str(folder / kind), "-o",
        str(out), *USUAL, *more,
    ]  # fmt: skip


def write_rows(folder: Path) -> None:
    for task in TASKS:
        lines = "".join(json.dumps(row) + "\n" for row in rows(task))
        (folder / f"{task}.jsonl").write_text(lines, "utf-8")


def main(folder: Path, out: Path) -> int:
    """Run all; the first exit code that is not 0."""
    for task in TASKS:
        code = run([*arguments(folder, task, out / task), "--num-processes", "2"])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
