"""What has to be passed before a model is asked: host, origin, token, size, form, patience."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from exports import go
from live import TOKEN, Live, live
from starlette.testclient import TestClient

from hfkit.config import Limits
from hfkit.serve.limits import Guests
from hfkit.serve.refusal import Refusal

BODY = {"inputs": "rain and sun"}


@pytest.fixture(scope="module")
def guarded(models: Path) -> Iterator[Live]:
    """A server that other machines could reach, with small limits."""
    limits = ["--max-body", "20000", "--max-text-length", "2000", "--max-texts", "4"]
    names = ["--allow-host", "models.example", "--patience", "0.5", "--host", "0.0.0.0"]
    with live(models / "topics", *names, *limits, token=TOKEN) as found:
        found.url = found.url.replace("0.0.0.0", "127.0.0.1")
        yield found


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_route_needs_the_token(guarded: Live) -> None:
    schema = httpx.get(f"{guarded.url}openapi.json", headers=bearer()).json()
    routes = [(m.upper(), path) for path, found in schema["paths"].items() for m in found]
    assert len(routes) > 10
    hidden = ["/", "/openapi.json", "/page/page.js", "/page/page.css", "/nowhere", "/docs"]
    for method, path in [*routes, *(("GET", path) for path in hidden), ("OPTIONS", "/")]:
        answer = httpx.request(method, guarded.url.rstrip("/") + path, json=BODY)
        assert answer.status_code == 401, (method, path)
        assert "Basic" in answer.headers["WWW-Authenticate"]
    for wrong in ({"Authorization": TOKEN}, bearer("another"), bearer(TOKEN + "x")):
        assert guarded.post("/", BODY, headers=wrong).status_code == 401
    assert guarded.post("/", BODY, headers=bearer()).status_code == 200


def test_a_browser_gives_the_token_as_a_password(guarded: Live) -> None:
    word = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    assert httpx.get(guarded.url, headers={"Authorization": f"Basic {word}"}).status_code == 200
    for wrong in ("!!", base64.b64encode(b"me:wrong").decode()):
        answer = httpx.get(guarded.url, headers={"Authorization": f"Basic {wrong}"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost/evil.example"}, 421),
        ({"Host": "evil.example@localhost"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "models.example"}, 200),
        ({"Host": "models.example:8443", "Origin": "https://models.example:8443"}, 200),
        ({"Host": "192.0.2.7"}, 200),  # no name leads to an address by a trick
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_hosts_and_origins(guarded: Live, headers: dict[str, str], status: int) -> None:
    answer = guarded.post("/", BODY, headers={**bearer(), **headers})
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_on_this_machine_alone_only_its_own_names_are_known(server: Live) -> None:
    for host, status in (("evil.example", 421), ("192.0.2.7", 421), ("localhost", 200)):
        assert httpx.get(f"{server.url}health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"inputs": "rain"}', "text/plain", 415),
        (b'{"inputs": "rain"}', "application/x-www-form-urlencoded", 415),
        (b'{"inputs": "rain"', "application/json", 400),
        (b'{"inputs": NaN}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 40 + b"]" * 40, "application/json", 400),
        (b"[" * 9000 + b"]" * 9000, "application/json", 400),
        (b'{"inputs": "' + b"a" * 30_000 + b'"}', "application/json", 413),
        (b'{"inputs": "' + b"a" * 3000 + b'"}', "application/json", 422),
        (json.dumps({"inputs": ["a"] * 5}).encode(), "application/json", 422),
        (b'{"inputs": "\\ud800"}', "application/json", 422),
        (b'{"inputs": "  "}', "application/json", 422),
        (b'{"inputs": "rain", "url": "http://evil.example"}', "application/json", 422),
    ],
)
def test_bodies(guarded: Live, content: bytes, kind: str, status: int) -> None:
    headers = {**bearer(), "Content-Type": kind}
    answer = httpx.post(guarded.url, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "error_type"}
    assert "Traceback" not in answer.text


def test_every_answer_has_the_headers_of_safety(guarded: Live) -> None:
    answers = [httpx.get(guarded.url, headers=bearer()), httpx.get(guarded.url)]
    answers.append(guarded.post("/", BODY, headers=bearer()))
    for answer in answers:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "server" not in answer.headers


def _raw(url: str, data: bytes) -> bytes:
    """Send some bytes, and wait until the server closes."""
    host, port = httpx.URL(url).host, httpx.URL(url).port
    with socket.create_connection((host, port or 80), timeout=30) as connection:
        connection.sendall(data)
        found = b""
        while part := connection.recv(4096):
            found += part
        return found


def test_slow_clients_are_sent_away(guarded: Live) -> None:
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    typed = "Content-Type: application/json\r\n"
    for slow in ("", "POST", head, f"{head}{typed}Content-Length: 100\r\n\r\n{{"):
        assert _raw(guarded.url, slow.encode()).startswith(b"HTTP/1.1 408")
    many = "".join(f"X-{number}: {'y' * 100}\r\n" for number in range(300))
    assert _raw(guarded.url, f"{head}{many}\r\n".encode()).startswith(b"HTTP/1.1 431")
    assert guarded.post("/", BODY, headers=bearer()).status_code == 200


def test_a_body_without_a_length_is_measured(guarded: Live) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"inputs": "'
        for _ in range(30):
            yield b"a" * 1000

    headers = {**bearer(), "Content-Type": "application/json"}
    answer = httpx.post(guarded.url, content=parts(), headers=headers)
    assert answer.status_code == 413


def test_texts_and_tokens_are_not_said(guarded: Live) -> None:
    guarded.post("/", {"inputs": "a-secret-word"}, headers=bearer())
    guarded.post("/", {"inputs": "a-secret-word", "nix": 1}, headers=bearer())
    httpx.get(f"{guarded.url}a-secret-word", headers=bearer())
    time.sleep(0.1)
    said = "".join(guarded.said) + httpx.get(f"{guarded.url}metrics", headers=bearer()).text
    assert "a-secret-word" not in said
    assert TOKEN not in said


def test_metrics_are_prometheus(guarded: Live) -> None:
    guarded.post("/", BODY, headers=bearer())
    lines = httpx.get(f"{guarded.url}metrics", headers=bearer()).text.splitlines()
    form = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?\d+(\.\d+)?')
    assert all(line.startswith("# ") or form.fullmatch(line) for line in lines)
    assert any(line.startswith('hfkit_computed_rows_total{model="topics"}') for line in lines)
    assert any(line.startswith('hfkit_requests_total{path="/",status="200"}') for line in lines)
    httpx.get(f"{guarded.url}nowhere", headers=bearer())
    guarded.post("/", BODY, headers={**bearer(), "Content-Type": "text/plain"})
    text = httpx.get(f"{guarded.url}metrics", headers=bearer()).text
    for status in (404, 415):
        assert f'hfkit_requests_total{{path="other",status="{status}"}}' in text
    assert 'path=""' not in text


def test_what_it_does_not_start_with(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    shutil.copytree(models / "topics", tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        topics = models / "topics"
        cases: list[tuple[list[Any], int, str]] = [
            ([topics, "--host", "0.0.0.0"], 3, "other machines may ask only with a token"),
            ([topics, "--token-file", tmp_path / "empty"], 2, "a token has 8 characters or more"),
            ([topics, "--token-file", tmp_path / "none"], 2, "no such file"),
            ([topics, "--token-file", tmp_path], 2, "directory"),
            ([topics, "--token-file", tmp_path / "binary"], 2, "a token is one word of ASCII"),
            ([tmp_path / "cut"], 2, "model.safetensors"),
            ([topics, "--host", "no.such.host.invalid"], 3, "only with a token"),
            ([topics, "--host", "::"], 3, "only with a token"),
            ([topics, "--port", port], 6, f"port {port} is taken"),
            ([], 2, "no model"),
            ([tmp_path / "empty"], 2, "a model is a folder; name a run: hfkit serve RUN"),
            ([topics / "config.json"], 2, f"; try hfkit serve {topics}\n"),
            ([topics, topics], 2, "two models have the name topics"),
        ]
        for arguments, code, words in cases:
            found = go("serve", "-q", *arguments)
            said = capfd.readouterr().err
            assert (found, said.count("\n")) == (code, 1), (arguments, said)
            assert words in said


def test_guests_without_a_server() -> None:
    guests = Guests("secret-word")
    for headers in ([], [(b"host", b"[::1")], [(b"host", b"evil")]):
        with pytest.raises(Refusal, match="does not go by that name"):
            guests.check(headers)
    guests.check([(b"host", b"[::1]:80"), (b"authorization", b"Bearer secret-word")])
    assert Limits().max_body == 2**20


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "localhost"])
def test_it_answers_by_the_address_it_listens_at(
    models: Path, host: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ask(app: Any, listener: socket.socket, limits: Limits, ready: Callable[[], None]) -> int:
        ready()
        url = re.findall(r"ready: (\S+)", capfd.readouterr().err)[0]
        with TestClient(app, base_url=url) as client:
            asked.append(client.post("/", json=BODY).status_code)
        return signal.SIGTERM

    monkeypatch.setattr("hfkit.serve.server.serve_app", ask)
    assert go("serve", models / "topics", "--host", host, "--port", 0) == 0
    assert asked == [200]
