"""What the peers that use transformers' Trainer have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

Scores = dict[str, float]


def train(
    job: dict,
    model: Any,
    rows: Any,
    held_out: Any,
    collator: Any,
    score: Callable[[Any], Scores],
) -> list[Scores]:
    """Train as the examples do; `score` gets the predictions for `held_out` after each epoch, in
    the order of its rows. Returns the scores of each epoch."""
    from transformers import Trainer, TrainingArguments

    history: list[Scores] = []

    class Scored(in_order(Trainer)):  # type: ignore[misc]
        def evaluate(self, *_: Any, **__: Any) -> Scores:
            history.append(score(self.predict(held_out)))
            return history[-1]

    with tempfile.TemporaryDirectory() as out:
        trainer = Scored(
            model=model,
            args=TrainingArguments(
                out, **arguments(job), train_sampling_strategy="group_by_length",
                per_device_eval_batch_size=32,
            ),
            train_dataset=rows,
            eval_dataset=held_out,
            data_collator=collator,
        )  # fmt: skip
        trainer.train()
    return history


def in_order(trainer: Any) -> Any:
    """A trainer that predicts rows in their order: grouping by length would mix them up."""
    from torch.utils.data import SequentialSampler

    class InOrder(trainer):  # type: ignore[misc]
        def _get_eval_sampler(self, eval_dataset: Any) -> Any:
            return SequentialSampler(eval_dataset)

    return InOrder


def arguments(job: dict) -> dict[str, Any]:
    """What a job says, in the words of transformers' TrainingArguments and of those made of it."""
    import torch

    return {
        "num_train_epochs": job["epochs"],
        "per_device_train_batch_size": job["batch_size"],
        "learning_rate": job["lr"],
        "warmup_steps": job["warmup"],
        "weight_decay": job["weight_decay"],
        "seed": job["seed"],
        "report_to": "none",
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }


def best(history: list[Scores], name: str) -> dict[str, Any]:
    """The scores of the epoch that is best by `name`, with those of all epochs beside them.

    >>> best([{"f1": 0.5}, {"f1": 0.7}, {"f1": 0.6}], "f1")["f1"]
    0.7
    """
    chosen = max(history, key=lambda scores: scores[name])
    return {**chosen, "history": history}
