"""The server around the application: connections that must not be slow, signals, a good end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hfkit.config.serving import Limits
from hfkit.serve.limits import HEAD

IDLE = 5  # seconds that a connection without a request stays open
SLOWEST = 2**12  # bytes of an answer that a client has to take while the patience lasts
# Connections beyond those that are answered are told so, with 503; for so many times as many in all
# there is not even that, or idle ones would take all files that the process may open.
MOST = 2


class PatientProtocol(H11Protocol):
    """HTTP/1.1 whose patience ends where a client does not finish the head of its request, goes on
    with a body that was refused, or does not take its answer."""

    patience = 10.0
    most = 128

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._head_is_due: asyncio.TimerHandle | None = None
        self._taking_is_due: asyncio.TimerHandle | None = None
        transport.set_write_buffer_limits(0)  # to hear of all that is not taken
        if len(self.connections) > MOST * self.most:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; wait on where they do not complete the head."""
        super().data_received(data)
        if self.transport.is_closing():
            self._stop_waiting()
        elif self.conn.their_state is h11.IDLE or self._is_answered_early():
            self._wait()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Tell of what is no HTTP; what was asked in front of it has no answer then."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # its answer has gone out: there is nothing to tell
            self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that was not read; nobody reads it."""
        super().on_response_complete()
        if self._is_answered_early() and not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._expect_nothing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what is written."""
        super().pause_writing()
        self._expect(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """All was taken."""
        super().resume_writing()
        self._expect_nothing()

    def _expect(self, left: int) -> None:
        """Wait until some of what is left to be taken was."""

        def look() -> None:
            now = self.transport.get_write_buffer_size()
            if now > left - SLOWEST:
                self.transport.abort()
            else:
                self._expect(now)

        self._taking_is_due = self.loop.call_later(self.patience, look)

    def _expect_nothing(self) -> None:
        if self._taking_is_due is not None:
            self._taking_is_due.cancel()
            self._taking_is_due = None

    def _is_answered_early(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _wait(self) -> None:
        if self._head_is_due is None:
            self._head_is_due = self.loop.call_later(self.patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_is_due is not None:
            self._head_is_due.cancel()
            self._head_is_due = None

    def _give_up(self) -> None:
        self._head_is_due = None
        if self.transport.is_closing():
            return
        if self._is_answered_early():
            self.transport.close()
        elif self.conn.their_state is h11.IDLE:
            answer = (
                b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.transport.write(answer)
            self.transport.close()


class Server(uvicorn.Server):
    """Ends in good order at the first signal: what was accepted is answered. The second signal is
    the system's own again."""

    ended_by: int | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals for as long as it serves."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        taken = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
        for number in taken:
            signal.signal(number, self._end)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended_by = number
        self.should_exit = True
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)


def serve_app(
    app: Any, listener: socket.socket, limits: Limits, ready: Callable[[], None]
) -> int | None:
    """Serve an application at a socket until a signal comes; return its number.

    `ready` is called once it listens. What is being answered then has the time that a request may
    take, and a little more to leave.
    """
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it would log addresses and paths

    class Protocol(PatientProtocol):
        patience = limits.patience
        most = limits.max_connections

    server = Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.max_connections,
            h11_max_incomplete_event_size=HEAD,
            timeout_keep_alive=IDLE,
            timeout_graceful_shutdown=int(limits.timeout) + 5,
        )
    )

    async def run() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready()
        await serving

    asyncio.run(run())
    return server.ended_by
