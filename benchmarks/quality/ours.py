"""What the sides of hfkit have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.quality.rows import path

SAME = ("epochs", "lr", "batch_size", "warmup", "weight_decay", "max_length", "seed", "limit")


@contextmanager
def finetuned(
    job: dict, files: tuple[str, str], **reading: Any
) -> Iterator[tuple[Any, dict[str, float], list[dict]]]:
    """Fine-tune MiniLM; give the model of the best epoch, hfkit's own scores for the validation
    data, and the training rows as it drew them."""
    import hfkit
    from hfkit.config import FinetuneConfig
    from hfkit.layers import resolve
    from hfkit.run.preparation import prepare

    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "train": str(path(files[0])), "validation": str(path(files[1])), "task": job["task"],
            "model": "minilm", "output": f"{folder}/run", "precision": "fp32",
            **{name: job[name] for name in SAME},
            **reading,
        }  # fmt: skip
        rows = prepare(resolve(FinetuneConfig, settings, as_flags=False)).train.rows
        done = hfkit.finetune(**settings)
        own = {
            name: value
            for name, value in done.splits["validation"].values.items()
            if isinstance(value, int | float)
        }
        yield hfkit.load(f"{folder}/run"), own, rows
