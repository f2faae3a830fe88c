from __future__ import annotations

import hashlib
import json
from pathlib import Path

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


def made(folder):
    with sealing.staged(folder) as stage:
        fill(stage)
    return folder


def half_replaced(folder):
    """What a kill leaves that comes between the two moves of a replacement."""
    return made(folder).rename(folder.with_name(f".was-{folder.name}")).with_name(folder.name)


@pytest.mark.parametrize("bring_back", [sealing.restore, lambda old: sealing.sweep(old.parent)])
def test_what_was_about_to_be_replaced_comes_back(tmp_path, caplog, bring_back):
    old = half_replaced(tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == [".was-made"]
    with caplog.at_level("INFO", "hfkit"):
        bring_back(old)
    assert caplog.messages == [f"{old}: a kill came while it was replaced; the old one is back"]
    assert sealing.damage(old) is None
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    bring_back(old)
    assert len(caplog.messages) == 1


def test_a_new_replacement_begins_with_what_was_there(tmp_path):
    old = half_replaced(tmp_path / "made")
    with sealing.staged(old) as stage:
        (stage / "new.txt").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (old / "new.txt").exists() and not (old / "a.txt").exists()
    made(tmp_path / ".was-made")  # of a kill after the second move
    sealing.restore(old)
    assert (old / "new.txt").exists()
    sealing.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_reader_between_the_two_moves_does_no_harm(tmp_path, monkeypatch):
    old = made(tmp_path / "made")
    moves, readers = Path.rename, iter([old])

    def read_between(path, target):
        if path.name.startswith(".stage-"):
            for reader in readers:
                sealing.restore(reader)
        return moves(path, target)

    monkeypatch.setattr(Path, "rename", read_between)
    with sealing.staged(old) as stage:
        (stage / "new.txt").touch()
    assert (old / "new.txt").exists() and not (old / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_cannot_be_put_back_is_named(tmp_path, monkeypatch, caplog):
    old = half_replaced(tmp_path / "made")

    def refused(path, target):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refused)
    sealing.restore(old)
    assert "the old one lies in .was-made (Read-only file system)" in caplog.text


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_replacement_that_fails_between_its_moves_is_undone(tmp_path, monkeypatch, error):
    old = made(tmp_path / "made")
    moves = Path.rename

    def stopped(path, target):
        if path.name.startswith(".stage-"):
            raise error
        return moves(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises((ResourceError, KeyboardInterrupt)), sealing.staged(old) as stage:
        (stage / "new.txt").touch()
    assert sealing.damage(old) is None and (old / "a.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
