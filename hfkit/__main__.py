"""``python -m hfkit`` is ``hfkit``; launchers of several processes start it this way.

The signals are taken before anything large is imported: Ctrl-C in an import is no traceback. What
is said on stderr is this process's own affair.
"""

from __future__ import annotations

import sys

from hfkit import panics, signals


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    signals.install()
    panics.own_stderr()
    try:
        from hfkit.cli.app import run

        code = run(sys.argv[1:])
    except BaseException:
        if signals.received is None:
            raise
        sys.stderr.write("hfkit: error: interrupted\n")
        code = 128 + signals.received
    signals.let_die()
    sys.exit(code)


if __name__ == "__main__":
    main()
