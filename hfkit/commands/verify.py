"""`hfkit verify`: is everything as it was sealed? Needs neither torch nor NumPy.

A run seals its own files, an exported model and each checkpoint theirs; all that lie in the folder
are compared.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.config import VerifyConfig
from hfkit.errors import HfkitError, InputError
from hfkit.model.adapted import BASE, check_base, is_adapted
from hfkit.run.exported import REPORT

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verified:
    """A folder beside what was sealed in it.

    `files` counts those that were compared, `damaged` says what is wrong with which, `unsealed` are
    those that no manifest names; all by their paths inside the folder.
    """

    folder: Path
    files: int
    damaged: dict[str, str] = field(default_factory=dict)
    unsealed: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every sealed file is as it was."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "folder": str(self.folder),
            "whole": self.whole,
            "files": self.files,
            "damaged": self.damaged,
            "unsealed": self.unsealed,
        }

    def lines(self) -> list[str]:
        """A line for each damaged file, or one that says that there is none."""
        if self.whole:
            return [f"{self.folder}: {self.files} files are as they were sealed"]
        return [f"{self.folder / name}: {wrong}" for name, wrong in self.damaged.items()]


def verify(config: VerifyConfig) -> Verified:
    """Compare ``config.folder`` with its manifest, and with those of the folders inside it.

    Raises `InputError` for what is no folder and where nothing is sealed.
    """
    if not config.folder:
        raise InputError("no folder", hint="name the folder of a run: hfkit verify RUN")
    folder = Path(config.folder).expanduser()
    if not folder.is_dir():
        raise InputError("no such folder", place=config.folder)
    manifests = _manifests(folder)
    if not manifests:
        raise InputError(
            f"nothing in it is sealed: there is no {sealing.MANIFEST}",
            place=config.folder,
            hint="the runs, checkpoints and exports that hfkit has finished are",
        )
    if folder / sealing.MANIFEST not in manifests and (folder / "run.json").is_file():
        log.info("%s: this run is not finished; only what is inside is sealed", folder)
    damaged: dict[str, str] = {}
    sealed = set()
    for manifest in manifests:
        inner = manifest.parent
        for name, wrong in sealing.damages(inner, manifest=manifest.name):
            damaged[_inside(folder, inner / name)] = wrong
        sealed |= {_inside(folder, manifest), *_sealed(folder, manifest)}
    if is_adapted(folder):
        try:
            check_base(folder)
        except HfkitError as error:
            damaged[BASE] = error.message
    present = [_inside(folder, path) for path in _visible(folder) if path.is_file()]
    unsealed = [name for name in present if name not in sealed]
    if unsealed:
        log.info("%s: not sealed: %s", folder, ", ".join(unsealed))
    return Verified(folder, len(sealed) - len(manifests), damaged, unsealed)


def _manifests(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.name in (sealing.MANIFEST, REPORT)]


def _visible(folder: Path) -> list[Path]:
    """Everything in a folder but what is hidden, as a stage that a kill has left."""
    found = sorted(folder.rglob("*"))
    return [p for p in found if not any(part[0] == "." for part in p.relative_to(folder).parts)]


def _sealed(folder: Path, manifest: Path) -> list[str]:
    try:
        names = sealing.sealed_files(manifest.parent, manifest.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []  # `damages` has said that it is damaged
    return [_inside(folder, manifest.parent / name) for name in names]


def _inside(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
