"""From an exception to an exit code and one line on stderr; the only place that does it.

What hfkit raises on purpose brings its exit code along (`hfkit.errors`). Anything else that is not
known here is a bug: it is reported in a file that holds no value of the user's data.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hfkit import signals
from hfkit.cli.console import PROGRAM, say, say_json
from hfkit.cli.wording import OTHER_WORDS
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
UNKNOWN_COMMAND = re.compile(r"(no such command '(.*?)')(?:; (.*))?")
LESS_MEMORY = "lower --micro-batch (the result stays the same), --batch-size or --max-length"


_as_json = False  # whether the last line is for a program


@dataclass(frozen=True)
class Ending:
    """How a command ends: its exit code, and what it has to say last. Of several processes that
    train together only one speaks."""

    code: int = 0
    speak: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class _Last:
    """The exit code and the last line; nothing is said where there is no message."""

    exit: int
    code: str = ""
    message: str = ""
    place: str = ""
    hint: str = ""
    severity: str = "error"

    def say(self) -> None:
        if not self.message:
            return
        if _as_json:
            parts = {"place": self.place, "message": self.message, "hint": self.hint}
            known = {name: text or None for name, text in parts.items()}
            say_json({"code": self.code, "exit": self.exit, **known})
        else:
            say(self.severity, HfkitError(self.message, place=self.place, hint=self.hint))


def speak_json(wanted: bool) -> None:
    """Settle how the last line of a command that fails is written: as an object, or as text."""
    global _as_json
    _as_json = wanted


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line, or its environment, asks for the last line as JSON; what is wrong
    with the rest of it is said so, too.

    >>> asks_for_json(["predict", "--error-format", "json"]), asks_for_json(["predict"])
    (True, False)
    """
    found = os.environ.get("HFKIT_ERROR_FORMAT", "")
    for word, following in pairwise([*arguments, ""]):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == "--error-format":
            found = value if equals else following
    return found == "json"


def ending(error: BaseException, *, debug: bool) -> Ending:
    """Decide how an error ends the program."""
    last = _last(error)

    def speak() -> None:
        if debug:
            sys.stderr.write(redacted("".join(traceback.format_exception(error))))
        last.say()

    return Ending(last.exit, speak)


def _last(error: BaseException) -> _Last:
    """Exit code and last line of an error; no line where all has been said already."""
    if signals.received is not None:  # whatever it was turned into on its way here
        word = signals.word()
        return _Last(128 + signals.received, word, word)
    if isinstance(error, SystemExit):
        return _Last(error.code if isinstance(error.code, int) else int(error.code is not None))
    if isinstance(error, BrokenPipeError):
        return _Last(BROKEN_PIPE)
    if isinstance(error, KeyboardInterrupt):
        return _Last(INTERRUPTED, "interrupted", "interrupted")
    if hasattr(error, "format_message"):  # a usage error of Typer, wherever its class lives
        message, _, hint = usage_message(error).partition("; ")
        return _Last(USAGE, "usage", message, hint=hint)
    known = as_hfkit_error(error)
    if known is None:
        return _Last(INTERNAL_ERROR, HfkitError.code, _internal(error))
    severity = "" if isinstance(known, StoppedError) else "error"
    return _Last(known.exit_code, known.code, known.message, known.place, known.hint, severity)


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
        from hfkit.cli.options import advice_on

        context = getattr(error, "ctx", None)
        known = context.command.params if context else []
        own = [text for param in known for text in (*param.opts, *param.secondary_opts)]
        advice = advice_on(wrong, [text for text in own if text.startswith("-")])
        return f"no such option: {wrong}" + (f"; {advice}" if advice else "")
    text = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    text = text.replace(". Did you mean", "; did you mean").rstrip(".")
    text = text[:1].lower() + text[1:]
    command = UNKNOWN_COMMAND.fullmatch(text)
    return text if command is None else f"{command[1]}; {_meant(command[2], command[3], error)}"


def _meant(word: str, near: str | None, error: BaseException) -> str:
    """Which command may have been meant by a word that is none, as other programs use it."""
    within = getattr(getattr(error, "ctx", None), "command_path", None) or PROGRAM
    if word in OTHER_WORDS and within == PROGRAM:
        return f"as: {PROGRAM} {OTHER_WORDS[word]}"
    return near or f"{within} --help lists the commands"


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
