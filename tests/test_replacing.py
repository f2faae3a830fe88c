"""One file of a sealed folder is replaced: a kill at any moment leaves a folder without damage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from hfkit import replacing, sealing
from hfkit.errors import InputError

OLD, NEW = b"old", b"new one"


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def sealed(folder: Path, first: bytes | None) -> Path:
    folder.mkdir()
    (folder / "weights").write_bytes(b"w" * 100)
    if first is not None:
        (folder / "it").write_bytes(first)
    sealing.seal(folder, {"task": "x"})
    return folder


def content(folder: Path) -> bytes | None:
    path = folder / "it"
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("first", [None, OLD])
@pytest.mark.parametrize("second", [None, NEW])
def test_it_is_replaced_and_sealed(
    tmp_path: Path, first: bytes | None, second: bytes | None
) -> None:
    folder = sealed(tmp_path / "run", first)
    replacing.replace(folder, "it", second)
    assert content(folder) == second
    assert sealing.damage(folder) is None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["task"] == "x"
    assert sealing.BEFORE not in json.dumps(manifest)
    assert ("it" in manifest["files"]) == (second is not None)


@pytest.mark.parametrize("first", [None, OLD])
@pytest.mark.parametrize("second", [None, NEW])
@pytest.mark.parametrize("moment", range(6))
def test_a_kill_at_any_moment_leaves_old_or_new(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: bytes | None,
    second: bytes | None,
    moment: int,
) -> None:
    folder = sealed(tmp_path / "run", first)
    steps = iter(range(100))
    originals = {name: getattr(Path, name) for name in ("replace", "unlink")}

    def killed(name: str) -> object:
        def act(self: Path, *args: object, **more: object) -> object:
            step = next(steps)
            if step == moment:  # before
                raise Killed
            done = originals[name](self, *args, **more)
            if step + 3 == moment:  # after
                raise Killed
            return done

        return act

    with monkeypatch.context() as patched:
        for name in originals:
            patched.setattr(Path, name, killed(name))
        with contextlib.suppress(Killed):
            replacing.replace(folder, "it", second)
    assert content(folder) in (first, second)
    assert sealing.damage(folder) is None
    replacing.replace(folder, "it", b"third")  # and it can be done again
    assert content(folder) == b"third"
    assert sealing.damage(folder) is None


def test_what_is_damaged_is_not_sealed_anew(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run", OLD)
    (folder / "it").write_bytes(b"odd")
    with pytest.raises(InputError, match="damaged: it: checksum mismatch"):
        replacing.replace(folder, "it", NEW)


def test_a_third_state_is_damage(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "run", OLD)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["it"]["before"] = None
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert sealing.damage(folder) is None
    (folder / "it").write_bytes(b"odd")
    assert sealing.damage(folder) == "it: checksum mismatch"
    (folder / "it").unlink()
    assert sealing.damage(folder) is None


def test_a_folder_without_a_manifest_gets_none(tmp_path: Path) -> None:
    replacing.replace(tmp_path, "it", NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["it"]
