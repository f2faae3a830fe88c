"""Where the processes of one machine meet: a store that listens on the loopback interface alone.

PyTorch's launcher opens stores of its own, which listen on every interface of the machine and let
in whoever connects. Its store takes a socket that is bound already, so here one is.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.rendezvous import (
    RendezvousInfo,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

if TYPE_CHECKING:
    from torch.distributed.elastic.rendezvous import RendezvousParameters

BACKEND = "hfkit-loopback"
HERE = "127.0.0.1"


def loopback_store() -> TCPStore:
    """Open a store at a free port of the loopback interface."""
    with socket.socket() as listening:
        listening.bind((HERE, 0))
        listening.listen()
        port = listening.getsockname()[1]
        return TCPStore(
            HERE, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
        )


class LoopbackMeeting(StaticTCPRendezvous):
    """The meeting of the one launcher of a machine; its workers use its store."""

    def __init__(self, run_id: str) -> None:
        self._open = loopback_store()
        super().__init__(HERE, self._open.port, rank=0, world_size=1, run_id=run_id, timeout=60)

    def get_backend(self) -> str:
        return BACKEND

    def next_rendezvous(self) -> RendezvousInfo:
        """Nobody has to be waited for."""
        where = RendezvousStoreInfo(self.master_addr, self.master_port)
        return RendezvousInfo(PrefixStore(self.run_id, self._open), 0, 1, where)


def register() -> str:
    """Make the launcher know this meeting; return the name to ask it by."""
    rendezvous_handler_registry.register(BACKEND, _meeting)
    return BACKEND


def _meeting(parameters: RendezvousParameters) -> LoopbackMeeting:
    return LoopbackMeeting(parameters.run_id)
