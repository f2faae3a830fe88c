"""Many clients at once: nothing lost, nothing wrong, overload said so, a good end."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from live import Live, live, memory, predicted
from toys import FILLERS, TOPICS

from hfkit.serve.batching import AT_ONCE, Closed, Job, QueueFull, Worker

WORDS = [word for words in TOPICS.values() for word in words] + FILLERS


def texts(count: int) -> list[str]:
    chance = random.Random(5)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 20))) for _ in range(count)]


def load(
    server: Live, asked: Sequence[str], clients: int
) -> tuple[list[tuple[int, Any]], Counter[int]]:
    """Ask from many clients at once; each text until it is answered otherwise than with 429. Return
    the answers, and how many there were of each status."""

    async def one(client: httpx.AsyncClient, text: str, gate: asyncio.Semaphore) -> Any:
        async with gate:
            while True:
                answer = await client.post(f"{server.url}models/topics", json={"inputs": text})
                statuses.update([answer.status_code])
                if answer.status_code != 429:
                    return answer.status_code, answer.json()
                assert float(answer.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.01)

    async def all_of_them() -> list[tuple[int, Any]]:
        gate = asyncio.Semaphore(clients)
        limits = httpx.Limits(max_connections=clients)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            return await asyncio.gather(*(one(client, text, gate) for text in asked))

    statuses: Counter[int] = Counter()
    return asyncio.run(all_of_them()), statuses


def check_load(server: Live, models: Path, count: int) -> None:
    asked = texts(count)
    rows = [{"text": text} for text in asked]
    expected = predicted(models, "topics", *rows, scores=True)
    load(server, asked[: count // 4], 64)  # warm-up
    before, begun = memory(server.process.pid), time.monotonic()
    found, statuses = load(server, asked, 64)
    seconds, after = time.monotonic() - begun, memory(server.process.pid)
    grown = after / before
    counts = httpx.get(f"{server.url}metrics").text
    assert server.process.poll() is None
    print(f"{count / seconds:.0f} a second; {dict(statuses)}; {before:,} bytes, then {after:,}")
    assert Counter(status for status, _ in found) == {200: count}
    for (_, ((best, *_),)), answer in zip(found, expected, strict=True):
        assert best["label"] == answer["label"]
        assert best["score"] == pytest.approx(answer["score"], abs=1e-5)
    batches = int(counts.partition('computed_batches_total{model="topics"} ')[2].split()[0])
    assert batches < count, "requests are computed together"
    assert grown < 1.05, f"memory grew by {grown:.3f}"


def test_three_hundred_requests_of_64_clients(server: Live, models: Path) -> None:
    check_load(server, models, 300)


@pytest.mark.slow
def test_ten_thousand_requests_of_64_clients(models: Path) -> None:
    with live(models / "topics") as server:
        check_load(server, models, 10_000)


def check_overload(server: Live) -> None:
    found: Counter[int] = Counter()
    long = " ".join(WORDS * 15)

    def ask(number: int) -> None:
        answer = server.post("/", {"inputs": long})
        found.update([answer.status_code])
        if answer.status_code == 429:
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["error_type"] == "overloaded"

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(ask, range(48)))
    assert set(found) == {200, 429}, found
    assert server.post("/", {"inputs": "rain"}).status_code == 200


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_what_is_too_much_is_refused_and_what_was_accepted_is_answered_before_the_end(
    models: Path, number: int, code: int
) -> None:
    long = " ".join(WORDS * 30)
    with live(models / "topics", "--queue", 12) as server, ThreadPoolExecutor(12) as pool:
        check_overload(server)
        asked = [pool.submit(server.post, "/", {"inputs": [long] * 6}) for _ in range(12)]
        deadline = time.monotonic() + 60
        while "hfkit_open_requests 13" not in httpx.get(f"{server.url}metrics", verify=False).text:
            assert time.monotonic() < deadline, "they have not all come"
            assert not all(one.done() for one in asked), "too fast to be caught"
        assert server.end(number) == code
        assert [one.result().status_code for one in asked] == [200] * 12
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url)
    assert "Traceback" not in "".join(server.said)


class Model:
    """Answers rows by themselves, and notes how many came together."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self.may_go = threading.Event()

    def ask(self, rows: Sequence[Any]) -> list[Any]:
        self.may_go.wait(30)
        self.together.append(len(rows))
        if any(row == "bad" for row in rows):
            raise RuntimeError("bad")
        return [{"row": row} for row in rows]


def test_what_waits_is_computed_together_and_the_queue_is_bounded() -> None:
    model, other = Model(), Model()
    other.may_go.set()
    worker = Worker("toy", waiting=4)
    first = worker.submit(Job(["a"], model.ask))
    while worker.waiting:
        time.sleep(0.001)
    rest = [worker.submit(Job([name, name], model.ask)) for name in "bc"]
    apart = worker.submit(Job(["d"], other.ask))
    gone = worker.submit(Job(["e"], model.ask))
    gone.cancel()
    with pytest.raises(QueueFull):
        worker.submit(Job(["f"], model.ask))
    model.may_go.set()
    assert first.result(30) == [{"row": "a"}]
    assert [one.result(30)[1] for one in rest] == [{"row": "b"}, {"row": "c"}]
    assert apart.result(30) == [{"row": "d"}]
    worker.close()
    assert (model.together, other.together) == ([1, 4], [1])
    with pytest.raises(Closed):
        worker.submit(Job(["g"], model.ask))


def test_a_failure_is_told_to_those_who_asked_and_the_thread_goes_on() -> None:
    model = Model()
    model.may_go.set()
    worker = Worker("toy", waiting=4)
    with pytest.raises(RuntimeError):
        worker.submit(Job(["bad"], model.ask)).result(30)
    many = worker.submit(Job(["a"] * (AT_ONCE + 5), model.ask))
    assert len(many.result(30)) == AT_ONCE + 5
    worker.close()
