"""Real translations and summaries in their published formats, from the command line.

A tiny random model learns nothing here: this is about reading, training, writing and scoring.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import read_jsonl, write_writer

from hfkit.cli.app import run as command_line

TABLE = ["--no-header", "--quoting", "none", "--columns"]
# Name -> training file, validation file, flags, what is shown first, the tokenizer of its scores.
CASES: dict[str, tuple[str, str, list[str], str, str]] = {
    "dialogsum": ("train.jsonl", "validation.jsonl", [], "rougeL", "Porter"),
    "csl_title": (
        "train.tsv", "validation.tsv", [*TABLE, "_,text,title", "-t", "summarization"],
        "rougeL", "words of any script"),
    "tatoeba_en_zh": (
        "train.txt", "validation.txt",
        [*TABLE, "source,target,_", "--input-format", "tsv", "-t", "translation"],
        "chrf++", "tok:zh"),
    "multi30k_en_de": (
        "train.tsv", "val.tsv", [*TABLE, "source,target", "-t", "translation"],
        "chrf++", "tok:13a"),
}  # fmt: skip


def pasted(folder: Path, to: Path, name: str) -> Path:
    """Two files with a sentence a line as one table."""
    stem = name.removesuffix(".tsv")
    sides = [(folder / f"{stem}.{end}").read_text("utf-8").splitlines() for end in ("en", "de")]
    rows = (f"{first.strip()}\t{second.strip()}\n" for first, second in zip(*sides, strict=True))
    (to / name).write_text("".join(rows), "utf-8")
    return to / name


@pytest.mark.parametrize("name", CASES)
def test_train_evaluate_predict(
    name: str, real_data: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = real_data(name)
    train, validation, flags, headline, tokenizer = CASES[name]
    files = [folder / one for one in (train, validation)]
    if name == "multi30k_en_de":
        files = [pasted(folder, tmp_path, one) for one in (train, validation)]
    base = write_writer(tmp_path / "t5")
    limits = ["--max-length", "32", "--max-target-length", "8", "--beams", "1"]
    small = tmp_path / f"few{files[1].suffix}"  # writing takes longest
    small.write_text("\n".join(files[1].read_text("utf-8").split("\n")[:30]) + "\n", "utf-8")
    out = str(tmp_path / "run")

    def go(*arguments: str) -> tuple[str, str]:
        code = command_line(list(arguments))
        captured = capfd.readouterr()
        assert code == 0, captured.err
        return captured.out, captured.err

    reading = flags[: flags.index("-t")] if "-t" in flags else flags
    _, err = go("finetune", str(files[0]), "-m", str(base), "--validation", str(small), "-o", out,
                "--max-steps", "2", *limits, *flags)  # fmt: skip
    assert tokenizer in err
    stdout, _ = go("evaluate", out, str(small), *reading)
    assert json.loads(stdout)["headline"] == headline
    go("predict", out, str(small), "-o", str(tmp_path / "written.jsonl"), *reading)
    records = read_jsonl(tmp_path / "written.jsonl")
    assert len(records) == 30
    assert all(isinstance(one["prediction"]["text"], str) for one in records)
