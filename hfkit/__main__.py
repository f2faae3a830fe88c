"""``python -m hfkit`` is ``hfkit``; launchers of several processes start it this way.

The signals are taken before anything large is imported: Ctrl-C in an import is no traceback. What
is said on stderr is this process's own affair.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress

from hfkit import garbage, panics, signals
from hfkit.unfailing import unfailing_stderr


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    leave(command())


def command() -> int:
    """Run the command line of this process and return its exit code."""
    signals.install()
    unfailing_stderr()
    panics.own_stderr()
    garbage.seldom()
    # Plug-ins of pydantic for other programs would be looked for among all installed packages.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from hfkit.cli.app import run

        code = run(sys.argv[1:])
    except BaseException:
        if signals.received is None:
            raise
        if sys.stderr is not None:
            sys.stderr.write(f"hfkit: error: {signals.word()}\n")
        code = 128 + signals.received
    signals.let_die()
    return code


def leave(code: int) -> None:
    """End the process without taking apart what it has imported, which lasts the better part of a
    second where torch is there. Threads are waited for, and what was put off to the end is done, as
    at any end."""
    if _is_watched():
        sys.exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
    os._exit(code)


def _is_watched() -> bool:
    """Whether a profiler, a debugger or coverage is there, which writes when ``main`` has
    returned."""
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on, with six tools
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    return any([sys.gettrace(), sys.getprofile(), *tools])


if __name__ == "__main__":
    main()
