"""Zero-shot answers from a server that speaks OpenAI's protocol, in place of a model here.

    POST URL/v1/chat/completions    the labels in the instruction, the text as the user's message

The answer is constrained to the labels by a JSON schema. A server that refuses schemas is asked
without one, which is said once, and its reply must then be one of the labels word for word. A text
whose reply is none has an error and no guess.

Nothing but these requests is sent. The key is read from the environment, goes to this server alone
(no redirect is followed) and stands in no message.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hfkit import __version__
from hfkit.errors import InputError, NetworkError, RowError

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

KEYS = ("HFKIT_API_KEY", "OPENAI_API_KEY")
CHAT = "/chat/completions"
AT_ONCE = 8  # requests
MANY = 4096  # rows; one without an answer is told of after them
TIMEOUT = 60.0  # seconds for one request
ATTEMPTS = 5
FIRST_PAUSE = 1.0  # seconds; doubled after each attempt
LONGEST_PAUSE = 60.0
LARGEST = 1 << 22  # bytes of a reply
SHOWN = 160  # characters of what a server says
ONE = 'Choose the label that fits the text best. Reply with JSON only: {{"label": "..."}}. {}'
SEVERAL = (
    "Choose all labels that fit the text; there may be none. "
    'Reply with JSON only: {{"labels": ["...", "..."]}}. {}'
)


class RefusedError(Exception):
    """The server took the request for a bad one; says why."""


class EndpointPredictor:
    """Answers rows through a server. `task` is zero-shot: it knows the labels of a row, and whether
    several may fit; `model` is a name that the server knows."""

    def __init__(
        self, task: Any, model: str, url: str, *, offline: bool = False, at_once: int = AT_ONCE
    ) -> None:
        self.task = task
        self.batch_size = max(1, min(at_once, AT_ONCE))
        self._model = model
        self._url, self._local = endpoint_url(url)
        if offline and not self._local:
            raise InputError("this server is elsewhere, and --offline was asked for", place=url)
        self._key = _key()
        if self._key and not self._local and self._url.startswith("http:"):
            log.warning("%s: the key goes there unencrypted; use https", url)
        proxies = urllib.request.ProxyHandler({} if self._local else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect())
        self._constrained = True
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

    def _answered(self, row: Row) -> Answer | str:
        try:
            labels = self.task.candidates(row)
            return self._chosen(self._reply(row["text"], labels), labels)
        except (InputError, RefusedError) as error:
            return str(error)
        except NetworkError:
            self._stop.set()
            raise

    def _reply(self, text: str, labels: Sequence[str]) -> str:
        """The server's words about a text; without a schema where it takes none."""
        if self._constrained:
            try:
                return self._asked(text, labels, constrained=True)
            except RefusedError as error:
                reply = self._asked(text, labels, constrained=False)  # or the text was refused
                if self._constrained:
                    self._constrained = False
                    log.warning(
                        "the server takes no schema (%s); its replies must be labels word for word",
                        error,
                    )
                return reply
        return self._asked(text, labels, constrained=False)

    def _asked(self, text: str, labels: Sequence[str], *, constrained: bool) -> str:
        several = self.task.options.multi_label
        described = self.task.described
        about = {
            label: described[label] for label in labels if described.get(label, label) != label
        }
        listed = "Labels: " + json.dumps(list(labels), ensure_ascii=False)
        listed += f"\nWhat they mean: {json.dumps(about, ensure_ascii=False)}" if about else ""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": (SEVERAL if several else ONE).format(listed)},
                {"role": "user", "content": text},
            ],
            "stream": False,
        }
        if constrained:
            body["temperature"] = 0
            body["response_format"] = _schema(labels, several)
        return self._sent(json.dumps(body).encode())

    def _sent(self, body: bytes) -> str:
        """Send until there is an answer, with growing pauses. Raises `RefusedError` for a bad
        request, `NetworkError` for all that another text would meet as well."""
        pause, failure = FIRST_PAUSE, ""
        for attempt in range(1, ATTEMPTS + 1):
            wait = pause
            try:
                return _content(self._post(body))
            except urllib.error.HTTPError as error:
                failure = f"{error.code}{self._reason(error)}"
                self._raise_if_final(error.code, failure)
                wait = _seconds(error.headers.get("Retry-After"), pause)
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                failure = self._clean(str(reason) or type(reason).__name__)
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
        return f": {self._clean(str(said))}" if said else ""

    def _clean(self, text: str) -> str:
        """One printable line of a foreign text, without the key."""
        text = text.replace(self._key, "***") if self._key else text
        line = " ".join(text.split())[:SHOWN]
        return "".join(character if character.isprintable() else "?" for character in line)

    def _chosen(self, reply: str, labels: Sequence[str]) -> Answer | str:
        """The answer that a reply gives, or why it gives none."""
        several = self.task.options.multi_label
        value = _value(reply, "labels" if several else "label")
        given = value if isinstance(value, list) and several else [value]
        found = [_matching(one, labels) for one in given]
        if None in found:
            shown = self._clean(reply)[:60]
            return f'the reply is {"not a list of labels" if several else "no label"}: "{shown}"'
        if several:
            return {"labels": [label for label in labels if label in found]}
        return {"label": found[0]}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the texts to a server that nobody named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def endpoint_url(url: str) -> tuple[str, bool]:
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
    path = parts.path.rstrip("/").removesuffix(CHAT)
    path = path if path.endswith("/v1") else f"{path}/v1"
    name = f"[{host}]" if ":" in host else host
    where = f"{name}:{port}" if port else name
    return f"{parts.scheme}://{where}{path}{CHAT}", _is_loopback(host)


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


def _schema(labels: Sequence[str], several: bool) -> dict[str, Any]:
    """The response_format that leaves a model nothing but the labels to say."""
    label: dict[str, Any] = {"type": "string", "enum": list(labels)}
    name = "labels" if several else "label"
    schema = {
        "type": "object",
        "properties": {name: {"type": "array", "items": label} if several else label},
        "required": [name],
        "additionalProperties": False,
    }
    described = {"name": "answer", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": described}


def _content(reply: bytes) -> str:
    """The words of the first choice. Raises `RefusedError` where there are none."""
    try:
        content = json.loads(reply)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        content = None
    if not isinstance(content, str):
        raise RefusedError("the reply holds no text")
    return content


def _value(reply: str, name: str) -> Any:
    """What a reply says: the value in its JSON, else its words."""
    text = reply.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value.get(name) if isinstance(value, Mapping) else value


def _matching(value: Any, labels: Sequence[str]) -> str | None:
    """The label that a value is, but for quotation marks, a full stop and capitals; else None.

    >>> _matching("Sports.", ["sports", "arts"]), _matching("a sport", ["sports"])
    ('sports', None)
    """
    if not isinstance(value, str):
        return None
    if value in labels:
        return value
    plain = value.strip().removesuffix(".").strip("\"'").casefold()
    alike = [label for label in labels if label.casefold() == plain]
    return alike[0] if len(alike) == 1 else None


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
