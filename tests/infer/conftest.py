"""Stand-ins for a task, a tokenizer and an engine, so that the stream is tested without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import pytest
from serving import Server

from hfkit.errors import InputError
from hfkit.infer import server
from hfkit.infer.ahead import in_order
from hfkit.infer.predictor import Predictor
from hfkit.tasks.base import Task


class ToyTokenizer:
    """One token for each character."""

    padding: ClassVar = {"input_ids": 0, "attention_mask": 0}


class ToyTask(Task[Any]):
    """Answers with the sum of the characters' numbers, computed by the engine."""

    columns: ClassVar = {"text": "the text", "label?": "unused"}
    auto_class = "none"
    metric = best = loss = ""
    token_outputs = ("each",)

    def learn(self, rows: Any) -> None: ...
    def head(self) -> dict[str, Any]:
        return {}

    def restore(self, model_config: Any) -> None: ...
    def targets(self, rows: Any, encoded: Any) -> None: ...

    def features(self, rows: Sequence[Any], tokenizer: Any) -> list[Any]:
        for row in rows:
            if row["text"] == "refuse":
                raise InputError("the task refuses this text")
        return [
            {"input_ids": [ord(character) for character in row["text"]], "_row": number}
            for number, row in enumerate(rows)
        ]

    def decode(self, outputs: Any, encoded: Any, rows: Any) -> list[Any]:
        return [
            {"value": float(output["logits"][0]), "tokens": len(output["each"])}
            for output in outputs
        ]

    def gold(self, rows: Any) -> list[Any]:
        return []


class ToyEngine:
    """Adds up the tokens of each row; fails on a row that holds ``!``, is infinite on ``?``."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, batch: dict[str, Any]) -> dict[str, Any]:
        ids = batch["input_ids"]
        self.sizes.append(len(ids))
        if (ids == ord("!")).any():
            raise IndexError("index out of range\nand more")
        sums = (ids * batch["attention_mask"]).sum(axis=1, keepdims=True).astype(np.float32)
        sums[(ids == ord("?")).any(axis=1)] = np.nan
        return {"logits": sums, "each": ids}


@pytest.fixture
def toy_predictor() -> Callable[..., Predictor]:
    """Make a predictor of the stand-ins above."""

    def make(batch_size: int = 4) -> Predictor:
        return Predictor(ToyTask(None), ToyTokenizer(), ToyEngine(), batch_size)  # type: ignore[arg-type]

    return make


class OverlappingEngine(ToyEngine):
    """Computes on a thread of its own, up to `ahead` batches ahead of the one asked for."""

    def __init__(self, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.pool = ThreadPoolExecutor(1)

    def run_all(self, batches: Iterable[Any]) -> Any:
        return in_order(self.pool, self.run, batches, self.ahead)


@pytest.fixture
def overlapping(toy_predictor: Callable[..., Predictor]) -> Iterator[Callable[..., Predictor]]:
    """Make a predictor whose engine has several batches under way."""
    engines = []

    def make(batch_size: int = 4, ahead: int = 3) -> Predictor:
        predictor = toy_predictor(batch_size)
        predictor.engine = OverlappingEngine(ahead)
        engines.append(predictor.engine)
        return predictor

    yield make
    for engine in engines:
        engine.pool.shutdown()


@pytest.fixture
def served(monkeypatch) -> Iterator[Server]:
    """A server that answers nothing yet; no key is known, and pauses are short."""
    for name in server.KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(server, "FIRST_PAUSE", 0.01)
    found = Server(lambda body: "")
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def assert_neighbours_do_not_show() -> Callable[[Callable[[int], Predictor], list[Any]], None]:
    """Texts are written alike alone, all together, and some at once in another order.

    The check is given what makes a predictor of so many rows at once, and the rows.
    """

    def check(make: Callable[[int], Predictor], given: list[Any]) -> None:
        alone = make(1).predict(given)
        texts = {one["text"] for one in alone}
        assert len(texts) > 3, "the random model says the same to everything"
        together = make(23).predict(given)
        some = make(5).predict(given[::-1])[::-1]
        assert alone == together == some

    return check
