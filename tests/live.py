"""A real `hfkit serve` in a process of its own, and toy models of every task to serve."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from toys import CHAT_TEMPLATE, write_classifier, write_generator, write_writer

READY = re.compile(r"ready: (http://\S+)")
TOKEN = "a-token-of-the-tests"


@dataclass
class Live:
    """A server that answers: its address, its process, and what it has said so far."""

    url: str
    process: subprocess.Popen[str]
    said: list[str]

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """Send JSON."""
        url = self.url.rstrip("/") + path
        return httpx.post(url, json=body, timeout=60, verify=False, **options)  # no certificates

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def live(*arguments: object, token: str = "", port: int = 0) -> Iterator[Live]:
    """Start `hfkit serve` with these arguments at any free port, and end it."""
    command = [sys.executable, "-m", "hfkit", "serve", *map(str, arguments), "--port", str(port)]
    environment = {**os.environ, "HFKIT_SERVE_TOKEN": token, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    said: list[str] = []
    hearing = None
    try:
        assert process.stderr is not None
        url = ""
        for line in process.stderr:
            said.append(line)
            if found := READY.search(line):
                url = found[1]
                break
        assert url, "".join(said)
        hearing = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        hearing.start()
        _wait_for(url)
        yield Live(url, process, said)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
        if hearing is not None:
            hearing.join()
        if process.stderr is not None:
            process.stderr.close()


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}health", headers={"Host": "127.0.0.1"})
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"nobody answers at {url}")


NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NLI = ["entailment", "neutral", "contradiction"]


def _labels(names: list[str]) -> dict[str, Any]:
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
    }


def write_models(folder: Path) -> Path:
    """A random model of each task; none of them was trained. `OPTIONS` are those they need."""
    import torch
    from toys import tiny_config, write_base_model, write_tokenizer
    from transformers import (
        AutoModelForMaskedLM,
        AutoModelForNextSentencePrediction,
        AutoModelForQuestionAnswering,
        AutoModelForTokenClassification,
    )

    def write(name: str, made: Any, **changes: Any) -> Path:
        torch.manual_seed(1)
        model = made.from_config(tiny_config("bert", initializer_range=0.2, **changes))
        model.save_pretrained(folder / name)
        return write_tokenizer(folder / name)

    spread = {"initializer_range": 0.2}
    write_classifier(folder / "topics", **spread)
    write_classifier(folder / "several", problem_type="multi_label_classification", **spread)
    write_classifier(
        folder / "number", num_labels=1, id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0},
        problem_type="regression", **spread,
    )  # fmt: skip
    write_classifier(folder / "nli", **_labels(NLI), **spread)
    write_generator(folder / "river", chat=CHAT_TEMPLATE)
    write_writer(folder / "short", "bart", max_position_embeddings=160)
    write_base_model(folder / "vectors", **spread)
    cross = {"num_labels": 1, "id2label": {0: "score"}, "label2id": {"score": 0}}
    write_classifier(folder / "pairs", **cross, problem_type=None, **spread)
    write("names", AutoModelForTokenClassification, **_labels(NAMES))
    write("answers", AutoModelForQuestionAnswering)
    write("masks", AutoModelForMaskedLM)
    write("next", AutoModelForNextSentencePrediction)
    return folder


OPTIONS: dict[str, dict[str, Any]] = {
    "nli": {"task": "zero-shot"},
    "vectors": {"task": "similarity"},
    "graded": {"task": "similarity"},
    "pairs": {"task": "similarity", "architecture": "cross-encoder"},
}


def predicted(models: Path, name: str, *rows: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """What `hfkit predict` says of rows."""
    import hfkit

    file = models / f"rows-{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = {**OPTIONS.get(name, {}), **more}
    return [r["prediction"] for r in hfkit.predict(str(models / name), str(file), **settings)]
