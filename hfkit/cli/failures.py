"""From an exception to an exit code and one line on stderr; the only place that does it.

What hfkit raises on purpose brings its exit code along (`hfkit.errors`). Anything else that is not
known here is a bug: it is reported in a file that holds no value of the user's data.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hfkit import signals
from hfkit.cli.console import PROGRAM, say
from hfkit.errors import (
    BROKEN_PIPE,
    INTERNAL_ERROR,
    HfkitError,
    InputError,
    LostError,
    NetworkError,
    ResourceError,
    StoppedError,
    is_out_of_memory,
)
from hfkit.panics import is_panic
from hfkit.redaction import redacted
from hfkit.train.launch import is_lost_peer

INTERRUPTED = 130
USAGE = 2
ENDED = {int(signal.SIGTERM): "terminated"}

NO_RESOURCES = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EROFS,
}
BAD_PATH = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
NO_NAMES = {errno.ENAMETOOLONG, errno.ELOOP}
LONGEST = 300  # characters of a path in a message
NETWORK_CLASSES = {
    "ConnectError",
    "ConnectTimeout",
    "HfHubHTTPError",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "OfflineModeIsEnabled",
    "ReadTimeout",
}
LESS_MEMORY = "lower --micro-batch (the result stays the same), --batch-size or --max-length"


@dataclass(frozen=True)
class Ending:
    """How a command ends: its exit code, and what it has to say last. Of several processes that
    train together only one speaks."""

    code: int = 0
    speak: Callable[[], None] = lambda: None


def ending(error: BaseException, *, debug: bool) -> Ending:
    """Decide how an error ends the program."""
    code, line, severity = _told(error)

    def speak() -> None:
        if debug:
            sys.stderr.write(redacted("".join(traceback.format_exception(error))))
        if line:  # none where it has been said already
            say(severity, line)

    return Ending(code, speak)


def _told(error: BaseException) -> tuple[int, str, str]:
    """Exit code, line and severity of an error."""
    if signals.received is not None:  # whatever it was turned into on its way here
        return 128 + signals.received, ENDED.get(signals.received, "interrupted"), "error"
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else int(error.code is not None)), "", ""
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE, "", ""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted", "error"
    if hasattr(error, "format_message"):  # a usage error of Typer, wherever its class lives
        return USAGE, usage_message(error), "error"
    known = as_hfkit_error(error)
    if known is not None:
        return known.exit_code, str(known), "" if isinstance(known, StoppedError) else "error"
    return INTERNAL_ERROR, _internal(error), "error"


def as_hfkit_error(error: BaseException) -> HfkitError | None:
    """Translate what other libraries raise for everyday reasons; None for what is a bug."""
    if isinstance(error, HfkitError):
        return error
    if is_lost_peer(error):
        return LostError("another process of this run is gone")
    if is_out_of_memory(error):
        return ResourceError("out of memory", hint=LESS_MEMORY)
    if isinstance(error, UnicodeEncodeError):
        return ResourceError(
            f"the output cannot hold {error.object[error.start]!a}",
            hint="set PYTHONIOENCODING=utf-8",
        )
    if is_panic(error):
        return InputError(
            "the tokenizer's library gave up on its tokenizer.json", hint="download the model again"
        )
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return InputError("there is no such home directory")
    if isinstance(error, OSError) and error.errno is not None:
        place = str(error.filename) if error.filename is not None else ""
        reason = (error.strerror or str(error)).lower()
        if error.errno in NO_RESOURCES:
            return ResourceError(reason, place=place)
        if error.errno in NO_NAMES or (isinstance(error, BAD_PATH) and place):
            return InputError(reason, place=place if len(place) < LONGEST else f"{place[:40]}…")
    if any(name in NETWORK_CLASSES for name in _class_names(error)):
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        return NetworkError(
            f"network: {first_line}", hint="a local folder and --offline need no connection"
        )
    return None


def usage_message(error: BaseException) -> str:
    """Typer's own message as one line in our manner: lower case, one suggestion.

    >>> from typer import BadParameter
    >>> usage_message(BadParameter("it is too long."))
    'invalid value: it is too long'
    """
    wrong = getattr(error, "option_name", None)
    if wrong and hasattr(error, "possibilities"):
        close = error.possibilities
        return f"no such option: {wrong}" + (f"; did you mean '{close[0]}'?" if close else "")
    text = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    text = text.replace(". Did you mean", "; did you mean").rstrip(".")
    return text[:1].lower() + text[1:]


def _class_names(error: BaseException) -> Iterator[str]:
    return (klass.__name__ for klass in type(error).__mro__)


def _internal(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}hfkit{os.sep}" in frame.filename] or frames[-1:]
    where = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    saved = _save_crash_report(error)
    kept = f"; report in {saved}" if saved else ""
    return f"internal error: {type(error).__name__}{where}{kept} (--debug shows the traceback)"


def _save_crash_report(error: BaseException) -> Path | None:
    """Write where it happened, never what the values were: a message may quote a training text."""
    from importlib.metadata import PackageNotFoundError, version

    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    path = Path(cache) / PROGRAM / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    lines = [f"python {sys.version.split()[0]} on {sys.platform}"]
    for package in ("hfkit", "torch", "transformers"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} not installed")
    cause: BaseException | None = error
    while cause is not None:
        lines += ["", type(cause).__name__]
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(cause.__traceback__)
        ]
        cause = cause.__cause__ or cause.__context__
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError:
        return None
    return path
