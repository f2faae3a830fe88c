"""Where processes listen, as Linux tells it in /proc."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"


def below(pid: int) -> Iterator[int]:
    """A process and all that it has started, and so on."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            yield from below(int(child))


def listening(pid: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The addresses that a process, or one it has started, waits for connections at."""
    sockets = set()
    for one in below(pid):
        for descriptor in Path(f"/proc/{one}/fd").iterdir():
            target = str(descriptor.readlink()) if descriptor.is_symlink() else ""
            if target.startswith("socket:["):
                sockets.add(target[len("socket:[") : -1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]:
            words = line.split()
            if words[3] == LISTEN and words[9] in sockets:
                found.append(_address(words[1].split(":")[0]))
    return found


def _address(digits: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: words of four bytes, each in the machine's own order
    (little-endian here)."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    return ipaddress.ip_address(b"".join(words))
