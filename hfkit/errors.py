"""The exceptions hfkit raises on purpose; each class has an exit code, and a code for programs.

    HfkitError
    ├── InputError        2  bad usage or bad input: option, config, row, label, column, model
    ├── SafetyError       3  refused because it could run code or leave its folder
    ├── ResourceError     4  disk full, input/output error, out of memory
    ├── InUseError        6  another process holds the output folder
    ├── NetworkError      7  a hub is not reachable, or refused the login
    ├── DivergedError     8  the loss or a gradient became NaN or infinite
    ├── StoppedError     75  stopped on purpose before the end; 130 and 143 after a signal
    └── LostError       137  one of several processes was killed

The codes for programs (``error.code``, and `--error-format json`) stay as they are from version to
version; wordings do not.
Anything else that reaches the command line is a bug and exits with 5.
A message is one line: what is wrong, then what to do. `place` goes in front of it,
as compilers print it (``train.csv:22``), so that editors can jump there.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

INTERNAL_ERROR = 5
FINDINGS = 1
BROKEN_PIPE = 141
# How libraries word a failed allocation that they have no class of exception for.
NO_MEMORY = (
    "out of memory", "not enough memory", "can't allocate memory", "failed to allocate memory",
    "bad_alloc",
)  # fmt: skip


class HfkitError(Exception):
    """The root of every error a user can cause; `str()` gives the line that is printed."""

    exit_code = INTERNAL_ERROR
    code = "internal"

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        self.message = message
        self.place = place
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        what_to_do = f"; {self.hint}" if self.hint else ""
        return f"{where}{self.message}{what_to_do}"


class InputError(HfkitError):
    """Bad usage or bad input."""

    exit_code = 2
    code = "input"


class EmptyError(InputError):
    """A file or stream without a single row."""

    code = "input.empty"


class RowError(InputError):
    """One row of several is bad; whoever knows where the rows came from adds the place."""

    code = "input.row"

    def __init__(self, message: str, *, row: int, place: str = "", hint: str = "") -> None:
        super().__init__(message, place=place, hint=hint)
        self.row = row  # index into the rows that were given


class SafetyError(HfkitError):
    """Refused because it could run foreign code or read outside its folder."""

    exit_code = 3
    code = "safety"


class ResourceError(HfkitError):
    """The machine ran out of disk or memory, or a device failed."""

    exit_code = 4
    code = "resource"


class InUseError(HfkitError):
    """Another process is writing to the same output folder."""

    exit_code = 6
    code = "in-use"


class NetworkError(HfkitError):
    """A hub could not be reached, or refused the login."""

    exit_code = 7
    code = "network"


class DivergedError(HfkitError):
    """Training produced a loss or gradient that is not finite."""

    exit_code = 8
    code = "diverged"


class StoppedError(HfkitError):
    """Training stopped early after saving; the same command goes on from there."""

    exit_code = 75
    code = "stopped"

    def __init__(self, message: str, *, exit_code: int = 75, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class LostError(HfkitError):
    """One of the processes that train together was killed; the same command goes on.

    So it does where one has ended without a word, but with the exit code of a bug.
    """

    exit_code = 137  # as a shell counts a kill
    code = "lost"

    def __init__(self, message: str, *, exit_code: int = 137) -> None:
        hint = "the same command continues; where memory ran out, lower --micro-batch"
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class WorkersError(HfkitError):
    """One of several processes failed and has said why; its exit code is handed on in silence."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device and in whatever library.

    >>> is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    True
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    text = str(error).lower()
    return not isinstance(error, HfkitError | OSError) and any(word in text for word in NO_MEMORY)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that is most like this one; "" where none is. Two neighbouring letters that
    changed places are the smallest of mistakes.

    >>> nearest("--tset", ["--set", "--test"]), nearest("zzz", ["accuracy"])
    ('--test', '')
    """
    names = list(known)
    swapped = {
        name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)
    } - {name}
    close = [one for one in names if one in swapped] or get_close_matches(name, names, 1, cutoff)
    return close[0] if close else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known name, or the known names when none is close.

    >>> did_you_mean("acuracy", ["accuracy", "f1"])
    "did you mean 'accuracy'?"
    >>> did_you_mean("zzz", ["accuracy", "f1"])
    'known: accuracy, f1'
    """
    names = list(known)
    close = nearest(name, names)
    return f"did you mean '{close}'?" if close else f"known: {', '.join(names)}"


def few(names: list[str]) -> str:
    """Up to three names and how many more.

    >>> few(["a"]), few(["a", "b"]), few(["a", "b", "c", "d", "e"])
    ('a', 'a and b', 'a, b, c and 2 more')
    """
    if len(names) == 1:
        return names[0]
    if len(names) <= 3:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
