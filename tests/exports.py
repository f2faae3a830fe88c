"""Exported runs of every task, made once for the tests that only read them, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import write_files
from toys import read_jsonl, toy_rows, write_base_model, write_classifier, write_csv

from hfkit.cli.app import run as command_line

# Name -> the data (a name of pages.py, or "toy.csv"), and the flags that a task needs.
TASKS = {
    "classification": ("toy.csv", []),
    "ner": ("people.jsonl", ["-t", "ner"]),
    "qa": ("squad.json", ["-t", "qa"]),
    "vectors": ("pairs.csv", ["-t", "similarity", "--pooling", "cls"]),
    "pairs": ("pairs.csv", ["-t", "similarity", "--architecture", "cross-encoder"]),
}
HEAVY = [
    "torch", "transformers", "datasets", "pandas", "pyarrow", "accelerate", "sklearn", "scipy",
]  # fmt: skip
OUTPUTS = {"qa": ["start_logits", "end_logits"], "vectors": ["embeddings"]}


def go(*arguments: object) -> int:
    """Run a command line in this process."""
    return command_line([str(argument) for argument in arguments])


def write_runs(folder: Path, base: Path) -> Path:
    """Write a short run of each task, exported, beside the files it was trained on; and two models
    that are no runs, `plain` and `encoder`."""
    write_files(folder)
    write_csv(folder / "toy.csv", toy_rows(60))
    for name, (data, flags) in TASKS.items():
        code = go(
            "finetune", folder / data, "-m", base, "-o", folder / name, *flags,
            "--validation", folder / data, "--max-steps", 2, "--max-length", 64,
            "--device", "cpu", "-q",
        )  # fmt: skip
        assert code == 0
        assert go("export", folder / name, "-q") == 0
    write_classifier(folder / "plain")
    assert go("export", folder / "plain", "-q") == 0
    write_base_model(folder / "encoder")
    assert go("export", folder / "encoder", "-t", "similarity", "-q") == 0
    return folder


def read_report(folder: Path) -> dict[str, Any]:
    """What export.json says."""
    found: dict[str, Any] = json.loads((folder / "onnx" / "export.json").read_text("utf-8"))
    return found


def change_report(folder: Path, **changes: Any) -> None:
    """Change what export.json says."""
    path = folder / "onnx" / "export.json"
    path.write_text(json.dumps({**read_report(folder), **changes}))


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


Answer = tuple[dict[str, float], dict[str, Any]]


def answers(path: Path) -> list[Answer]:
    """The answers of a file of predictions, each as a mapping of numbers and one of the rest."""
    return [parted("", read["prediction"], {}, {}) for read in read_jsonl(path)]


def parted(name: str, value: Any, numbers: dict[str, float], words: dict[str, Any]) -> Answer:
    """Sort the values of an answer, at any depth, into numbers and others."""
    if isinstance(value, float):
        numbers[name] = value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            parted(f"{name}.{key}", inner, numbers, words)
    else:
        words[name] = value
    return numbers, words
