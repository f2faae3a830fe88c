"""The life of a run's folder: its name, who may write to it, and whether it is the same run.

    runs/reviews-minilm/
        run.json        written first: the settings and the hashes that make this run itself
        checkpoints/    while it trains
        manifest.json   written last: a run that has one is finished

The same command finds its folder again by run.json and goes on, or finds it finished and does
nothing. A folder that holds anything else is refused; nothing is ever overwritten unasked.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfkit import sealing
from hfkit.errors import InputError, InUseError

Identity = dict[str, Any]

RUN = "run.json"
SCORES = "metrics.json"


@dataclass(frozen=True)
class Output:
    """A run's folder, whether the run in it is already complete, and what its checkpoints are known
    by."""

    folder: Path
    finished: bool
    fingerprint: str = ""


def choose(
    wanted: str | None, data: str, model: str, identity: Identity, *, overwrite: bool
) -> Output:
    """Find the folder of this run: the wanted one, or ``runs/<data>-<model>`` with -2, -3 … added.

    Raises `InputError` when the wanted folder holds something else.
    """
    if wanted is not None:
        folder = _checked(wanted)
        if overwrite:
            move_aside(folder)
        difference = _difference(folder, identity)
        if difference:
            raise InputError(
                difference,
                place=str(folder),
                hint="use another -o, or --overwrite to move it aside",
            )
        return Output(folder, _is_finished(folder), hash_of(identity))
    name = f"{_plain(Path(data).name.split('.')[0] or 'stdin')}-{_plain(model.split('/')[-1])}"
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not _difference(folder, identity):
            return Output(folder, _is_finished(folder), hash_of(identity))
        number += 1


def _checked(wanted: str) -> Path:
    try:
        wanted.encode()
    except UnicodeEncodeError:
        raise InputError("the name is not text", place="--output") from None
    folder = Path(wanted).expanduser() if wanted else Path()
    if Path.cwd().is_relative_to(folder.resolve()):
        raise InputError(
            "a run needs a folder of its own", place=f"--output {wanted}", hint="as -o out"
        )
    return folder


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def hash_of(content: Mapping[str, Any]) -> str:
    """Return a hash that is the same for the same content, whatever its order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_finished(folder: Path) -> bool:
    return (folder / sealing.MANIFEST).exists()


def _difference(folder: Path, identity: Identity) -> str:
    """Say why `folder` cannot be this run's; empty when it can."""
    if folder.exists() and not folder.is_dir():
        return "is a file"
    if not folder.exists() or all(sealing.is_leftover(path) for path in folder.iterdir()):
        return ""
    if not (folder / RUN).is_file():
        return "is not empty, and holds no run"
    stored = sealing.read_json(folder / RUN).get("identity")
    if not isinstance(stored, dict):
        return "is not empty, and holds no run"
    changed = "" if _learnt_nothing(folder) else first_difference(stored, identity)
    return f"holds another run ({changed})" if changed else ""


def _learnt_nothing(folder: Path) -> bool:
    """Whether the run in `folder` ended on an error before its first checkpoint: it leaves run.json
    alone, and the corrected command may have the folder."""
    return all(path.name == RUN or sealing.is_leftover(path) for path in folder.iterdir())


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the first entry that is not what it was, with both; empty when none is.

    >>> first_difference({"batch_size": 16}, {"batch_size": 32})
    'batch_size was 16, now 32'
    """
    for name in dict.fromkeys([*now, *before]):
        if before.get(name) != now.get(name):
            return f"{name} was {_short(before.get(name))}, now {_short(now.get(name))}"
    return ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


def move_aside(folder: Path) -> None:
    """Rename what stands in the way; --overwrite never deletes."""
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    with locked(folder):  # a run in progress is not moved from under its process
        folder.rename(aside)


@contextmanager
def locked(folder: Path, hint: str = "wait for it, or use another -o") -> Iterator[None]:
    """Hold a run's folder; raise `InUseError` when another process does.

    The lock is on the folder itself, so no lock file is left behind, and the system frees it when
    the process dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"another process{_holder(os.fstat(handle).st_ino)} is writing here",
                place=str(folder),
                hint=hint,
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def masked(private: bool) -> Iterator[None]:
    """Make what is written inside readable for its owner alone; else it is as the umask says.

    A model can give its training texts away, and so can checkpoints and what they were encoded to.
    """
    if not private:
        yield
        return
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _holder(inode: int) -> str:
    """Name the process that holds the lock, where the system tells (Linux)."""
    try:
        locks = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return ""
    for line in locks:  # 1: FLOCK  ADVISORY  WRITE 4242 fe:00:1310722 0 EOF
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return f" (pid {words[4]})"
    return ""


def _is_other(path: Path, identity: Identity) -> bool:
    stored = sealing.read_json(path).get("identity")
    return isinstance(stored, dict) and bool(first_difference(stored, identity))


def begin(
    folder: Path, identity: Identity, data: Mapping[str, Any], harmless: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Write run.json before the first step.

    `data` says how the data were read: the columns, and where label numbers start. `harmless` may
    change while a run lasts: versions, and how a step is cut. Return what of it has changed, as
    (was, now).
    """
    path = folder / RUN
    if not path.exists() or (_learnt_nothing(folder) and _is_other(path, identity)):
        sealing.write_json(path, {"identity": identity, **data, "begun_with": dict(harmless)})
        return {}
    begun = sealing.read_json(path).get("begun_with")
    if not isinstance(begun, dict):
        return {}
    return {
        name: (begun[name], now)
        for name, now in harmless.items()
        if name in begun and begun[name] != now
    }
