"""`hfkit finetune` through the command line: the run's folder, going on, refusing, ending early."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from toys import read_jsonl, toy_rows, write_base_model, write_classifier, write_csv

from hfkit import hashing, sealing
from hfkit.cli.app import run as command_line

Command = Callable[..., tuple[int, str, str]]


def settings(toy_files: dict[str, Path], base: Path, *more: object) -> list[object]:
    return [
        toy_files["train"], "-m", base, "--validation", toy_files["validation"],
        "--epochs", 3, "--lr", "5e-3", "--max-length", 32, "--device", "cpu", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, toy_files: dict[str, Path], tiny_base_folder: Path
) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "done"
    test = ["--test", toy_files["test"], "-o", folder, "-q"]
    arguments = settings(toy_files, tiny_base_folder, *test)
    assert command_line(["finetune", *map(str, arguments)]) == 0
    return folder


def weights(folder: Path) -> str:
    return hashing.sha256(folder / "model.safetensors")


def test_it_learns_and_says_what_it_guessed(
    hfkit: Command, tmp_path: Path, toy_files: dict[str, Path], tiny_base_folder: Path
) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = hfkit(
        "finetune", *settings(toy_files, tiny_base_folder, "-o", out, "--epochs", 20)
    )
    assert code == 0, stderr
    assert stdout == f"{out}\n"
    assert "Traceback" not in stderr
    assert "3 labels: kitchen" in stderr
    assert "random: classifier.bias" in stderr
    scores = json.loads((out / "metrics.json").read_text())["scores"]["validation"]
    assert scores["values"]["accuracy"] > 0.8
    low, high = scores["intervals"]["accuracy"]
    assert low <= scores["values"]["accuracy"] <= high
    assert scores["baseline"]["accuracy"] < 0.6


def test_a_model_with_holes_is_trained_where_that_is_meant_and_never_answers(
    hfkit: Command, tmp_path: Path, toy_files: dict[str, Path]
) -> None:
    from safetensors.torch import load_file, save_file

    base, classifier = write_base_model(tmp_path / "base"), write_classifier(tmp_path / "other")
    for folder in (base, classifier):
        tensors = load_file(folder / "model.safetensors")
        holed = {name: tensor for name, tensor in tensors.items() if ".1.output" not in name}
        save_file(holed, folder / "model.safetensors", metadata={"format": "pt"})
    run = ["finetune", *settings(toy_files, base, "--max-steps", 1, "-o", tmp_path / "out")]
    code, _, stderr = hfkit(*run)
    assert code == 2
    assert "of the encoder that config.json describes" in stderr and "--allow-missing" in stderr
    code, _, stderr = hfkit(*run, "--allow-missing")
    assert code == 0, stderr
    (line,) = [line for line in stderr.splitlines() if "warning" in line]
    assert "4 weights of the encoder not in it" in line and "layer.1.output.dense.weight" in line
    assert "allow_missing: true" in (tmp_path / "out" / "hfkit.yaml").read_text()
    assert hfkit("predict", tmp_path / "out", "rain")[0] == 0  # it lacks nothing any more
    code, _, stderr = hfkit("predict", classifier, "rain")
    assert code == 2 and "not in the weights" in stderr
    code, _, stderr = hfkit("predict", classifier, "rain", "--allow-missing")
    assert code == 2 and "no such option: --allow-missing" in stderr


def test_the_folder_holds_what_it_should(done: Path) -> None:
    names = {path.name for path in done.iterdir()}
    assert names == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "hfkit.yaml", "run.json", "metrics.json", "metrics.jsonl", "README.md", "manifest.json",
    }  # fmt: skip
    assert sealing.damage(done) is None
    manifest = json.loads((done / "manifest.json").read_text())
    assert set(manifest["data"]) == {"train", "validation", "test"}
    assert datetime.fromisoformat(manifest["finished"]) <= datetime.now(UTC)
    events = [entry["event"] for entry in read_jsonl(done / "metrics.jsonl")]
    assert events.count("step") == 18
    assert events.count("evaluation") == 3
    card = (done / "README.md").read_text()
    assert "model-index" in card
    assert str(done.parent) not in card
    metrics = json.loads((done / "metrics.json").read_text())["scores"]
    for split, scores in metrics.items():
        for name, value in scores["baseline"].items():
            (row,) = [line for line in card.splitlines() if line.startswith(f"| {split} ")
                      and f"| {name} |" in line]  # fmt: skip
            assert row.endswith(f"| {value:.4f} |")
        index = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"]
        named = {one["dataset"]["split"]: one["dataset"]["name"] for one in index}
        assert (
            named[split] == manifest["data"][split]["source"] != manifest["data"]["train"]["source"]
        )


def test_transformers_loads_it_with_equal_logits(done: Path, toy_files: dict[str, Path]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    import hfkit

    model = AutoModelForSequenceClassification.from_pretrained(done)
    tokenizer = AutoTokenizer.from_pretrained(done)
    assert model.config.id2label == {0: "kitchen", 1: "music", 2: "weather"}
    text = "the old drum and some snow"
    with torch.no_grad():
        scores = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].tolist()
    ours = hfkit.load(str(done)).predict(text)[0]
    assert list(ours["scores"].values()) == pytest.approx(scores, abs=1e-6)
    (theirs,) = pipeline("text-classification", model=str(done), device="cpu")(text)
    assert theirs["label"] == ours["label"]
    assert theirs["score"] == pytest.approx(ours["score"], abs=1e-6)


def test_the_saved_settings_repeat_the_run(hfkit: Command, done: Path, tmp_path: Path) -> None:
    code, _, stderr = hfkit("finetune", "-c", done / "hfkit.yaml", "-o", tmp_path / "again")
    assert code == 0, stderr
    assert weights(tmp_path / "again") == weights(done)


def test_a_finished_run_is_left_alone(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.iterdir()}
    test = ["--test", toy_files["test"], "-o", done]
    code, stdout, stderr = hfkit("finetune", *settings(toy_files, tiny_base_folder, *test))
    assert (code, stdout) == (0, f"{done}\n")
    assert "this run is finished" in stderr
    assert before == {path: path.stat().st_mtime_ns for path in done.iterdir()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--batch-size", 8], "batch_size was 16, now 8"),
        (["--lr", "1e-3"], "lr was 0.005, now 0.001"),
        (["--seed", 7], "seed was 42, now 7"),
        (["--schedule", "cosine"], "schedule was linear, now cosine"),
        (["--class-weights", "balanced"], "options.class_weights was none, now balanced"),
        (["--limit", 50], "limit was null, now 50"),
        (["--precision", "fp16"], ", now fp16"),
        (["--max-length", 16], "max_length was 32, now 16"),
        (["--dropout", 0], "dropout was null, now 0.0"),
    ],
)
def test_another_run_is_refused(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path,
    change: list[object], says: str,
) -> None:  # fmt: skip
    arguments = settings(toy_files, tiny_base_folder, "--test", toy_files["test"], "-o", done)
    code, stdout, stderr = hfkit("finetune", *arguments, *change)
    assert (code, stdout) == (2, "")
    last = stderr.splitlines()[-1]
    assert last.startswith(f"hfkit: error: {done}: holds another run (")
    assert says in last
    assert "--overwrite" in last


def test_a_run_that_failed_before_its_first_checkpoint_leaves_its_folder_to_the_corrected_one(
    hfkit: Command, tmp_path: Path, toy_files: dict[str, Path], tiny_base_folder: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text(json.dumps({"identity": {"seed": 7}, "begun_with": {}}))
    (out / "notes.txt").write_text("mine")
    command = settings(toy_files, tiny_base_folder, "-o", out, "--max-steps", 1)
    code, _, stderr = hfkit("finetune", *command)
    assert (code, "holds another run (" in stderr) == (2, True)
    (out / "notes.txt").unlink()
    code, _, stderr = hfkit("finetune", *command)
    assert code == 0, stderr
    assert json.loads((out / "run.json").read_text())["identity"]["seed"] == 42


def test_other_data_and_another_base_model_are_another_run(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    rows = toy_rows(96, seed=0)
    rows[3]["text"] += " again"
    changed = {**toy_files, "train": write_csv(tmp_path / "train.csv", rows)}
    test = ["--test", toy_files["test"], "-o", done]
    assert "training data was" in hfkit("finetune", *settings(changed, tiny_base_folder, *test))[2]
    other = write_base_model(tmp_path / "other", hidden_dropout_prob=0.0, num_hidden_layers=1)
    assert "base model was" in hfkit("finetune", *settings(toy_files, other, *test))[2]


def test_overwrite_moves_what_was_there_aside(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    arguments = settings(toy_files, tiny_base_folder, "-o", folder, "--max-steps", 2, "--overwrite")
    code, _, stderr = hfkit("finetune", *arguments)
    assert code == 0, stderr
    assert weights(tmp_path / "run.old-1") == weights(done)
    assert weights(folder) != weights(done)


def test_a_foreign_folder_and_a_folder_in_use(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    from hfkit.run.output import locked

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    code, _, stderr = hfkit("finetune", *settings(toy_files, tiny_base_folder, "-o", foreign))
    assert code == 2
    assert f"{foreign}: is not empty, and holds no run; use another -o" in stderr
    with locked(tmp_path / "busy"):
        arguments = settings(toy_files, tiny_base_folder, "-o", tmp_path / "busy")
        code, _, stderr = hfkit("finetune", *arguments)
    assert code == 6
    assert "is writing here; wait for it, or use another -o" in stderr


def test_a_damaged_finished_run_and_a_torn_start(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    arguments = settings(toy_files, tiny_base_folder, "--test", toy_files["test"], "-o", folder)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    code, stdout, stderr = hfkit("finetune", *arguments)
    assert (code, stdout) == (2, "")
    assert "damaged: model.safetensors: checksum mismatch" in stderr
    code, _, stderr = hfkit("predict", folder, "rain")
    assert code == 2
    assert "damaged: model.safetensors: checksum mismatch" in stderr
    torn = tmp_path / "torn"  # killed while run.json was being written
    torn.mkdir()
    (torn / ".stage-run.json").write_text("{")
    arguments = settings(toy_files, tiny_base_folder, "-o", torn, "--max-steps", 1)
    assert hfkit("finetune", *arguments)[0] == 0


def test_folders_that_cannot_be_a_run(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in (".", "..", ""):
        arguments = settings(toy_files, tiny_base_folder, "-o", name)
        code, _, stderr = hfkit("finetune", *arguments)
        assert code == 2
        assert "a run needs a folder of its own" in stderr
    holding = settings(toy_files, tiny_base_folder, "-o", tiny_base_folder, "--overwrite")
    code, _, stderr = hfkit("finetune", *holding)
    assert code == 2
    assert "lies in the folder that --overwrite moves" in stderr


def test_a_run_that_names_code_as_its_task_is_refused(
    hfkit: Command, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ev"
    shutil.copytree(done, folder)
    text = (folder / "hfkit.yaml").read_text()
    (folder / "hfkit.yaml").write_text(text.replace("task: classification", "task: payload:Task"))
    (tmp_path / "payload.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code, stdout, stderr = hfkit("predict", folder, "rain")
    assert (code, stdout) == (3, "")
    assert "name code to run as the task (payload:Task)" in stderr
    assert not (tmp_path / "ran").exists()


def test_layers_that_the_configuration_leaves_out_are_no_small_matter(
    hfkit: Command, toy_files: dict[str, Path], tiny_classifier_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "fewer"
    shutil.copytree(tiny_classifier_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    for command in (["predict", folder, "rain"], ["finetune", toy_files["train"], "-m", folder,
                    "-o", tmp_path / "out"]):  # fmt: skip
        code, _, stderr = hfkit(*command)
        assert code == 2
        assert "have no place in the model that config.json describes" in stderr


def test_a_link_in_a_model_folder_must_stay_in_it(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_base_folder, folder)
    (tmp_path / "secret").write_text("mine")
    (folder / "chat_template.jinja").symlink_to(tmp_path / "secret")
    code, _, stderr = hfkit("finetune", *settings(toy_files, folder, "-o", tmp_path / "out"))
    assert code == 3
    assert "a link that leads out of the model's folder" in stderr


def test_without_o_a_free_name_is_found_and_the_same_run_found_again(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = settings(toy_files, tiny_base_folder, "--max-steps", 1)
    name = f"train-{tiny_base_folder.name}"
    assert hfkit("finetune", *arguments)[1] == f"runs/{name}\n"
    assert hfkit("finetune", *arguments)[1] == f"runs/{name}\n"
    code, stdout, stderr = hfkit("finetune", *arguments, "--seed", 9)
    assert (code, stdout) == (0, f"runs/{name}-2\n")
    assert f"the run's folder is runs/{name}-2" in stderr


def test_a_dry_run_tells_and_writes_nothing(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    arguments = settings(toy_files, tiny_base_folder, "--dry-run", "--json")
    code, stdout, _ = hfkit("finetune", *arguments)
    plan = json.loads(stdout)
    assert code == 0
    assert plan["rows"] == {"train": 96, "validation": 30}
    assert plan["columns"] == {"text": "text", "label": "label"}
    assert plan["steps"] == 18
    assert sum(plan["labels"].values()) == 96
    assert plan["parameters"] > 10_000
    assert list(tmp_path.iterdir()) == []
    assert None not in plan["settings"].values()
    assert "epochs" in plan and "epochs" not in plan["settings"]


def test_a_dry_run_takes_the_memory_of_an_estimate(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path
) -> None:
    arguments = settings(toy_files, tiny_base_folder, "--dry-run", "--json", "--batch-size", 64)
    plan = json.loads(hfkit("finetune", *arguments)[1])
    assert 5 < plan["longest_row"] < plan["max_length"]
    code, stdout, stderr = hfkit(
        "estimate", "-m", tiny_base_folder, "-t", "classification", "--batch-size", 64,
        "--max-length", plan["longest_row"], "--json",
    )  # fmt: skip
    assert code == 0, stderr
    peak = json.loads(stdout)["sizes"][0]["training"]["peak_bytes"]
    assert plan["memory_mib_about"] == pytest.approx(peak / 2**20, abs=2)


def test_what_saves_memory_is_seen_in_a_plan(
    toy_files: dict[str, Path], tiny_base_folder: Path
) -> None:
    from hfkit.config import FinetuneConfig
    from hfkit.run.planning import memory_of
    from hfkit.run.preparation import prepare

    def taken(**saving: object) -> int:
        config = FinetuneConfig(
            train=str(toy_files["train"]), model=str(tiny_base_folder), batch_size=64, device="cpu",
            **saving,
        )  # fmt: skip
        return memory_of(prepare(config), 128)

    plain = taken()
    for saving in (
        {"gradient_checkpointing": True},
        {"optim": "adafactor"},
        {"micro_batch": 32},
        {"batch_tokens": 4096},
        {"fsdp": True, "num_processes": 2},
        {"freeze_embeddings": True},
        {"lora": "r=4"},
    ):
        assert taken(**saving) < plain, saving


def test_a_split_is_cut_seeded_and_said(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    base = [toy_files["train"], "-m", tiny_base_folder, "--dry-run", "--json"]
    code, stdout, stderr = hfkit("finetune", *base, "--validation", "0.25")
    assert code == 0
    assert json.loads(stdout)["rows"] == {"train": 72, "validation": 24}
    assert "24 of 96 rows are cut off for it (stratified, equal texts together, seed 42)" in stderr


def test_texts_in_both_files_are_reported(
    hfkit: Command, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    rows = toy_rows(96, seed=0)[:5] + toy_rows(20, seed=50)
    both = {**toy_files, "validation": write_csv(tmp_path / "both.csv", rows)}
    stderr = hfkit("finetune", *settings(both, tiny_base_folder, "--dry-run"))[2]
    assert "5 of 25 validation rows have a text that is in the training data" in stderr


def test_long_texts_are_windowed_and_counted(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    rows = toy_rows(40)
    rows[0]["text"] = "rain sun " * 60
    file = write_csv(tmp_path / "long.csv", rows)
    base = ["finetune", file, "-m", tiny_base_folder, "--max-steps", 1, "--max-length", 32]
    stderr = hfkit(*base, "-o", tmp_path / "a", "--validation", "0.2")[2]
    assert "long texts are read in windows of 32 tokens" in stderr
    stderr = hfkit(*base, "-o", tmp_path / "b", "--on-long", "truncate", "--validation", file)[2]
    assert "training data: 1 of 40 texts are longer than 32 tokens and were cut" in stderr
    code, _, stderr = hfkit(*base, "-o", tmp_path / "c", "--on-long", "error", "--validation", file)
    assert code == 2
    assert f"{file}:2: the text has 122 tokens, a window holds 32" in stderr


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_stored_half_precision_is_trained_in_full(
    hfkit: Command, toy_files: dict[str, Path], tmp_path: Path, family: str, precision: str
) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel

    base = write_base_model(tmp_path / "base", family)
    AutoModel.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    out = tmp_path / "out"
    more = ["-o", out, "--precision", precision, "--max-steps", 2]
    code, _, stderr = hfkit("finetune", *settings(toy_files, base, *more))
    assert code == 0, stderr
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {
        torch.float32
    }


def process(
    *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Start a command line of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "hfkit", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path,
    tmp_path: Path, number: int, code: int,
) -> None:  # fmt: skip
    test = ["--test", toy_files["test"], "-o", tmp_path / "out", "--epochs", 200]
    arguments = ["finetune", *settings(toy_files, tiny_base_folder, *test)]
    child = process(*arguments)
    while not (tmp_path / "out" / "checkpoints").exists():
        time.sleep(0.05)
        assert child.poll() is None, child.stderr and child.stderr.read()
    child.send_signal(number)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == code, stderr
    assert stdout == ""
    assert "the same command continues" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    code, _, stderr = hfkit(*arguments, "--max-time", "0.01s")
    assert code == 75
    assert "continuing from step" in stderr


def test_the_time_limit_ends_with_75_and_resuming_changes_nothing(
    hfkit: Command, done: Path, toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    test = ["--test", toy_files["test"], "-o", tmp_path / "out"]
    arguments = ["finetune", *settings(toy_files, tiny_base_folder, *test)]
    code, stdout, stderr = hfkit(*arguments, "--max-time", "0.001s")
    assert (code, stdout) == (75, "")
    assert "the time is up; the same command continues" in stderr
    code, _, stderr = hfkit(*arguments)
    assert code == 0, stderr
    assert weights(tmp_path / "out") == weights(done)
    steps = [
        e["step"] for e in read_jsonl(tmp_path / "out" / "metrics.jsonl") if e["event"] == "step"
    ]
    assert steps == list(range(1, 19))


@pytest.mark.processes
def test_two_processes_from_one_command(
    toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    two = [
        *settings(toy_files, tiny_base_folder),
        *("--dropout", 0, "--max-steps", 6, "--precision", "fp32"),
    ]
    folders = [tmp_path / "one", tmp_path / "two"]
    place = tmp_path / "data"  # a folder of data, with a trap in it
    place.mkdir()
    (place / "sentencepiece.py").write_text("open('ran', 'w')")
    for number, folder in enumerate(folders, start=1):
        more = {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
        child = process(
            "finetune", *two, "-o", folder, "--num-processes", number, cwd=place, **more
        )
        stdout, stderr = child.communicate(timeout=300)
        assert child.returncode == 0, stderr
        assert stdout == f"{folder}\n"
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["hardware"]["processes"] == number
        assert stderr.count("the run's folder is") == 1
    assert not (place / "ran").exists()
    one, both = (load_file(folder / "model.safetensors") for folder in folders)
    difference = torch.cat([(one[name] - both[name]).flatten() for name in one])
    whole = torch.cat([tensor.flatten() for tensor in one.values()])
    assert float(difference.norm() / whole.norm()) < 1e-5


@pytest.mark.processes
def test_a_run_in_shards_is_a_run_like_any_other(
    toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    command = ["finetune", toy_files["train"], "-m", tiny_base_folder, "--epochs", 1, "--fsdp"]
    alone = process(*command, "-o", tmp_path / "alone")
    _, stderr = alone.communicate(timeout=120)
    assert alone.returncode == 2 and stderr.count("hfkit: error:") == 1, stderr
    assert "one process has nothing to share" in stderr
    child = process(*command, "-o", tmp_path / "out", "--num-processes", 2)
    stdout, stderr = child.communicate(timeout=300)
    assert child.returncode == 0, stderr
    assert "Warning" not in stderr
    assert stdout == f"{tmp_path / 'out'}\n"
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.num_labels > 1


@pytest.mark.processes
def test_torchrun_works_as_it_is(
    toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "hfkit",
    ]
    more = ["finetune", *settings(toy_files, tiny_base_folder, "--max-steps", 2, "-o", out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *map(str, more)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["hardware"]["processes"] == 2
    assert "find_unused_parameters" not in done.stderr


def test_mistakes_found_by_several_processes_are_said_once(
    toy_files: dict[str, Path], tiny_base_folder: Path, tmp_path: Path
) -> None:
    child = process(
        "finetune", toy_files["train"], "-m", tiny_base_folder, "-o", tmp_path / "out",
        "--num-processes", 2, "--label-column", "lable",
    )  # fmt: skip
    _, stderr = child.communicate(timeout=120)
    assert child.returncode == 2
    assert stderr.count("hfkit: error:") == 1
