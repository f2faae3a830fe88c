"""Runs command lines one after the other in a process that notes every use of the network.

    python spied.py COMMANDS.json

The file holds lists of arguments; each command's exit code is a line on stderr. Attempts are noted
in the file that HFKIT_SPY names, with the command that made them, whichever library it was: Python
tells its audit hooks of them. After the last command one look-up is made on purpose.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
CONTROL = "control.invalid"
command = ["start"]


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Write an attempt down; sockets of this machine's own file system are none."""
    if event not in EVENTS:
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if not isinstance(address, str | bytes) or not event.endswith(("connect", "sendto")):
        with Path(os.environ["HFKIT_SPY"]).open("a", encoding="utf-8") as file:
            file.write(f"{command[0]}: {event} {address!r}\n")


def main() -> None:
    sys.addaudithook(note)
    from hfkit.cli.app import run

    for arguments in json.loads(Path(sys.argv[1]).read_text("utf-8")):
        command[0] = arguments[0]
        code = run(arguments)
        print(f"ended {code}: {' '.join(arguments)}", file=sys.__stderr__, flush=True)
    command[0] = "control"
    with suppress(OSError):
        socket.getaddrinfo(CONTROL, 80)


if __name__ == "__main__":
    main()
