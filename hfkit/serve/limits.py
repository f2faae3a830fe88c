"""The door: what every request has to pass before anything reads it.

    Host      a name of this server, or a page on the network could speak to it (DNS rebinding)  421
    Origin    this server's own page, or no page at all                                          403
    token     where one is set, for every path; as Bearer, or as a browser's password (Basic)    401
    body      JSON, small, not deep, and sent before the client's patience ends    415 413 400 408

It stands before the routes, so that a new one cannot be forgotten. What a route raises ends here,
too: clients learn that something failed and never where.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hfkit.config.serving import Limits
from hfkit.serve.counts import Counts
from hfkit.serve.refusal import Refusal, error_body
from hfkit.serve.served import as_refusal

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

DEEPEST = 32  # levels of JSON
NAMES = 1000  # of one object: to note what is wrong with each of very many takes seconds
HEAD = 2**14  # bytes of all headers
LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
ASK = {"WWW-Authenticate": 'Basic realm="hfkit: the token is the password", charset="UTF-8"'}


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Guests:
    """Who is let in: with this `token` (empty: anybody), asking for one of these `names`. Where
    `addresses` are welcome, a bare IP address is a name, too: no name leads there by a trick."""

    token: str = ""
    names: Collection[str] = LOCAL
    addresses: bool = False

    def check(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raise `Refusal` for a request that may not come in."""
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        host = found.get("host", "")
        if not self._is_ours(host):
            hint = "reach it by its address, or start it with --allow-host"
            raise Refusal(421, f"this server does not go by that name; {hint}")
        origin = found.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            raise Refusal(403, "a page of another site may not ask")
        if self.token and not self._knows(found.get("authorization", "")):
            raise Refusal(401, "a token is needed", ASK)

    def _is_ours(self, host: str) -> bool:
        if set(host) & set("/?#@\\"):
            return False  # more than a name and a port
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.addresses

    def _knows(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        given = value.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode("utf-8"), self.token.encode("utf-8"))


def _netloc(origin: str) -> str:
    """The host and port of an origin; "" for what is none, such as ``null``."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


class Door:
    """Wraps the application; everything that comes in passes here, and all that goes out."""

    def __init__(self, app: App, guests: Guests, limits: Limits, counts: Counts) -> None:
        self._app = app
        self._guests = guests
        self._limits = limits
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it; count it."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no web sockets here
        answer = _Answer(send)
        begun = time.perf_counter()
        self._counts.open += 1
        try:
            await self._let_in(scope, receive, answer)
        except Exception as error:
            refusal = as_refusal(error) or _bug(error)
            if not answer.status:
                await answer.refuse(scope["path"], refusal)
        finally:
            self._counts.open -= 1
            path = getattr(scope.get("route"), "path", "")
            seconds = time.perf_counter() - begun
            self._counts.answered(path, answer.status or 499, seconds)

    async def _let_in(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        self._guests.check(scope["headers"])
        if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > HEAD:
            raise Refusal(431, f"the headers have more than {HEAD} bytes", {"Connection": "close"})
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return await self._app(scope, receive, answer)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "expected Content-Type: application/json")
        if b"content-encoding" in headers:
            raise Refusal(415, "a compressed request is not read")
        body = await self._body(headers.get(b"content-length", ""), receive)
        check_json(body)
        return await self._while_there(scope, body, receive, answer)

    async def _while_there(
        self, scope: Scope, body: bytes, receive: Receive, answer: _Answer
    ) -> None:
        """Answer a request that was read; give it up where the client goes."""
        answering = asyncio.ensure_future(self._app(scope, _given(body, receive), answer))
        going = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, going}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done() and not answer.is_whole:
                log.debug("a client has gone before its answer")
                answering.cancel()
                await asyncio.wait({answering})
                return
            await answering
        finally:
            going.cancel()
            answering.cancel()

    async def _body(self, length: str, receive: Receive) -> bytes:
        """Read a body. Raises `Refusal` for one that is too large or comes too slowly."""
        most = self._limits.max_body
        large = Refusal(413, f"a request larger than {most} bytes", {"Connection": "close"})
        if length.isdecimal() and int(length) > most:
            raise large
        parts, size, more = [], 0, True
        try:
            async with asyncio.timeout(self._limits.patience):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(408, "the client has gone")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > most:
                        raise large
        except TimeoutError:
            message_ = f"the request did not arrive within {self._limits.patience:g} seconds"
            raise Refusal(408, message_, {"Connection": "close"}) from None
        return b"".join(parts)


def check_json(body: bytes) -> None:
    """Raise `Refusal` for what is no JSON of a moderate depth, as RFC 8259 has it.

    >>> check_json(b'{"inputs": "a text"}')
    """

    def no_number(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(body, parse_constant=no_number)
    except (ValueError, RecursionError):
        raise Refusal(400, "the request is not JSON") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise Refusal(400, f"JSON deeper than {DEEPEST} levels")
        if any(isinstance(one, dict) and len(one) > NAMES for one in level):
            raise Refusal(400, f"an object of more than {NAMES} names")
        inner = [one.values() if isinstance(one, dict) else one for one in level
                 if isinstance(one, dict | list)]  # fmt: skip
        level = [one for values in inner for one in values]


def _given(body: bytes, receive: Receive) -> Receive:
    """What hands on a body that was read, and then waits for the client to go."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _bug(error: Exception) -> Refusal:
    """What is told of a bug: where it is goes to the log, without any value of the request."""
    places = traceback.extract_tb(error.__traceback__)
    last = places[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    log.error("internal error: %s at %s", type(error).__name__, where)
    log.debug("internal error", exc_info=error)
    return Refusal(500, "internal error")


class _Answer:
    """Sends an answer with the headers that all of them have."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.is_whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            ours = {name.lower().encode("ascii") for name in HEADERS}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in ours]
            message["headers"] = [*kept, *_encoded(HEADERS)]
        elif message["type"] == "http.response.body":
            self.is_whole = not message.get("more_body", False)
        await self._send(message)

    async def refuse(self, path: str, refusal: Refusal) -> None:
        """Answer with an error."""
        content = error_body(path, refusal.status, refusal.message)
        body = json.dumps(content).encode("ascii")
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        headers = _encoded({**own, **refusal.headers})
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _encoded(headers: MutableMapping[str, str] | dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("ascii"), value.encode("latin-1"))
            for name, value in headers.items()]  # fmt: skip
