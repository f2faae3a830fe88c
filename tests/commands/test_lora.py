"""Adapters from the command line: every task, opened again elsewhere, merged, exported, refused."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exports import flip
from pages import write_files
from safetensors import safe_open
from safetensors.torch import load_file
from toys import write_base_model, write_writer

from hfkit.cli.app import run as command_line
from hfkit.model import lora

Command = Callable[..., tuple[int, str, str]]

# Task -> its file, and something to ask.
TASKS: dict[str, tuple[str, list[str]]] = {
    "classification": ("toys.csv", ["rain and snow"]),
    "ner": ("people.conll", ["Anna Roth left Bern."]),
    "qa": ("squad.json", ["question=Where is the key?", "context=The key is on the shelf."]),
    "similarity": ("pairs.csv", ["text=Anna left", "text_pair=Ben left"]),
    "text2text": ("dialogues.jsonl", ["Anna: Where is the key? Ben: On the shelf."]),
}
SCORES = {task: ["--scores"] if task in ("classification", "ner") else [] for task in TASKS}
FAST = ["--device", "cpu", "--max-length", 48, "--max-steps", 4, "--lr", "2e-2", "-q"]


def ask(run: Path, question: list[str], **options: Any) -> str:
    """The answer of a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "hfkit", "predict", run, *question, "--device", "cpu"],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, toy_files: dict[str, Path]) -> Path:
    folder = write_files(tmp_path_factory.mktemp("lora"))
    shutil.copy(toy_files["train"], folder / "toys.csv")
    write_base_model(folder / "bert", "bert")
    write_writer(folder / "t5", "t5")
    return folder


@pytest.fixture(scope="module", params=list(TASKS))
def runs(request: pytest.FixtureRequest, files: Path) -> tuple[str, Path, Path]:
    """A task, a run that is an adapter, and the same one merged."""
    task = request.param
    found = []
    for name in ("adapter", "merged"):
        out = files / f"{task}-{name}"
        merge = ["--merge"] if name == "merged" else []
        arguments = [
            "finetune", files / TASKS[task][0], "-t", task,
            "-m", files / ("t5" if task == "text2text" else "bert"),
            "--lora", "r=4", "-o", out, *FAST, *merge,
        ]  # fmt: skip
        assert command_line([str(argument) for argument in arguments]) == 0
        found.append(out)
    return task, *found


def test_a_new_process_answers_as_the_merged_model(
    hfkit: Command, runs: tuple[str, Path, Path]
) -> None:
    task, adapter, merged = runs
    question, scores = TASKS[task][1], SCORES[task]
    here = [hfkit("predict", run, *question, *scores, "--device", "cpu") for run in runs[1:]]
    assert [code for code, _, _ in here] == [0, 0]
    there = ask(adapter, [*question, *scores])
    assert there == here[0][1] == here[1][1] != ""
    saved = [json.loads((run / "metrics.json").read_text())["scores"] for run in (adapter, merged)]
    assert saved[0] == saved[1]


def test_what_the_folders_hold(runs: tuple[str, Path, Path]) -> None:
    _, adapter, merged = runs
    assert not (adapter / "model.safetensors").exists()
    assert (merged / "model.safetensors").exists() and not (merged / "adapter").exists()
    assert (adapter / "config.json").read_text() == (merged / "config.json").read_text()
    same = {path.name for path in merged.iterdir()} - {"model.safetensors"}
    assert same == {path.name for path in adapter.iterdir()} - {"adapter"}
    said = json.loads((adapter / "adapter" / "base.json").read_text())
    assert said["name"].endswith(("bert", "t5")) and not Path(said["place"]).is_absolute()
    with safe_open(adapter / "adapter" / "adapter_model.safetensors", "pt") as tensors:
        assert all(name.startswith("base_model.model.") for name in tensors.keys())  # noqa: SIM118
    card = (adapter / "README.md").read_text()
    assert "library_name: peft" in card and "PeftModel" in card
    assert "PeftModel" not in (merged / "README.md").read_text()


@pytest.fixture
def adapter(files: Path, tmp_path: Path) -> Path:
    """The run of the classifier and its base model, to be changed."""
    source = files / "alone"
    if not source.exists():
        arguments = ["finetune", "toys.csv", "-m", "bert", "--lora", "r=4", "-o", source, *FAST]
        with contextlib.chdir(files):
            assert command_line([str(argument) for argument in arguments]) == 0
    shutil.copytree(files / "bert", tmp_path / "bert")
    return Path(shutil.copytree(source, tmp_path / "run"))


def test_what_is_said_and_what_learns(hfkit: Command, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["finetune", files / "toys.csv", "-m", files / "bert", "-o", out, "--lora", "4"]
    code, _, stderr = hfkit(*arguments, "--max-steps", 2, "--device", "cpu")
    assert code == 0, stderr
    assert "by adapters); override with --lr" in stderr
    assert "parameters: adapters of rank 4 in query, value; whole: classifier" in stderr
    assert "lora: r=4,alpha=8,dropout=0,targets=attention" in (out / "hfkit.yaml").read_text()
    code, _, stderr = hfkit(*arguments[:-1], "r=4,alpha=8", "--max-steps", 2, "--device", "cpu")
    assert code == 0 and "this run is finished" in stderr


def test_adapters_learn(
    hfkit: Command, toy_files: dict[str, Path], files: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, stderr = hfkit(
        "finetune", toy_files["train"], "-m", files / "bert", "--lora", "r=8,targets=all",
        "--validation", toy_files["validation"], "--lr", "1e-2", "--epochs", 20, "-o", out,
        "--device", "cpu",
    )  # fmt: skip
    assert code == 0, stderr
    scores = json.loads((out / "metrics.json").read_text())["scores"]["validation"]["values"]
    assert scores["accuracy"] > 0.85


def test_a_stopped_run_goes_on_to_the_same_adapter(
    hfkit: Command, files: Path, tmp_path: Path
) -> None:
    arguments = ["finetune", files / "toys.csv", "-m", files / "bert", "--lora", "r=4,dropout=0.1",
                 "--epochs", 2, "--device", "cpu"]  # fmt: skip
    assert hfkit(*arguments, "-o", tmp_path / "whole")[0] == 0
    assert hfkit(*arguments, "-o", tmp_path / "cut", "--max-time", "0.001s")[0] == 75
    code, _, stderr = hfkit(*arguments, "-o", tmp_path / "cut")
    assert code == 0 and "continuing from step" in stderr
    name = Path("adapter/adapter_model.safetensors")
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("flags", [["--freeze-embeddings"], ["--freeze-layers", 1]], ids=str)
def test_frozen_parts_stay(
    hfkit: Command, files: Path, tmp_path: Path, flags: list[object]
) -> None:
    out = tmp_path / "out"
    code, _, stderr = hfkit("finetune", files / "toys.csv", "-m", files / "bert", "-o", out,
                            *FAST[:-1], *flags)  # fmt: skip
    assert code == 0 and "parameters: all but the " in stderr
    before = load_file(files / "bert" / "model.safetensors")
    after = load_file(out / "model.safetensors")
    kept = {name for name in before if (after[f"bert.{name}"] == before[name]).all()}
    place = "embeddings.word_embeddings" if "embed" in str(flags) else "encoder.layer.0."
    other = "encoder.layer.1.output.dense.weight"
    assert {name for name in before if name.startswith(place)} <= kept
    assert other not in kept


def test_evaluate_and_export(hfkit: Command, files: Path, adapter: Path) -> None:
    table = files / "toys.csv"
    code, stdout, stderr = hfkit("evaluate", adapter, table, "--device", "cpu", "--json")
    assert code == 0, stderr
    torch_scores = json.loads(stdout)["values"]
    code, _, stderr = hfkit("export", adapter, table)
    assert code == 0, stderr
    code, stdout, stderr = hfkit("evaluate", adapter, table, "--engine", "onnx", "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["values"]["accuracy"] == torch_scores["accuracy"]


def test_vectors_come_from_what_was_learnt(
    hfkit: Command, files: Path, runs: tuple[str, Path, Path]
) -> None:
    task, *adapted = runs
    if task not in ("classification", "similarity"):
        pytest.skip("one with a head and one without")
    found = [hfkit("embed", folder, "rain", "--device", "cpu") for folder in adapted]
    assert [code for code, *_ in found] == [0, 0], found
    assert found[0][1] == found[1][1]
    code, plain, _ = hfkit("embed", files / "bert", "rain", "--device", "cpu")
    assert code == 0 and plain != found[0][1]


def test_verify_sees_the_base_model(hfkit: Command, adapter: Path) -> None:
    assert hfkit("verify", adapter)[0] == 0
    shutil.move(adapter.parent / "bert", adapter / "base")
    assert hfkit("verify", adapter)[0] == 0
    shutil.rmtree(adapter / "base")
    code, stdout, _ = hfkit("verify", adapter)
    assert code == 2 and "base.json" in stdout and "is not here" in stdout


def test_what_was_changed_is_refused(hfkit: Command, adapter: Path) -> None:
    flip(adapter / "adapter" / "adapter_model.safetensors")
    code, _, stderr = hfkit("predict", adapter, "rain", "--device", "cpu")
    assert code == 2 and "damaged: adapter/adapter_model.safetensors" in stderr


def test_another_base_model_is_refused(hfkit: Command, adapter: Path) -> None:
    flip(adapter.parent / "bert" / "model.safetensors")
    code, _, stderr = hfkit("predict", adapter, "rain", "--device", "cpu")
    assert code == 2 and "not those that the adapter was trained on" in stderr


def test_a_base_model_of_the_hub_is_not_fetched(hfkit: Command, adapter: Path) -> None:
    path = adapter / "adapter" / "base.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "name": "org/base", "revision": "a" * 40, "place": None}))
    (adapter / "manifest.json").unlink()
    (adapter / "hfkit.yaml").unlink()
    code, _, stderr = hfkit("predict", adapter, "rain", "-t", "classification", "--device", "cpu")
    assert code == 2, stderr
    assert f"hf download org/base --revision {'a' * 40}" in stderr


def test_prediction_needs_no_peft(adapter: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "peft.py").write_text("raise SystemExit('peft was imported')")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{trap}{os.pathsep}{root}"}
    assert ask(adapter, ["rain"], env=environment)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--lora", "rank=4"], "--lora: cannot read 'rank=4'"),
        (["--lora", "r=4,targets=atention"], "no layer is called 'atention'"),
        (["--merge"], "--merge: without --lora there is nothing to merge"),
        (["--freeze-layers", "9"], "--freeze-layers: the model has 2 layers"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistakes(
    hfkit: Command, files: Path, tmp_path: Path, flags: list[str], words: str
) -> None:
    code, _, stderr = hfkit("finetune", files / "toys.csv", "-m", files / "bert", *flags,
                            "-o", tmp_path / "out", "--device", "cpu")  # fmt: skip
    assert code == 2 and words in stderr
    assert "Traceback" not in stderr


def test_without_peft(
    hfkit: Command, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    code, _, stderr = hfkit("finetune", files / "toys.csv", "--lora", "r=4", "-o", tmp_path / "o")
    assert code == 2 and stderr.count("\n") == 1
    assert 'pip install "hfkit[lora]"' in stderr


def test_an_adapter_is_no_base_model(hfkit: Command, files: Path, adapter: Path) -> None:
    code, _, stderr = hfkit("finetune", files / "toys.csv", "-m", adapter, "-o", adapter / "o")
    assert code == 2 and "--merge" in stderr
