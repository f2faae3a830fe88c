"""Clients that mean ill, or have died: what they do costs the others nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from live import TOKEN, Live, live, memory
from toys import CHAT_TEMPLATE, write_generator

PATIENCE, TIMEOUT = 0.5, 2  # seconds
MANY = 200_000


@pytest.fixture(scope="module")
def hurried(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with little patience and few connections, that tells all it has to tell."""
    river = tmp_path_factory.mktemp("hurried") / "river"
    write_generator(river, chat=CHAT_TEMPLATE, n_positions=4000)
    limits = ["--patience", PATIENCE, "--max-connections", 16, "--timeout", TIMEOUT, "-v"]
    with live(models / "topics", river, models / "answers", *limits) as found:
        yield found
        assert found.end(signal.SIGINT) == 130
    said = "".join(found.said)
    assert "Traceback" not in said, said
    assert "internal error" not in said, said
    assert "river" not in said.partition("ready:")[2], "no text is told"


def connected(server: Live, data: bytes = b"") -> socket.socket:
    """A connection, with some bytes sent."""
    url = httpx.URL(server.url)
    connection = socket.create_connection((url.host, url.port or 80), timeout=30)
    connection.sendall(data)
    return connection


def head(path: str, *more: str, method: str = "POST") -> bytes:
    kind = "Content-Type: application/json"
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", kind, *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    return head(path, f"Content-Length: {len(content)}") + content


def number(server: Live, name: str) -> float:
    """One of the numbers that the server counts."""
    lines = httpx.get(f"{server.url}metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def wait_until(true: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has ended a connection."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/topics", {"inputs": [1] * MANY}),
        ("/models/topics", {"inputs": [{}] * MANY}),
        ("/models/topics/predict", {"inputs": [[1]] * MANY}),
        ("/models/topics/answer", {"rows": [1] * MANY}),
        ("/models/answers", {"inputs": [{}] * MANY}),
        ("/v1/chat/completions", {"messages": [{}] * MANY}),
        ("/v1/completions", {"prompt": [1] * MANY}),
        ("/models/topics", {"inputs": "a", **{f"{name}": 1 for name in range(80_000)}}),
    ],
)
def test_a_wrong_list_costs_little(server: Live, path: str, body: Any) -> None:
    before = memory(server.process.pid)
    answer = server.post(path, body)
    assert answer.status_code in (400, 422)
    assert memory(server.process.pid) < before + 2**27


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/topics", {"inputs": "a", "": 1}),
        ("/models/topics", {"inputs": "a", "parameters": {"": 1}}),
        ("/models/topics", {"inputs": "a", "\ud800": 1}),
        ("/models/topics/answer", {"rows": [{"": "a"}]}),
        ("/models/topics/answer", {"rows": [{"text": None}]}),
        ("/models/topics/answer", {"rows": [{"text": 10**4000}]}),
        ("/models/topics", None),
    ],
)
def test_odd_names_and_values_are_the_clients_matter(hurried: Live, path: str, body: Any) -> None:
    kind = {"Content-Type": "application/json"}
    answer = httpx.post(hurried.url.rstrip("/") + path, content=json.dumps(body), headers=kind)
    assert answer.status_code == 422


@pytest.mark.parametrize("labels", [5, None, True, 1.5, {}, [None], [[]], "", ["a"], "a"])
def test_labels_that_are_none(guarded_labels: Live, labels: Any) -> None:
    body = {"rows": [{"text": "rain", "candidates": labels}]}
    answer = guarded_labels.post("/answer", body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 422


def test_idle_connections_are_bounded_and_end(hurried: Live) -> None:
    files = Path(f"/proc/{hurried.process.pid}/fd")
    before = len(list(files.iterdir()))
    with ExitStack() as closing:
        idle = [closing.enter_context(connected(hurried)) for _ in range(100)]
        time.sleep(0.3)
        assert len(list(files.iterdir())) <= before + 40
        wait_until(lambda: all(map(is_closed, idle)), "idle connections stay")
    assert httpx.get(f"{hurried.url}health").status_code == 200


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_body_behind_an_answer_ends(hurried: Live, method: str) -> None:
    length, path = "Content-Length: 1000000", "/health"
    kind = "" if method == "GET" else "Origin: null"
    with connected(hurried, head(path, length, *filter(None, [kind]), method=method)) as connection:
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 " + (b"200" if method == "GET" else b"403"))
        begun = time.monotonic()
        while not is_closed(connection):
            assert time.monotonic() < begun + 20, "it takes bytes for ever"
            connection.setblocking(True)
            try:
                connection.sendall(b"a")
            except ConnectionError:
                break
            time.sleep(0.1)


def test_nonsense_behind_a_head_is_no_bug(hurried: Live) -> None:
    chunked = "Transfer-Encoding: chunked"
    with connected(
        hurried, head("/health", chunked, method="GET") + b"no number\r\n"
    ) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")
    with connected(hurried, head("/health", chunked, method="GET")) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(b"no number\r\n")
        wait_until(lambda: is_closed(connection), "it is not closed")
    assert httpx.get(f"{hurried.url}health").status_code == 200


def test_an_answer_that_nobody_takes_ends(hurried: Live) -> None:
    url = httpx.URL(hurried.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((url.host, url.port))
        connection.setblocking(False)
        asked, sent = head("/openapi.json", method="GET") * 2000, 0
        wait_until(lambda: number(hurried, "hfkit_open_requests") == 1, "none is open")
        try:
            while sent < len(asked):
                sent += connection.send(asked[sent:])
        except BlockingIOError:
            pass
        wait_until(lambda: number(hurried, "hfkit_open_requests") == 2, "it takes all answers")
        wait_until(lambda: number(hurried, "hfkit_open_requests") == 1, "it waits for ever")


LONG = {"inputs": "the river", "parameters": {"max_new_tokens": 3900}}

SHORT = {"inputs": "the river", "parameters": {"max_new_tokens": 1}}


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_written_for_a_client_that_has_gone(hurried: Live, stream: bool) -> None:
    name = 'hfkit_computed_requests_total{model="river"}'
    before = number(hurried, name)
    with connected(hurried, post("/models/river", {**LONG, "stream": stream})) as connection:
        if stream:
            assert connection.recv(10)
        else:
            wait_until(lambda: number(hurried, "hfkit_open_requests") == 2, "it does not begin")
    wait_until(lambda: number(hurried, "hfkit_open_requests") == 1, "the request stays open")
    assert hurried.post("/models/river", SHORT).status_code == 200
    assert number(hurried, name) == before + 1, "only the short one was written to its end"


def test_what_takes_too_long_is_told_so_and_ends(hurried: Live) -> None:
    name = 'hfkit_computed_requests_total{model="river"}'
    before = number(hurried, name)
    answer = hurried.post("/models/river", {**LONG, "inputs": ["the river", "a drum"] * 8})
    assert answer.status_code == 503
    assert f"not answered within {TIMEOUT} seconds" in answer.json()["error"]
    assert hurried.post("/models/river", SHORT).status_code == 200
    assert number(hurried, name) == before + 1, "the long one goes on"


def test_what_waits_for_clients_that_have_gone_is_not_computed(hurried: Live) -> None:
    name = 'hfkit_computed_rows_total{model="topics"}'
    before = number(hurried, name)
    body = post("/models/topics", {"inputs": ["rain and storm " * 800] * 8})
    gone = [connected(hurried, body) for _ in range(10)]
    time.sleep(0.3)
    for connection in gone:
        connection.close()
    wait_until(lambda: number(hurried, "hfkit_open_requests") == 1, "requests stay open")
    assert hurried.post("/models/topics", {"inputs": "rain"}).status_code == 200
    assert number(hurried, name) < before + 80


WORDS = "b " * 20_000
QUESTION = {"question": "b " * 300, "context": WORDS}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/answers", {"inputs": QUESTION}),
        ("/models/answers/answer", {"rows": [QUESTION]}),
        ("/models/answers", {"inputs": {**QUESTION, "question": "b"},
                             "parameters": {"doc_stride": 300}}),
        ("/models/names", {"inputs": WORDS, "parameters": {"stride": 300}}),
    ],
)  # fmt: skip
def test_windows_that_hardly_move_on_are_refused(server: Live, path: str, body: Any) -> None:
    before = memory(server.process.pid)
    answer = server.post(path, body)
    assert answer.status_code == 422
    assert "long" in answer.text or "half" in answer.text
    assert memory(server.process.pid) < before + 2**26


def test_a_model_that_is_overwritten_is_served_on(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "topics", tmp_path / "topics")
    with live(tmp_path / "topics") as server:
        os.truncate(tmp_path / "topics" / "model.safetensors", 100)
        assert server.post("/", {"inputs": "rain"}).status_code == 200
