"""Names and where they lead; a Hub stand-in on this machine answers what the real one would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hfkit.errors import InputError, NetworkError, SafetyError
from hfkit.model import locate as module
from hfkit.model.locate import MINILM, Located, locate, packaged_minilm

COMMIT = "c" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def put_in_cache(cache: Path, model: str, source: Path) -> Path:
    repository = cache / f"models--{model.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT, "utf-8")
    return Path(shutil.copytree(source, repository / "snapshots" / COMMIT))


def test_a_folder_is_itself(tiny_base_folder: Path) -> None:
    assert locate(str(tiny_base_folder), offline=True) == Located(
        tiny_base_folder, str(tiny_base_folder), None
    )


def test_a_cached_model_is_taken_from_the_cache(cache: Path, tiny_base_folder: Path) -> None:
    folder = put_in_cache(cache, "org/tiny", tiny_base_folder)
    found = locate("org/tiny", offline=False)
    assert (found.folder, found.name, found.revision) == (folder, "org/tiny", COMMIT)
    assert locate(f"org/tiny@{COMMIT}", offline=True) == found


def test_a_half_downloaded_model_does_not_count(cache: Path, tiny_base_folder: Path) -> None:
    folder = put_in_cache(cache, "org/tiny", tiny_base_folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cache"):
        locate("org/tiny", offline=True)


def test_a_wrong_name_proposes_the_run_beside_it(cache: Path, tiny_base_folder: Path) -> None:
    shutil.copytree(tiny_base_folder, cache.parent / "runs" / "parcels")
    for name in ("runs/parcel", "./runs/parcles", "parcels"):
        with pytest.raises(InputError, match="did you mean 'runs/parcels'"):
            locate(name, offline=True)


@pytest.mark.parametrize("name", ["./nothing/here", "/no/such/folder", "a/b/c", "a b", " "])
def test_a_path_is_never_asked_of_the_hub(cache: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such folder"):
        locate(name, offline=False)


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="a model is a folder"):
        locate(str(tmp_path / "model.safetensors"), offline=True)


@pytest.mark.parametrize("name", ["minilm", MINILM])
def test_the_packaged_minilm(cache: Path, name: str) -> None:
    if packaged_minilm() is None:
        pytest.skip("the packaged MiniLM is not installed")
    found = locate(name, offline=True)
    assert found.name == MINILM
    assert (found.folder / "config.json").is_file()


def test_packaged_weights_of_another_hash_are_refused(
    cache: Path, tiny_base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "packaged_minilm", lambda: tiny_base_folder)
    with pytest.raises(SafetyError, match="sha256"):
        locate("minilm", offline=True)


def test_a_package_that_is_not_there_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "packaged_minilm", lambda: None)
    with pytest.raises(InputError, match="pip install"):
        locate("minilm", offline=True)


def test_a_wrong_name_fails_before_torch_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom hfkit.errors import InputError\nfrom hfkit.model.locate import locate\n"
        "try:\n    locate('org/mistyped', offline=True)\nexcept InputError:\n"
        "    sys.exit('torch' in sys.modules or 'transformers' in sys.modules)\nsys.exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Hub(BaseHTTPRequestHandler):
    """Answers with `status`; -1: never answers; 200: serves the files of `folder`."""

    status: ClassVar[int] = 404
    headers_sent: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    folder: ClassVar[Path] = Path()

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.status == -1:
            time.sleep(3)
            return
        if self.status != 200:
            self.reply(self.status, b"{}", self.headers_sent)
        elif self.path.startswith("/api/models/org/tiny/tree"):
            files = [
                {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40}
                for path in [*self.folder.iterdir(), self.folder / "config.json"]
            ]
            evil = {"type": "file", "path": "modeling_evil.py", "size": 1, "oid": "1" * 40}
            self.reply(200, json.dumps([*files, evil]).encode())
        elif self.path.startswith("/api/models/org/tiny"):
            self.reply(200, json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": []}).encode())
        else:
            self.reply(200, self.named().read_bytes(), self.described())

    def do_HEAD(self) -> None:
        type(self).asked.append(self.path)
        size = str(self.named().stat().st_size)
        self.reply(200, b"", {**self.described(), "Content-Length": size})

    def named(self) -> Path:
        return self.folder / self.path.rpartition("/")[2]

    def described(self) -> dict[str, str]:
        return {"ETag": f'"{self.named().name}"', "X-Repo-Commit": COMMIT}

    def reply(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A Hub on this machine, and a client that is allowed to ask it."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # As `import hfkit` does, if nothing imported the client before.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    Hub.asked, Hub.headers_sent = [], {}
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "error", "reason"),
    [
        (404, "RepoNotFound", InputError, "neither a folder here nor a model"),
        (404, "RevisionNotFound", InputError, "no such revision"),
        (403, "GatedRepo", NetworkError, "must be asked for"),
        (403, "", NetworkError, "refused the login"),
        (500, "", NetworkError, "answered 500"),
        (-1, "", NetworkError, "cannot be reached"),
    ],
)
def test_what_the_hub_refuses(
    hub: type[Hub],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    error: type[Exception],
    reason: str,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    hub.status, hub.headers_sent = status, {"X-Error-Code": code} if code else {}
    began = time.monotonic()
    with pytest.raises(error, match=reason) as caught:
        locate("org/tiny", offline=False)
    assert time.monotonic() - began < 3  # one question, no retries
    assert len(hub.asked) == 1
    assert "\n" not in str(caught.value)


def test_no_network_at_all_is_said_quickly(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(NetworkError, match="cannot be reached"):
        locate("org/tiny", offline=False)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("variable", ["1", "true", "ON"])
def test_offline_asks_nobody(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with pytest.raises(InputError):
        locate("org/tiny", offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", variable)
    with pytest.raises(InputError):
        locate("org/tiny", offline=False)
    assert hub.asked == []


def test_only_wanted_files_are_downloaded(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch, tiny_base_folder: Path
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    hub.status, hub.folder = 200, tiny_base_folder
    found = locate("org/tiny", offline=False)
    assert found.revision == COMMIT
    names = {path.name for path in found.folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(path.endswith(".py") for path in [*names, *hub.asked])
    count = len(hub.asked)
    assert locate("org/tiny", offline=False) == found
    assert len(hub.asked) == count  # the second time from the cache, without a question


def test_code_is_downloaded_for_the_commit_that_was_named(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch, tiny_base_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    folder = Path(shutil.copytree(tiny_base_folder, tmp_path / "with-code"))
    (folder / "modeling_evil.py").write_text("1", "utf-8")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoModel": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    hub.status, hub.folder = 200, folder
    assert not any((locate("org/tiny", offline=False)).folder.glob("*.py"))
    found = locate("org/tiny", offline=False, code=COMMIT)
    assert found.code
    assert (found.folder / "modeling_evil.py").read_text("utf-8") == "1"
    with pytest.raises(SafetyError, match="its revision is ccc"):
        locate("org/tiny", offline=False, code="d" * 40)
