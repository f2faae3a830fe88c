"""`hfkit push`: what goes to the Hub, what stays at home, and what the Hub may answer.

The Hub is a server on this machine that speaks what the client library asks of it.
"""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from toys import toy_rows, write_base_model, write_csv

import hfkit
from hfkit import sealing
from hfkit.cli.app import run
from hfkit.errors import InputError, NetworkError, SafetyError

REPO = "acme/reviews"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("push")
    base = write_base_model(folder / "base")
    data = write_csv(folder / "private-data.csv", toy_rows(60))
    test = write_csv(folder / "held-out.csv", toy_rows(30, seed=1))
    done = hfkit.finetune(
        str(data), model=str(base), output=str(folder / "run"), test=str(test), max_steps=2,
        max_length=32, device="cpu", keep_checkpoints=True, quiet=True,
    )  # fmt: skip
    return done.folder


def test_a_dry_run_lists_files_and_card_and_sends_nothing(finished, monkeypatch, capsys) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    assert run(["push", str(finished), REPO, "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert "model.safetensors" in printed.out and "pipeline_tag: text-classification" in printed.out
    assert "nothing was sent" in printed.err and "private" in printed.err


def test_nothing_of_this_machine_goes_along(finished, monkeypatch) -> None:
    sent = {}

    def keep(config, stage: Path) -> str:
        sent.update({path.relative_to(stage).as_posix(): path.read_bytes()
                     for path in stage.rglob("*") if path.is_file()})  # fmt: skip
        assert sealing.damage(stage) is None
        return "https://hub/acme/reviews"

    (finished / "notes.txt").write_text("mine")
    monkeypatch.setattr("hfkit.commands.push._upload", keep)
    found = hfkit.push(finished, REPO)
    (finished / "notes.txt").unlink()
    assert found.url and set(found.files) == set(sent)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(sent)
    assert not [name for name in sent if "checkpoint" in name or "optim" in name]
    assert "notes.txt" not in sent and "metrics.jsonl" not in sent
    for name, content in sent.items():
        assert str(finished.parent).encode() not in content, name
    assert yaml.safe_load(sent["hfkit.yaml"])["train"] == "private-data.csv"


def test_what_is_fetched_is_a_run_again(finished, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        "hfkit.commands.push._upload",
        lambda config, stage: str(shutil.copytree(stage, tmp_path / "got")),
    )
    hfkit.push(finished, REPO)
    text = "rain and wind again"
    here, there = (
        next(iter(hfkit.predict(str(folder), [text], device="cpu")))["prediction"]
        for folder in (finished, tmp_path / "got")
    )
    assert here == there


def test_the_card_says_what_a_stranger_asks(finished) -> None:
    found = hfkit.push(finished, REPO, dry_run=True, language="en", license="apache-2.0")
    _, front, body = found.card.split("---\n", 2)
    meta = yaml.safe_load(front)
    assert meta["language"] == ["en"] and meta["license"] == "apache-2.0"
    assert meta["pipeline_tag"] == "text-classification"
    from huggingface_hub import ModelCardData

    scores = ModelCardData(**{**meta, "model_name": REPO}).to_dict()["model-index"]
    assert {one["dataset"]["split"] for one in scores[0]["results"]} == {"validation", "test"}
    manifest = sealing.read_json(finished / "manifest.json")
    for part in ("train", "validation", "test"):
        assert manifest["data"][part]["sha256"][:16] in body
    for part in (f"hfkit predict {REPO}", f'from_pretrained("{REPO}")', "95 % interval",
                 "baseline", "It is weakest on", "Fewer than 20 rows", "32 tokens"):  # fmt: skip
        assert part in body, part


def test_a_secret_is_refused(finished, tmp_path) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "note": "hf_" + "a" * 30}))
    reseal(copy)
    with pytest.raises(SafetyError, match=r"config.json: holds a secret"):
        hfkit.push(copy, REPO, dry_run=True)
    (copy / "config.json").write_text(json.dumps({**config, "note": str(copy)}))
    reseal(copy)
    with pytest.raises(SafetyError, match="names a path of this machine"):
        hfkit.push(copy, REPO, dry_run=True)


def reseal(folder: Path) -> None:
    facts = sealing.read_json(folder / "manifest.json")
    del facts["files"]
    sealing.seal(folder, facts, leave_out=("checkpoints",))


def test_what_is_no_finished_run_is_refused(finished, tmp_path) -> None:
    with pytest.raises(InputError, match="not a finished run"):
        hfkit.push(tmp_path, REPO)
    with pytest.raises(InputError, match="expected ORG/NAME"):
        hfkit.push(finished, "just-a-name")
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    (copy / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        hfkit.push(copy, REPO)


class Hub(ThreadingHTTPServer):
    """Answers as the Hub does; notes what it was asked."""

    status, public = 200, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str, bytes]] = []


class Answering(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        self.server.asked.append((self.command, self.path, body))
        content: object = {}
        status = self.server.status
        if self.path.endswith("/repos/create"):
            content = {"url": f"http://{self.headers['Host']}/{REPO}", "id": REPO, "name": REPO}
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            content = {"files": [{"path": one["path"], "uploadMode": "regular",
                                  "shouldIgnore": False} for one in files]}  # fmt: skip
        elif "/commit/" in self.path:
            address = f"http://{self.headers['Host']}/{REPO}/commit/{'0' * 40}"
            content = {"success": True, "commitOid": "0" * 40, "commitUrl": address}
        elif self.path.startswith("/api/models/"):
            content = {"id": REPO, "modelId": REPO, "private": not self.server.public,
                       "sha": "0" * 40, "siblings": [], "tags": []}  # fmt: skip
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_HEAD = do_PUT = answer


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("HF_HUB_OFFLINE", "HFKIT_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "t" * 30)
    real = __import__("huggingface_hub").HfApi
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: real(endpoint=address))
    yield server
    server.shutdown()
    server.server_close()


def test_it_goes_to_the_hub_and_is_private(finished, hub) -> None:
    found = hfkit.push(finished, REPO, message="Reviews")
    assert found.private and found.url
    created = json.loads(next(body for _, path, body in hub.asked if path.endswith("create")))
    assert created.get("private") is True or created.get("visibility") == "private"
    commit = next(body for _, path, body in hub.asked if "/commit/" in path)
    lines = [json.loads(line) for line in commit.splitlines()]
    assert lines[0]["value"]["summary"] == "Reviews"
    sent = {line["value"]["path"] for line in lines if line["key"] in ("file", "lfsFile")}
    assert sent == set(found.files)


def test_a_public_repository_asks_for_the_flag(finished, hub) -> None:
    hub.public = True
    with pytest.raises(SafetyError, match="everybody can read it"):
        hfkit.push(finished, REPO)
    assert not [path for _, path, _ in hub.asked if "/commit/" in path]
    assert hfkit.push(finished, REPO, public=True).url


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refused the login"), (403, "does not let you write")]
)
def test_a_refusal_says_what_to_do(finished, hub, capsys, status, said) -> None:
    hub.status = status
    assert run(["push", str(finished), REPO]) == 7
    assert said in capsys.readouterr().err


def test_without_a_login_or_a_network(finished, hub, monkeypatch) -> None:
    with pytest.raises(InputError, match="offline"):
        hfkit.push(finished, REPO, offline=True)
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(NetworkError, match="not logged in"):
        hfkit.push(finished, REPO)
    assert not hub.asked
