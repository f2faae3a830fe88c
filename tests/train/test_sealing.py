from __future__ import annotations

import hashlib
import json

import pytest

from hfkit import sealing
from hfkit.errors import ResourceError


def fill(folder):
    (folder / "inner").mkdir()
    (folder / "a.txt").write_text("one")
    (folder / "inner" / "b.txt").write_text("two")
    (folder / ".hidden").write_text("three")


def test_manifest_names_facts_sizes_and_hashes(tmp_path):
    fill(tmp_path)
    sealing.seal(tmp_path, {"seed": 4})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest == {
        "seed": 4,
        "files": {
            "a.txt": {"size": 3, "sha256": hashlib.sha256(b"one").hexdigest()},
            "inner/b.txt": {"size": 3, "sha256": hashlib.sha256(b"two").hexdigest()},
        },
    }
    assert sealing.damage(tmp_path) is None
    sealing.seal(tmp_path)  # once more: the manifest is not in itself
    assert sealing.damage(tmp_path) is None


def test_damage_is_told(tmp_path):
    assert sealing.damage(tmp_path) == "manifest.json: missing"
    fill(tmp_path)
    sealing.seal(tmp_path)
    (tmp_path / "a.txt").write_text("onE")
    assert sealing.damage(tmp_path) == "a.txt: checksum mismatch"
    (tmp_path / "a.txt").write_text("on")
    assert sealing.damage(tmp_path) == "a.txt: 2 bytes, expected 3"
    (tmp_path / "a.txt").unlink()
    assert sealing.damage(tmp_path) == "a.txt: missing"
    for text in ("", "[]", '{"files": 3}', '{"files": {"a.txt": 1}}', "\xff"):
        (tmp_path / "a.txt").write_text("one")
        (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
        assert sealing.damage(tmp_path) == "manifest.json: damaged"


def test_staged_folder_appears_whole_or_not_at_all(tmp_path):
    final = tmp_path / "made"
    with sealing.staged(final) as stage:
        fill(stage)
        assert not final.exists()
    assert sealing.damage(final) is None
    with pytest.raises(RuntimeError), sealing.staged(final) as stage:
        (stage / "a.txt").write_text("other")
        raise RuntimeError
    assert (final / "a.txt").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with sealing.staged(final) as stage:
        (stage / "new.txt").touch()
    assert not (final / "a.txt").exists()


def test_file_is_replaced_in_one_move(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    sealing.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        sealing.write_json(path, {"a": float("nan")})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match=r"x\.json: disk full, needs 0\.0 MB, .* MB free"):
        sealing.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_missing_folder_is_said_as_it_is(tmp_path):
    with pytest.raises(ResourceError, match="No such file or directory"):
        sealing.write_bytes(tmp_path / "none" / "x", b"")
