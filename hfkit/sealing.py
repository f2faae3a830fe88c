"""Files and folders that exist whole or not at all, and manifests that prove it.

Everything hfkit must not lose is written here: a file beside its final name and then renamed, a
folder staged under a name with a leading dot, synced, sealed with the hashes of its files and then
renamed. A kill at any moment leaves the old state or the new one. Only a folder that replaces
another takes two moves; `restore`, which every reader of such a folder calls first, undoes a half.
The promise needs a local POSIX file system; on network file systems a rename is as atomic as the
server makes it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfkit.errors import HfkitError, InputError, ResourceError
from hfkit.hashing import sha256

MANIFEST = "manifest.json"
BEFORE = "before"  # of an entry whose file is being replaced: what it was; null: it was not there
_STAGE = ".stage-"
_GONE = ".gone-"
# NumPy's words for a file that took less than it was given; no number of the system's comes along.
SHORT_WRITE = re.compile(r"problem writing element|requested and \d+ written")
_REPLACED = ".was-"  # whole, and wanted until what replaces it has its name
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)

log = logging.getLogger(__name__)


def sync(path: Path) -> None:
    """Wait until the file or folder at `path` is on the disk, not only in the system's cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one move; a reader sees the old file or the new one, whole.

    Raises `ResourceError` where the disk is full or fails; the old file then stands.
    """
    stage = stage_of(path)
    with storing(path, len(data)):
        try:
            with stage.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            stage.replace(path)
            sync(path.parent)
        except OSError:
            stage.unlink(missing_ok=True)
            raise


def stage_of(path: Path) -> Path:
    """The name under which what becomes `path` is made; a kill may leave it there."""
    return path.with_name(f"{_STAGE}{path.name}")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON. NaN is refused: it is not JSON and few readers take it."""
    write_bytes(path, as_json(content))


def as_json(content: Mapping[str, Any]) -> bytes:
    """Return the bytes that `write_json` writes.

    >>> as_json({"f1": 0.5})
    b'{\\n  "f1": 0.5\\n}\\n'
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def seal(
    folder: Path,
    facts: Mapping[str, Any] | None = None,
    *,
    leave_out: Collection[str] = (),
    name: str = MANIFEST,
) -> None:
    """Sync every file of `folder` and write its manifest, the file `name`: `facts`, and under
    ``files`` the size and hash of each file, by its path inside the folder. Dot-files and
    dot-folders stay out, and so do the files and folders named in `leave_out`.
    """
    files = {}
    unsealed = {name, *leave_out}
    with storing(folder):
        found = [p for p in _files(folder) if p.relative_to(folder).parts[0] not in unsealed]
        for path in found:
            sync(path)
            files[path.relative_to(folder).as_posix()] = {
                "size": path.stat().st_size,
                "sha256": sha256(path),
            }
        for inner in {path.parent for path in found}:
            sync(inner)
    write_json(folder / name, {**(facts or {}), "files": files})


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that hfkit wrote. Raises `InputError` where it is something else now."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"damaged ({type(error).__name__})", place=str(path)) from error
    if not isinstance(found, dict):
        raise InputError("damaged (not an object)", place=str(path))
    return found


def damage(
    folder: Path,
    only: Collection[str] | None = None,
    manifest: str = MANIFEST,
    hash_of: Callable[[Path], str] = sha256,
) -> str | None:
    """Say what is wrong with a sealed folder, ``"model.safetensors: checksum mismatch"``, or
    return None if every file of its manifest is there with the right bytes. `only` names the files
    to look at; those the manifest does not have are passed over."""
    found = damages(folder, only, manifest, hash_of)
    return next((f"{name}: {wrong}" for name, wrong in found), None)


def damages(
    folder: Path,
    only: Collection[str] | None = None,
    manifest: str = MANIFEST,
    hash_of: Callable[[Path], str] = sha256,
) -> Iterator[tuple[str, str]]:
    """Yield each damaged file of a sealed folder, and what is wrong with it; see `damage`."""
    try:
        files = _entries(folder, manifest)
    except FileNotFoundError:
        yield manifest, "missing"
    except OSError as error:
        yield manifest, str(error.strerror)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        yield manifest, "damaged"
    else:
        for name, entry in files.items():
            if only is None or name in only:
                wrong = _differs(folder, name, entry, hash_of)
                if wrong:
                    yield name, wrong


def sealed_files(folder: Path, manifest: str = MANIFEST) -> dict[str, tuple[int, str]]:
    """Return size and hash of each file by its path inside the folder, as the manifest has them."""
    entries = _entries(folder, manifest)
    return {name: (entry["size"], entry["sha256"]) for name, entry in entries.items()}


def _entries(folder: Path, manifest: str) -> dict[str, Any]:
    """The entries of a manifest, each with its size and hash. Raises what a damaged one does."""
    entries: dict[str, Any] = json.loads((folder / manifest).read_text("utf-8"))["files"]
    for entry in entries.values():
        entry["size"], entry["sha256"]
    return entries


def _differs(
    folder: Path, name: str, entry: Mapping[str, Any], hash_of: Callable[[Path], str]
) -> str:
    """Say what is wrong with a file; a kill may have come while it was replaced, and left it as it
    was before, or absent."""
    wrong = _wrong(folder, name, entry, hash_of)
    if not wrong or BEFORE not in entry:
        return wrong
    before = entry[BEFORE]
    if before is None:
        return wrong if (folder / name).exists() else ""
    return _wrong(folder, name, before, hash_of)


def _wrong(
    folder: Path, name: str, entry: Mapping[str, Any], hash_of: Callable[[Path], str]
) -> str:
    """Say what is wrong with one sealed file; "" where nothing is."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "leads out of the folder"
        if path.stat().st_size != entry["size"]:
            return f"{path.stat().st_size} bytes, expected {entry['size']}"
        return "" if hash_of(path) == entry["sha256"] else "checksum mismatch"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return str(error.strerror)


@contextmanager
def staged(folder: Path, needs: int = 0, *, sealed: bool = False) -> Iterator[Path]:
    """Give a folder to fill; when the block ends well it is sealed and becomes `folder`.

    With `sealed` the block has done the sealing. `needs` is the size in bytes that an error message
    names. Raises `ResourceError` where the disk is full or fails, and removes what was staged; what
    was there before then stands.
    """
    stage = stage_of(folder)
    with storing(folder, needs):
        try:
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            yield stage
            if not sealed:
                seal(stage)
            _put(stage, folder)
            sync(folder.parent)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise


def remove(folder: Path) -> None:
    """Delete a folder so that a kill half-way never leaves a part of it under its own name.

    Raises `ResourceError` where the disk fails.
    """
    if folder.exists():
        with storing(folder):
            shutil.rmtree(_away(folder), ignore_errors=True)


def restore(folder: Path) -> None:
    """Give a folder its name back where a kill came between the two moves that replace it.

    Nothing happens where it stands, or where nothing was replaced.
    """
    replaced = _replaced(folder)
    if folder.exists() or not replaced.exists():
        return
    try:
        replaced.rename(folder)
    except OSError as error:
        if not folder.exists():  # else another process was quicker
            words = "%s: a kill came while it was replaced; the old one lies in %s (%s)"
            log.warning(words, folder, replaced.name, error.strerror)
    else:
        log.info("%s: a kill came while it was replaced; the old one is back", folder)


def _put(stage: Path, folder: Path) -> None:
    """Let a sealed stage become `folder`; what stood there goes only when that is done."""
    replaced = _replaced(folder)
    restore(folder)
    if replaced.exists():
        shutil.rmtree(_away(replaced), ignore_errors=True)
    while True:
        if folder.exists():
            folder.rename(replaced)
        try:
            stage.rename(folder)
        except BaseException as error:
            if getattr(error, "errno", None) in _TAKEN and folder.exists():
                continue  # a reader came between and has called `restore`
            if replaced.exists() and not folder.exists():
                replaced.rename(folder)
            raise
        else:
            break
    if replaced.exists():
        try:
            shutil.rmtree(_away(replaced), ignore_errors=True)
        except OSError as error:  # the new one stands; whoever replaces it tries again
            words = "%s: it is replaced; the old one is not deleted and lies in %s (%s)"
            log.warning(words, folder, replaced.name, error.strerror)


def _replaced(folder: Path) -> Path:
    """Where a folder is while another one takes its place."""
    return folder.with_name(f"{_REPLACED}{folder.name}")


def _away(folder: Path) -> Path:
    """Take a folder its name; return where it is now."""
    gone = folder.with_name(f"{_GONE}{folder.name}")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    return gone


def is_leftover(path: Path) -> bool:
    """Whether a kill has left this: a stage, or a folder that was being deleted."""
    return path.name.startswith((_STAGE, _GONE))


def sweep(folder: Path) -> None:
    """Delete what kills have left in `folder`: stages and half-deleted folders. What was about to
    be replaced comes back."""
    for replaced in folder.glob(f"{_REPLACED}*"):
        old = folder / replaced.name.removeprefix(_REPLACED)
        restore(old)
        if replaced.exists() and old.exists():
            shutil.rmtree(_away(replaced), ignore_errors=True)
    for prefix in (_STAGE, _GONE):
        for left in folder.glob(f"{prefix}*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextmanager
def storing(path: Path, needs: int = 0) -> Iterator[None]:
    """Turn a failure to write `path` into one line for people: `ResourceError`, exit code 4."""
    from safetensors import SafetensorError

    try:
        yield
    except HfkitError:
        raise
    except Exception as error:
        number = disk_error(error)
        if number is None and not isinstance(error, OSError | SafetensorError):
            raise
        full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        reason = "disk full" if full else os.strerror(number) if number else str(error)
        size = f", needs {_megabytes(needs)}, {_megabytes(_free(path))} free" if needs else ""
        raise ResourceError(f"{reason}{size}", place=str(path)) from error


def disk_error(error: BaseException) -> int | None:
    """Return the number of the system's error behind an exception, whatever library has wrapped it;
    None where it tells of none.

    >>> disk_error(Exception("No space left on device (os error 28)"))
    28
    >>> disk_error(OSError("problem writing element 1024 to file"))
    28
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return cause.errno
        text = str(cause)
        if found := re.search(r"\(os error (\d+)\)", text):  # how Rust ends such a message
            return int(found[1])
        if isinstance(cause, OSError) and SHORT_WRITE.search(text):
            return errno.ENOSPC
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            if os.strerror(number).lower() in text.lower():
                return number
        cause = cause.__cause__ or cause.__context__
    return None


def check_room(folder: Path, least: int, comfortable: int) -> None:
    """Look whether the disk of `folder` has `least` bytes free, without which nothing will come of
    it, and warn where it has less than is `comfortable`.

    Raises `ResourceError` where it has less than the least.
    """
    free = _free(folder / MANIFEST)
    if free < least:
        raise ResourceError(
            f"a checkpoint needs {_megabytes(least)}, {_megabytes(free)} are free",
            place=str(folder),
            hint="make room, or use another -o",
        )
    if free < comfortable:
        log.warning(
            "%s: %s are free; checkpoints may come to need %s",
            folder, _megabytes(free), _megabytes(comfortable),
        )  # fmt: skip


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    hidden = (path.relative_to(folder).parts for path in found)
    return sorted(folder.joinpath(*parts) for parts in hidden if not _has_dot(parts))


def _has_dot(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)


def _free(path: Path) -> int:
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    return shutil.disk_usage(existing).free


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
