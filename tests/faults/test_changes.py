"""A run is gone on with only as what it was: each change that changes the result is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from toys import toy_rows, write_base_model, write_csv

from hfkit.cli.app import run as command_line


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The files of a run that the time limit ended."""
    folder = tmp_path_factory.mktemp("begun")
    write_base_model(folder / "base")
    write_base_model(folder / "other", hidden_dropout_prob=0.0, num_hidden_layers=1)
    rows = toy_rows(40)
    write_csv(folder / "train.csv", rows)
    write_csv(folder / "reordered.csv", [*rows[20:], *rows[:20]])
    write_csv(folder / "a-byte.csv", [{**rows[0], "text": rows[0]["text"] + "!"}, *rows[1:]])
    other = next(row["label"] for row in rows if row["label"] != rows[0]["label"])
    write_csv(folder / "a-label.csv", [{**rows[0], "label": other}, *rows[1:]])
    write_csv(folder / "fewer.csv", rows[:-1])
    write_csv(folder / "validation.csv", toy_rows(12, seed=3))
    write_csv(folder / "validation-2.csv", toy_rows(12, seed=4))
    assert command_line([*arguments(folder), "--max-time", "0.001s", "-q"]) == 75
    return folder


def arguments(folder: Path, train: str = "train.csv", base: str = "base") -> list[str]:
    return [
        "finetune", str(folder / train), "-m", str(folder / base), "-o", str(folder / "run"),
        "--validation", str(folder / "validation.csv"), "--lr", "1e-3", "--max-length", "32",
        "--epochs", "4", "--threads", "1", "--precision", "fp32", "--kernels", "default",
        "--device", "cpu", "--checkpoint-every", "3",
    ]  # fmt: skip


# fmt: off
CHANGES = {
    "training rows": ({"train": "a-byte.csv"}, [], "training data was"),
    "row order": ({"train": "reordered.csv"}, [], "training data was"),
    "labels": ({"train": "a-label.csv"}, [], "training data was"),
    "number of rows": ({"train": "fewer.csv"}, [], "training data was"),
    "limit": ({}, ["--limit", "30"], "limit was null, now 30"),
    "validation data": ({}, ["--validation", "{folder}/validation-2.csv"], "validation data was"),
    "test data": ({}, ["--test", "{folder}/validation-2.csv"], "test data was"),
    "base model": ({"base": "other"}, [], "base model was"),
    "smoothing": ({}, ["--label-smoothing", "0.1"], "options.label_smoothing was 0.0, now 0.1"),
    "batch size": ({}, ["-b", "8"], "batch_size was 16, now 8"),
    "seed": ({}, ["--seed", "7"], "seed was 42, now 7"),
    "learning rate": ({}, ["--lr", "2e-3"], "lr was 0.001, now 0.002"),
    "schedule": ({}, ["--schedule", "cosine"], "schedule was linear, now cosine"),
    "warm-up": ({}, ["--warmup", "0"], "warmup was 0.1, now 0"),
    "weight decay": ({}, ["--weight-decay", "0.1"], "weight_decay was 0.01, now 0.1"),
    "clipping": ({}, ["--max-grad-norm", "0"], "max_grad_norm was 1.0, now 0"),
    "optimizer": ({}, ["--optim", "adafactor"], "optim was adamw, now adafactor"),
    "precision": ({}, ["--precision", "bf16"], "precision was fp32, now bf16"),
    "threads": ({}, ["--threads", "2"], "threads was 1, now 2"),
    "kernels": ({}, ["--kernels", "onednn"], "kernels was default, now onednn"),
    "longest window": ({}, ["--max-length", "16"], "max_length was 32, now 16"),
    "epochs": ({}, ["--epochs", "5"], "epochs was 4.0, now 5.0"),
    "steps": ({}, ["--max-steps", "9"], "max_steps was null, now 9"),
    "dropout": ({}, ["--dropout", "0"], "dropout was null, now 0.0"),
    "order by length": ({}, ["--no-group-by-length"], "group_by_length was true, now false"),
    "evaluations": ({}, ["--eval-every", "2"], "eval_every was null, now 2"),
    "patience": ({}, ["--patience", "2"], "patience was null, now 2"),
    "weights of classes": ({}, ["--class-weights", "balanced"], "was none, now balanced"),
    "padding": ({}, ["--no-unpad"], "unpad was true, now false"),
    "processes": ({}, ["--num-processes", "2"], "num_processes was 1, now 2"),
}
# fmt: on


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_refused_by_what_it_was(begun, capfd, name):
    files, flags, says = CHANGES[name]
    flags = [flag.format(folder=begun) for flag in flags]
    before = {path: path.stat().st_mtime_ns for path in (begun / "run").rglob("*")}
    capfd.readouterr()
    assert command_line([*arguments(begun, **files), *flags, "-q"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "run: holds another run (" in line and says in line
    assert "--overwrite to move it aside" in line
    assert before == {path: path.stat().st_mtime_ns for path in (begun / "run").rglob("*")}


def test_the_table_is_long_enough(measured):
    assert len(CHANGES) >= 15
    measured("T4", "a run gone on with one thing changed", changes=len(CHANGES),
             refused_with_was_and_now=len(CHANGES))  # fmt: skip


@pytest.mark.parametrize(
    "flags", [["--micro-batch", "4"], ["--batch-tokens", "64"], ["--checkpoint-every", "5"], ["-v"]]
)
def test_how_a_step_is_cut_may_change_and_is_said(begun, capfd, flags, tmp_path):
    """What ran out of memory goes on in smaller parts."""
    out = shutil.copytree(begun / "run", tmp_path / "run")
    given = [*arguments(begun), *flags, "-o", str(out), "--max-time", "0.001s"]
    capfd.readouterr()
    assert command_line(given) == 75
    stderr = capfd.readouterr().err
    assert "continuing from step" in stderr
    name = flags[0].strip("-").replace("-", "_")
    told = f"{name} was not set when this run began, now {flags[-1]}: its last bits will differ"
    assert (told in stderr) == (name in ("micro_batch", "batch_tokens"))


def test_other_versions_are_warned_of(begun, capfd, tmp_path):
    out = shutil.copytree(begun / "run", tmp_path / "run")
    run = json.loads((out / "run.json").read_text())
    run["begun_with"]["torch"] = "1.0"
    (out / "run.json").write_text(json.dumps(run))
    capfd.readouterr()
    assert command_line([*arguments(begun), "-o", str(out), "--max-time", "0.001s"]) == 75
    assert "torch was 1.0 when this run began, now " in capfd.readouterr().err
