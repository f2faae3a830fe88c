"""Another file in the place of one of a sealed folder, without a moment at which it is damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.errors import InputError


def replace(folder: Path, name: str, data: bytes | None) -> None:
    """Put other bytes in the place of one file of a folder, or take it away (None).

    Where the folder is sealed its manifest says so too. It first allows for both states, then for
    the new one alone: a kill at any moment leaves a folder that is as it was sealed, with the old
    file or with the new one. Raises `InputError` where the file is not as it was sealed, and
    `ResourceError` where the disk is full or fails.
    """
    path, manifest = folder / name, folder / sealing.MANIFEST
    old = _facts(path.read_bytes() if path.exists() else None)
    new = _facts(data)
    if manifest.exists():
        wrong = sealing.damage(folder, only=(name,))
        if wrong is not None:
            raise InputError(f"damaged: {wrong}", place=str(folder), hint="fine-tune it again")
        if old or new:
            entry = {**(new or old or {}), sealing.BEFORE: old if new else None}
            _write_entry(manifest, name, entry)
    if data is not None:
        sealing.write_bytes(path, data)
    elif path.exists():
        with sealing.storing(path):
            path.unlink()
            sealing.sync(folder)
    if manifest.exists():
        _write_entry(manifest, name, new)


def _facts(data: bytes | None) -> dict[str, Any] | None:
    """Size and hash; None where there is no file."""
    if data is None:
        return None
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _write_entry(manifest: Path, name: str, entry: dict[str, Any] | None) -> None:
    content = sealing.read_json(manifest)
    files = {key: value for key, value in content["files"].items() if key != name}
    files |= {name: entry} if entry else {}
    sealing.write_json(manifest, {**content, "files": files})
