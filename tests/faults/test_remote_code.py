"""The one door: a model's own Python runs with the commit it lies in, and with no other word."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import toy_rows, write_classifier, write_csv

from hfkit.cli.app import run as command_line

COMMIT, OTHER = "c" * 40, "d" * 40
NAME = "org/own-code"
DOOR = ("--allow-remote-code", COMMIT)
Go = Callable[..., tuple[int, str]]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def snapshot(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with code of its own in an empty cache of the Hub, as the client lays it out."""
    from huggingface_hub import constants
    from transformers import dynamic_module_utils

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        monkeypatch.delitem(sys.modules, name)  # it remembers the folder of the test before
    monkeypatch.chdir(tmp_path)
    repository = tmp_path / "hub" / "models--org--own-code"
    folder = repository / "snapshots" / COMMIT
    blobs = write_classifier(repository / "blobs")
    code = (
        f"open({str(marker)!r}, 'w').close()\n"
        "from transformers import BertForSequenceClassification\n"
        "from .helping import Helped\n"
        "class OwnForSequenceClassification(Helped, BertForSequenceClassification):\n    pass\n"
    )
    (blobs / "modeling_own.py").write_text(code, "utf-8")
    (blobs / "helping.py").write_text("class Helped:\n    pass\n", "utf-8")
    config = json.loads((blobs / "config.json").read_text("utf-8"))
    config["auto_map"] = {
        "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification"
    }
    (blobs / "config.json").write_text(json.dumps(config), "utf-8")
    folder.mkdir(parents=True)
    for blob in blobs.iterdir():
        (folder / blob.name).symlink_to(Path("../../blobs") / blob.name)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, "utf-8")
    return folder


@pytest.fixture
def go(capfd: pytest.CaptureFixture[str]) -> Go:
    def run(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = command_line([str(argument) for argument in arguments])
        return code, capfd.readouterr().err

    return run


def test_without_the_commit_it_is_refused(snapshot: Path, marker: Path, go: Go) -> None:
    code, said = go("predict", NAME, "rain")
    assert (code, marker.exists()) == (3, False)
    assert "--allow-remote-code" in said


@pytest.mark.parametrize(
    ("commit", "exit_code"),
    [(OTHER, 3), (COMMIT[:7], 2), (COMMIT.upper(), 2), ("main", 2), ("", 2), ("true", 2)],
)
def test_another_word_does_not_open(
    snapshot: Path, marker: Path, go: Go, commit: str, exit_code: int
) -> None:
    for arguments in (["predict", NAME, "rain"], ["embed", NAME, "rain"]):
        assert go(*arguments, "--allow-remote-code", commit)[0] == exit_code
    assert not marker.exists()


def test_a_folder_cannot_say_which_commit_it_is(
    snapshot: Path, marker: Path, go: Go, tmp_path: Path
) -> None:
    for folder in (snapshot, shutil.copytree(snapshot, tmp_path / "copy")):
        code, said = go("predict", folder, "rain", *DOOR)
        assert (code, marker.exists()) == (3, False)
        assert "no commit" in said


def test_with_its_commit_it_runs_and_its_files_are_named(
    snapshot: Path, marker: Path, go: Go
) -> None:
    code, said = go("predict", f"{NAME}@{COMMIT}", "rain", *DOOR)
    assert (code, marker.exists()) == (0, True), said
    assert "running its Python code: helping.py, modeling_own.py" in said


@pytest.mark.parametrize(
    "what",
    ["../evil.Own", "org/other--modeling_own.OwnForSequenceClassification", "a/b.Own", "Own"],
)
def test_code_that_lies_elsewhere_stays_refused(
    snapshot: Path, marker: Path, go: Go, what: str
) -> None:
    path = snapshot / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["auto_map"] = {"AutoModelForSequenceClassification": what}
    path.resolve().write_text(json.dumps(config), "utf-8")
    assert go("predict", NAME, "rain", *DOOR)[0] == 3
    assert not marker.exists()


def test_everything_else_stays_refused(snapshot: Path, marker: Path, go: Go) -> None:
    (snapshot / "model.safetensors").unlink()
    (snapshot / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (snapshot / "other.safetensors").symlink_to("../../blobs/model.safetensors")
    assert go("predict", NAME, "rain", *DOOR)[0] == 3
    assert not marker.exists()


def test_code_that_a_link_leads_out_to_stays_refused(
    snapshot: Path, marker: Path, go: Go, tmp_path: Path
) -> None:
    shutil.move((snapshot / "helping.py").resolve(), tmp_path / "helping.py")
    (snapshot / "helping.py").unlink()
    (snapshot / "helping.py").symlink_to(tmp_path / "helping.py")
    assert go("predict", NAME, "rain", *DOOR)[0] == 3
    assert not marker.exists()


def test_a_run_of_such_a_model_opens_with_the_same_commit(
    snapshot: Path, marker: Path, go: Go, tmp_path: Path
) -> None:
    data = write_csv(tmp_path / "data.csv", toy_rows(40))
    out = tmp_path / "out"
    code, said = go(
        "finetune", data, "-m", NAME, "-o", out, "--max-steps", 1, "--device", "cpu", *DOOR
    )
    assert code == 0, said
    marker.unlink()
    assert go("predict", out, "rain")[0] == 3
    assert go("predict", out, "rain", "--allow-remote-code", OTHER)[0] == 3
    code, said = go("predict", out, "rain", *DOOR)
    assert code == 0, said
    with (out / "modeling_own.py").open("a", encoding="utf-8") as file:
        file.write(f"open({str(marker)!r}, 'w').close()\n")
    marker.unlink(missing_ok=True)
    assert go("predict", out, "rain", *DOOR)[0] == 3
    assert not marker.exists()
