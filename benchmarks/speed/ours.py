"""hfkit, by its own commands and public functions."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.speed.pace import Pace, Steps

Lengths = dict[str, list[int]]


def training(pace: Pace, job: dict) -> None:
    """`hfkit finetune`, which is watched from step to step; it is stopped before it evaluates."""
    import hfkit
    from hfkit.commands import finetune as command
    from hfkit.text import from_transformers

    (part,) = job["texts"]
    texts = job["texts"][part]
    tokenizer = from_transformers(Path(job["folder"]), job["max_length"])
    lengths = lengths_of([parts[0] for parts in tokenizer.encode(texts, on_long="truncate")])
    steps = Steps(pace, -(-len(texts) // job["batch_size"]))

    @contextmanager
    def watching(*_: Any) -> Iterator[Any]:
        steps.begin(lengths={part: lengths})
        yield lambda event: steps.step() if hasattr(event, "grad_norm") else None

    if not hasattr(command, "_watching"):
        raise AttributeError("finetune._watching, which is told every step, has another name now")
    command._watching = watching
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(texts)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        train, held_out = Path(folder, "train.jsonl"), Path(folder, "validation.jsonl")
        train.write_text(lines, "utf-8")
        held_out.write_text("".join(lines.splitlines(keepends=True)[:8]), "utf-8")
        hfkit.finetune(
            str(train), validation=str(held_out), model=job["folder"], output=f"{folder}/run",
            task="classification", on_long="truncate", max_length=job["max_length"],
            batch_size=job["batch_size"], epochs=job["epochs"], eval_every=10**9,
            precision=job["precision"], seed=0, **job["fitting"], **computing(job),
        )  # fmt: skip


def predicting(pace: Pace, job: dict) -> None:
    """`hfkit.load(...).predict`, of any task; `ask` holds the task's own settings."""
    import hfkit

    model = hfkit.load(
        job["folder"], precision=job["precision"], engine=job["engine"], **job.get("ask", {}),
        **computing(job),
    )  # fmt: skip
    predictor: Any = model._predictor

    def rows(part: str) -> list[dict[str, Any]]:
        return [{"text": one} if isinstance(one, str) else one for one in job["texts"][part]]

    def outputs(part: str) -> Any:
        """Logits of a classifier, the answers of zero-shot; of others nothing is compared."""
        if job["compared"] == "logits":
            found = predictor.run(predictor.encode(rows(part)))
            return [one["logits"].tolist() for one in found]
        if job["compared"] == "labels":
            return [answer["label"] for answer in model.predict(rows(part))]
        return None

    lengths = {part: lengths_of(predictor.encode(rows(part))) for part in job["texts"]}
    pace.serve(lambda part: model.predict(rows(part)), outputs, lengths=lengths)


def embedding(pace: Pace, job: dict) -> None:
    """What `hfkit embed` keeps open."""
    from hfkit.config import EmbedConfig
    from hfkit.layers import resolve
    from hfkit.run.embedding import configured

    settings = {
        "model": job["folder"], "max_length": job["max_length"], "precision": job["precision"],
        "engine": job["engine"], **computing(job),
    }  # fmt: skip
    vectorizer = configured(resolve(EmbedConfig, settings, {}, as_flags=False)).of("")
    lengths: Lengths = {}
    for part, texts in job["texts"].items():
        windows = vectorizer.tokenizer.encode(texts, on_long="window")
        lengths[part] = lengths_of([one for parts in windows for one in parts])
    pace.serve(
        lambda part: vectorizer.vectors(job["texts"][part]),
        lambda part: vectorizer.vectors(job["texts"][part]).tolist(),
        lengths=lengths,
    )


def computing(job: dict) -> dict[str, Any]:
    """Device and threads, in hfkit's words."""
    return {"device": job["device"], "threads": job["threads"]}


def lengths_of(encoded: Sequence[Any]) -> list[int]:
    """Real tokens of encoded rows."""
    return [len(row["input_ids"]) for row in encoded]


@cache
def exported(folder: Path, engine: str) -> str:
    """Export a model for an engine; return why it cannot be done, or nothing."""
    command = [sys.executable, "-m", "hfkit", "export", str(folder), "--engine", engine]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return said[-1].removeprefix("hfkit: error: ")
