"""Requests made from the server's own description, right and wrong ones: none makes it fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

from hfkit.config import Limits, ServeConfig
from hfkit.run.serving import open_models
from hfkit.serve.app import make_app
from hfkit.serve.counts import Counts
from hfkit.serve.limits import LOCAL, Guests

NAMES = ("topics", "names", "answers", "masks", "river", "short", "vectors")


@pytest.fixture(scope="module")
def app(models: Path) -> Iterator[object]:
    """The application in this process, with all it has; a queue without bounds keeps 503 away."""
    config = ServeConfig(models=[str(models / name) for name in NAMES], timeout=600)
    served = open_models(config, Counts())
    yield make_app(served, Limits(timeout=600), Guests(names=LOCAL | {"testserver"}), Counts())
    for one in served:
        one.worker.close()


@pytest.mark.parametrize("examples", [5, pytest.param(80, marks=pytest.mark.slow)])
def test_no_request_makes_it_fail(app: object, examples: int) -> None:
    tried = []
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        def ask(case: schemathesis.Case) -> None:
            answer = case.call()
            tried.append(answer.status_code)
            assert answer.status_code < 500, answer.text

        ask()
    assert len(tried) > 100
    assert {200, 422} <= set(tried)


def test_the_description_names_every_route(app: object) -> None:
    with TestClient(app) as client:
        paths = client.get("/openapi.json").json()["paths"]
    for path in ("/models/topics", "/models/river", "/models/vectors/embed", "/v1/embeddings",
                 "/v1/chat/completions", "/health", "/info", "/metrics"):  # fmt: skip
        assert path in paths
