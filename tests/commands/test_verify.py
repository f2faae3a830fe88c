"""`hfkit verify`: every damaged file is named, whatever folder it lies in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hfkit
from hfkit import hashing, sealing
from hfkit.errors import InputError


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """What a finished run looks like that was exported and has kept a checkpoint."""
    run = tmp_path / "run"
    for inner, manifest in (
        ("checkpoints/step-3", "manifest.json"),
        ("onnx", "export.json"),
        ("", "manifest.json"),
    ):
        folder = run / inner
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes(f"{inner} {name}".encode())
        sealing.seal(folder, leave_out=("checkpoints", "onnx"), name=manifest)
    return run


def test_a_whole_folder(hfkit, run_folder: Path) -> None:
    code, out, err = hfkit("verify", run_folder)
    assert (code, err) == (0, "")
    assert out == f"{run_folder}: 6 files are as they were sealed\n"
    for inner in ("onnx", "checkpoints/step-3", "checkpoints"):
        assert hfkit("verify", run_folder / inner)[0] == 0


def test_all_damage_is_named(hfkit, run_folder: Path) -> None:
    (run_folder / "config.json").unlink()
    flipped = bytearray((run_folder / "onnx/model.safetensors").read_bytes())
    flipped[5] ^= 4
    (run_folder / "onnx/model.safetensors").write_bytes(flipped)
    (run_folder / "checkpoints/step-3/config.json").write_bytes(b"short")
    code, out, err = hfkit("verify", run_folder)
    assert code == 2
    assert out.splitlines() == [
        f"{run_folder}/checkpoints/step-3/config.json: 5 bytes, expected 30",
        f"{run_folder}/config.json: missing",
        f"{run_folder}/onnx/model.safetensors: checksum mismatch",
    ]
    assert err == f"hfkit: error: {run_folder}: 3 files are damaged\n"


def test_json_and_python_say_the_same(hfkit, run_folder: Path) -> None:
    (run_folder / "model.safetensors").write_bytes(b"")
    (run_folder / "notes.txt").write_text("mine", "utf-8")
    code, out, err = hfkit("verify", run_folder, "--json")
    assert code == 2
    said = json.loads(out)
    assert said == {
        "folder": str(run_folder),
        "whole": False,
        "files": 6,
        "damaged": {"model.safetensors": "0 bytes, expected 18"},
        "unsealed": ["notes.txt"],
    }
    assert "not sealed: notes.txt" in err
    import hfkit as library

    assert library.verify(str(run_folder)).to_json() == said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"files": {"a": 1}}', b"[" * 9999])
def test_a_damaged_manifest(hfkit, run_folder: Path, content: bytes) -> None:
    (run_folder / "manifest.json").write_bytes(content)
    code, out, _ = hfkit("verify", run_folder)
    assert (code, out) == (2, f"{run_folder}/manifest.json: damaged\n")


def test_a_file_outside_is_not_read(hfkit, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    outside = {"size": 6, "sha256": hashing.sha256(tmp_path / "outside")}
    manifest = {"files": {"../outside": outside, str(tmp_path / "outside"): outside}}
    (run_folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    code, out, _ = hfkit("verify", run_folder)
    assert code == 2
    assert out.count("leads out of the folder") == 2


def test_an_unfinished_run_is_called_so(hfkit, run_folder: Path) -> None:
    (run_folder / "manifest.json").unlink()
    (run_folder / "run.json").write_text("{}", "utf-8")
    code, out, err = hfkit("verify", run_folder)
    assert code == 0
    assert "is not finished" in err and "4 files" in out


def test_what_is_not_sealed_is_an_error(hfkit, tmp_path: Path) -> None:
    code, _, err = hfkit("verify", tmp_path)
    assert code == 2 and "nothing in it is sealed" in err
    assert hfkit("verify", tmp_path / "nowhere")[0] == 2
    assert hfkit("verify")[0] == 2


def test_python_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing in it is sealed"):
        hfkit.verify(str(tmp_path))
