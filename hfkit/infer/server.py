"""A server that speaks OpenAI's protocol, asked in place of a model here: one request a row.

Several requests are on their way at once, and answers come out in the order of the rows. Nothing
but these requests is sent. The key is read from the environment, goes to this server alone (no
redirect is followed) and stands in no message.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from hfkit import __version__
from hfkit.errors import InputError, NetworkError, RowError

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

KEYS = ("HFKIT_API_KEY", "OPENAI_API_KEY")
CHAT, COMPLETIONS = "/chat/completions", "/completions"
AT_ONCE = 8  # requests
MANY = 4096  # rows; one without an answer is told of after them
TIMEOUT = 60.0  # seconds for one request
ATTEMPTS = 5
FIRST_PAUSE = 1.0  # seconds; doubled after each attempt
LONGEST_PAUSE = 60.0
LARGEST = 1 << 22  # bytes of a reply
SHOWN = 160  # characters of what a server says


class RefusedError(Exception):
    """The server took the request for a bad one; says why."""


class ServerPredictor(ABC):
    """Answers rows through a server: `model` is a name that the server knows, `path` what is asked
    for there."""

    path: ClassVar[str] = CHAT
    task: Any  # what the rows and the answers are

    def __init__(
        self, model: str, url: str, *, offline: bool = False, at_once: int = AT_ONCE
    ) -> None:
        self.batch_size = max(1, min(at_once, AT_ONCE))
        self._model = model
        self._url, self._local = endpoint_url(url, self.path)
        if offline and not self._local:
            raise InputError("this server is elsewhere, and --offline was asked for", place=url)
        self._key = _key()
        if self._key and not self._local and self._url.startswith("http:"):
            log.warning("%s: the key goes there unencrypted; use https", url)
        proxies = urllib.request.ProxyHandler({} if self._local else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect())
        self._stop = Event()  # one request has failed for good: the others need not go on

    def predict(self, rows: Sequence[Row]) -> list[Answer]:
        """Answer rows, in their order. Raises `RowError` for the first without an answer."""
        answers: list[Answer] = []
        for start in range(0, len(rows), MANY):
            for found in self.attempt(rows[start : start + MANY]):
                if isinstance(found, str):
                    raise RowError(found, row=len(answers))
                answers.append(found)
        return answers

    def predict_windows(self, windows: Iterable[Sequence[Row]]) -> Generator[list[Answer | str]]:
        """Answer windows of rows; a text says why a row has no answer. Raises what `attempt`
        does."""
        for rows in windows:
            yield self.attempt(rows) if rows else []

    def attempt(self, rows: Sequence[Row]) -> list[Answer | str]:
        """Answer rows, in their order; a text says why a row has no answer.

        Raises `NetworkError` where the server cannot be reached, refuses the key, or goes on
        failing.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self.batch_size, thread_name_prefix="hfkit-endpoint")
        try:
            return list(pool.map(self._answered, rows))
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    @abstractmethod
    def answered(self, row: Row) -> Answer | str:
        """The answer to a row, or why it has none. May raise `InputError` and `RefusedError` for
        the row, `NetworkError` for all of them."""

    def _answered(self, row: Row) -> Answer | str:
        try:
            return self.answered(row)
        except (InputError, RefusedError) as error:
            return str(error)
        except NetworkError:
            self._stop.set()
            raise

    def ask(self, body: Mapping[str, Any]) -> Any:
        """The reply to a request, as JSON; None where it is none.

        Sent until there is an answer, with growing pauses. Raises `RefusedError` for a bad request,
        `NetworkError` for all that another row would meet as well.
        """
        sent = json.dumps({"model": self._model, "stream": False, **body}).encode()
        pause, failure = FIRST_PAUSE, ""
        for attempt in range(1, ATTEMPTS + 1):
            wait = pause
            try:
                return _parsed(self._post(sent))
            except urllib.error.HTTPError as error:
                failure = f"{error.code}{self._reason(error)}"
                self._raise_if_final(error.code, failure)
                wait = _seconds(error.headers.get("Retry-After"), pause)
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                failure = self.clean(str(reason) or type(reason).__name__)
                if isinstance(reason, ConnectionRefusedError):
                    break
            if attempt == ATTEMPTS or self._stop.wait(wait):
                break
            pause *= 2
        raise NetworkError(f"the server does not answer ({failure})", place=self._url)

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": f"hfkit/{__version__}"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        if self._key:
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        with self._opener.open(request, timeout=TIMEOUT) as response:
            return _read(response)

    def _raise_if_final(self, code: int, failure: str) -> None:
        if code in (401, 403):
            hint = f"set {' or '.join(KEYS)}"
            raise NetworkError(
                f"the server refused the key ({failure})", place=self._url, hint=hint
            )
        if 300 <= code < 400 or code in (404, 405):
            hint = "check the URL and the name of the model"
            raise NetworkError(f"nothing there ({failure})", place=self._url, hint=hint)
        if (400 <= code < 500 and code not in (408, 425, 429)) or code == 501:
            raise RefusedError(f"the server refused the request ({failure})")

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """What a server says about its refusal, behind a colon."""
        try:
            with error:
                text = _read(error).decode("utf-8", "replace")
        except (OSError, HTTPException):
            return ""
        try:
            said = json.loads(text)
            said = said.get("error", said.get("detail", said)) if isinstance(said, dict) else said
            said = said.get("message", said) if isinstance(said, dict) else said
        except (ValueError, RecursionError):
            said = text
        return f": {self.clean(str(said))}" if said else ""

    def clean(self, text: str) -> str:
        """One printable line of a foreign text, without the key."""
        text = text.replace(self._key, "***") if self._key else text
        line = " ".join(text.split())[:SHOWN]
        return "".join(character if character.isprintable() else "?" for character in line)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the texts to a server that nobody named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def endpoint_url(url: str, path: str = CHAT) -> tuple[str, bool]:
    """Where to send requests, and whether that is this very machine.

    >>> endpoint_url("http://localhost:8000")
    ('http://localhost:8000/v1/chat/completions', True)
    >>> endpoint_url("https://example.org/api/v1/")
    ('https://example.org/api/v1/chat/completions', False)
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not a URL ({error})", place="--endpoint") from error
    if parts.scheme not in ("http", "https") or not host:
        hint = "as http://localhost:8000"
        raise InputError(f"not a URL of a server: '{url:.60}'", place="--endpoint", hint=hint)
    if parts.username or parts.password or parts.query or parts.fragment:
        hint = f"the key is read from {' or '.join(KEYS)}"
        raise InputError("a URL without user, query and fragment", place="--endpoint", hint=hint)
    before = parts.path.rstrip("/").removesuffix(CHAT).removesuffix(COMPLETIONS)
    before = before if before.endswith("/v1") else f"{before}/v1"
    name = f"[{host}]" if ":" in host else host
    where = f"{name}:{port}" if port else name
    return f"{parts.scheme}://{where}{before}{path}", _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _key() -> str:
    key = next((os.environ[name].strip() for name in KEYS if os.environ.get(name, "").strip()), "")
    if not key.isascii() or not key.isprintable():
        raise InputError("not a key: it holds characters that none has", place=" or ".join(KEYS))
    return key


def said(reply: Any) -> str:
    """The words of the first choice. Raises `RefusedError` where there are none."""
    try:
        content = reply["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        content = None
    if not isinstance(content, str):
        raise RefusedError("the reply holds no text")
    return content


def _parsed(reply: bytes) -> Any:
    try:
        return json.loads(reply)
    except (ValueError, RecursionError):
        return None


def _read(reply: Any) -> bytes:
    """The bytes of a reply, `LARGEST` at most. Raises `TimeoutError` for one that trickles in: the
    socket's own timeout begins anew with every byte."""
    end, content = time.monotonic() + TIMEOUT, b""
    while len(content) < LARGEST:
        part = reply.read1(1 << 16)
        if not part:
            break
        content += part
        if time.monotonic() > end:
            raise TimeoutError("the reply does not end")
    return content


def _seconds(header: str | None, otherwise: float) -> float:
    """The pause that a server asks for, within reason."""
    try:
        return min(max(float(header or ""), 0.0), LONGEST_PAUSE)
    except ValueError:
        return otherwise
