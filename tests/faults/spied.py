"""Runs command lines one after the other in a process that notes every use of the network.

    python spied.py COMMANDS.json

The file holds lists of arguments; each command's exit code is a line on stderr. Attempts are noted
in the file that SPIED_ATTEMPTS names, with the command that made them, whichever library it was:
Python tells its audit hooks of them. `spying/` in the PYTHONPATH does so in the processes that a
command starts, too. After the last command one look-up is made on purpose.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

EVENTS = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
    "socket.sendto",
)  # fmt: skip
CONTROL = "control.invalid"


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Write an attempt down; sockets of this machine's own file system are none."""
    if event not in EVENTS:
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if not isinstance(address, str | bytes) or not event.endswith(("connect", "sendto")):
        command = os.environ.get("SPIED_COMMAND", "start")
        with Path(os.environ["SPIED_ATTEMPTS"]).open("a", encoding="utf-8") as file:
            file.write(f"{command}: {event} {address!r}\n")


def raise_loopback() -> None:
    """Let processes of this machine meet, in a namespace where not even that is possible (Linux).

    The request is SIOCSIFFLAGS with IFF_UP: a name of 16 bytes, then the flags (netdevice(7)).
    """
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))


def main() -> None:
    from hfkit.cli.app import run
    from hfkit.commands import demo

    demo.EPOCHS = 0.05  # what it reads and asks for is the same
    for arguments in json.loads(Path(sys.argv[1]).read_text("utf-8")):
        os.environ["SPIED_COMMAND"] = name(arguments)
        if "SPIED_ISOLATED" in os.environ and together(arguments):
            raise_loopback()
        code = run(arguments)
        print(f"ended {code}: {' '.join(arguments)}", file=sys.__stderr__, flush=True)
    os.environ["SPIED_COMMAND"] = "control"
    with suppress(OSError):
        socket.getaddrinfo(CONTROL, 80)


def name(arguments: list[str]) -> str:
    """What a command is called in the notes."""
    return f"{arguments[0]} together" if together(arguments) else arguments[0]


def together(arguments: list[str]) -> bool:
    """Whether this is a training in several processes, which have to meet somewhere."""
    return arguments[0] == "finetune" and "--num-processes" in arguments


if __name__ == "__main__":
    main()
