"""An exported model is served without torch; what was decided after training is honoured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from exports import HEAVY, go
from live import Live, predicted

PROGRAM = f"""
import asyncio, json, sys
import httpx
from hfkit.config import ServeConfig
from hfkit.run.serving import open_models
from hfkit.serve.app import make_app
from hfkit.serve.counts import Counts
from hfkit.serve.limits import Guests
from hfkit.serve.server import serve_app

folder, body = sys.argv[1:]
config = ServeConfig(models=[folder])
served = open_models(config, Counts())
app = make_app(served, config, Guests())

async def ask():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.post("/answer", json=json.loads(body))).json()

print(json.dumps([asyncio.run(ask()), sorted(set({HEAVY}) & set(sys.modules))]))
served[0].worker.close()
"""


@pytest.fixture(scope="module")
def exported(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(models / "topics", folder / "topics")
    assert go("export", folder / "topics", "--device", "cpu", "-q") == 0
    return folder


def test_it_is_served_without_torch(exported: Path) -> None:
    row = {"text": "rain and some bread"}
    body = json.dumps({"rows": [row], "scores": True})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(exported / "topics"), body],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ((answer,), heavy) = json.loads(done.stdout)
    (expected,) = predicted(exported, "topics", row, scores=True, engine="onnx")
    assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert heavy == []


def test_what_was_decided_after_training_is_honoured(
    decided: Live, models: Path, decided_models: Path
) -> None:
    text = {"text": "rain and some bread"}
    question = {"question": "what falls", "context": "rain and some bread near my drum"}
    body = {"rows": [text], "scores": True}
    labelled = decided.post("/models/topics/answer", body).json()
    answered = decided.post("/models/answers/answer", {"rows": [question]}).json()
    shown = decided.post("/models/answers", {"inputs": question}).json()
    for found, name, row in ((labelled, "topics", text), (answered, "answers", question)):
        (expected,) = predicted(decided_models, name, row, scores=name == "topics")
        assert found[0]["abstained"], "the model is not that sure"
        assert {**found[0], "score": 0, "scores": 0} == {**expected, "score": 0, "scores": 0}
        assert found[0]["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert labelled[0]["score"] != pytest.approx(
        predicted(models, "topics", text, scores=True)[0]["score"], abs=1e-3
    )
    assert (shown["answer"], shown["start"], shown["end"]) == ("", 0, 0), "clients want a text"
