"""Tiny models and batches that the tests of the training room share, also across processes."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from example_data import (
    CLASSES,
    LOSSES,
    ROW_LOSSES,
    STEP_LOSSES,
    TOKEN_LOSSES,
    VOCABULARY,
    make_data,
)
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from hfkit.config import Training
from hfkit.model.adapters import attach, freeze
from hfkit.model.heads import Embedder
from hfkit.model.lora import parse
from hfkit.train.checkpoint import Checkpoints
from hfkit.train.launch import make_accelerator
from hfkit.train.loop import Evaluation, Event, Parts, Step, train
from hfkit.train.losses import find_loss
from hfkit.train.pair_losses import StepLoss

Case = tuple[str, str]  # family, problem
SIZE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout")
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any], tuple[str, ...]]] = {
    "bert": (BertConfig, BertForSequenceClassification, SIZE, DROPOUTS[:2]),
    "roberta": (RobertaConfig, RobertaForSequenceClassification, SIZE, DROPOUTS[:2]),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForSequenceClassification, SIZE, DROPOUTS[:2]),
    "deberta-v2": (
        DebertaV2Config,
        DebertaV2ForSequenceClassification,
        SIZE | {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"]},
        DROPOUTS,
    ),
    "distilbert": (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        {
            "vocab_size": VOCABULARY,
            "dim": 32,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 48,
            "max_position_embeddings": 40,
            "pad_token_id": 0,
        },
        ("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"),
    ),
    "modernbert": (
        ModernBertConfig,
        ModernBertForSequenceClassification,
        SIZE | {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
        ("attention_dropout", "mlp_dropout", "embedding_dropout", "classifier_dropout"),
    ),
}


# Every family has its head for rows; what else it has is shared code, so two stand for all.
CASES: list[Case] = [(family, problem) for family in FAMILIES for problem in ROW_LOSSES] + [
    (family, problem)
    for family in ("bert", "distilbert")
    for problem in (*TOKEN_LOSSES, *STEP_LOSSES)
]


def tiny_model(family: str = "bert", problem: str = "single-label", dropout: float = 0.0) -> Any:
    """A random model of two layers with the head of the problem, the same at every call."""
    make_config, head, size, dropouts = FAMILIES[family]
    outputs = {"regression": 1, "span": 2}.get(problem, CLASSES)
    config = make_config(**size, num_labels=outputs, **dict.fromkeys(dropouts, dropout))
    torch.manual_seed(1)
    if problem == "tokens":
        return AutoModelForTokenClassification.from_config(config)
    if problem == "span":
        return AutoModelForQuestionAnswering.from_config(config)
    if problem in STEP_LOSSES:
        return Embedder(AutoModel.from_config(config), "mean")
    return head(config)


def make_settings(**changes: Any) -> Training:
    return Training(**{"lr": 1e-3, "batch_size": 16, "epochs": 2, "seed": 5, **changes})


def make_parts(
    folder: Path,
    *,
    family: str = "bert",
    problem: str = "single-label",
    dropout: float = 0.0,
    accelerator: Accelerator | None = None,
    parts: dict[str, Any] | None = None,
    **settings: Any,
) -> Parts:
    data = make_data(problem)
    given: dict[str, Any] = {
        "model": tiny_model(family, problem, dropout),
        "settings": make_settings(**settings),
        "accelerator": accelerator or make_accelerator("cpu", "fp32", 1),
        "lengths": data.lengths,
        "make_batch": data.make_batch,
        "loss": find_loss(LOSSES[problem]),
        "checkpoints": Checkpoints(folder),
        "groups": data.groups,
        "keys": data.keys,
    }
    found = Parts(**{**given, **(parts or {})})
    choose_what_learns(found.model, found.settings)
    return found


def choose_what_learns(model: Any, settings: Training) -> None:
    """Adapters or frozen parts, as a run has them."""
    layers = settings.freeze_layers
    if settings.lora:
        attach(model, parse(settings.lora), [], seed=settings.seed, without_layers=layers)
    elif settings.freeze_embeddings or layers:
        freeze(model, [], embeddings=settings.freeze_embeddings, layers=layers)


IDLE = ("qa_outputs.bias",)  # shifts the logits of all tokens alike, which a softmax does not see


def weight_sum(model: torch.nn.Module) -> float:
    """A score that depends on every weight."""
    return float(sum(p.detach().double().abs().sum() for p in model.parameters()))


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def flat(model: torch.nn.Module) -> np.ndarray:
    """All weights that learn in one vector, without those that no loss depends on: they hold only
    rounding."""
    kept = [
        p.detach().flatten()
        for name, p in model.named_parameters()
        if name not in IDLE and p.requires_grad
    ]
    return torch.cat(kept).double().numpy()


def assert_same_curves(found: list[list[float]], expected: list[list[float]]) -> None:
    """Losses to 1e-6, norms of gradients to 1e-4."""
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)


def scored(parts: Parts) -> Parts:
    """The same, with an evaluation that every weight moves."""
    return replace(parts, evaluate=lambda: {"score": weight_sum(parts.model)}, best="score")


def losses_of(events: Iterator[Event]) -> list[float]:
    return [event.loss for event in events if hasattr(event, "loss")]


# --- what the processes of test_processes.py do ---------------------------------------------


def invariance_case(folder: Path, family: str, problem: str, accelerator: Any, micro: int | None):
    """Five steps of 16 rows; returns the losses, the gradients' norms and the weights.

    The norms show what clipping and AdamW would hide: gradients that are all K times too large.
    """
    # A ranking of vectors that are nearly parallel, as those of random models are, is steep: what
    # the first update rounds differently, the next losses show magnified.
    lr = 1e-4 if problem in STEP_LOSSES else 5e-4
    parts = make_parts(
        folder, family=family, problem=problem, accelerator=accelerator, max_steps=5,
        micro_batch=micro, lr=lr, warmup=0,
    )  # fmt: skip
    steps = [event for event in train(parts) if isinstance(event, Step)]
    curves = [[step.loss for step in steps], [step.grad_norm for step in steps]]
    return curves, flat(parts.model), fingerprint(parts.model)


LONELY: dict[str, Any] = {"batch_size": 1, "max_steps": 4}  # one row: the second process has none


def lonely_step() -> dict[str, Any]:
    """A loss across the step, as a plug-in may have one, and the model it needs."""

    def squares(outputs: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        sizes = outputs.embeddings.square().sum(dim=1)
        return (sizes * batch["loss_weight"]).sum(), batch["loss_weight"].sum()

    return {"model": tiny_model(problem="graded"), "loss": StepLoss(squares)}


MEMORY: dict[str, dict[str, Any]] = {
    "auto": {"micro_batch": "auto"},
    "tokens": {"batch_tokens": 20},
    "recomputed": {"gradient_checkpointing": True},
    "adafactor": {"optim": "adafactor"},
    "lora": {"lora": "r=4,targets=all", "micro_batch": 3},
    "frozen": {"freeze_embeddings": True, "freeze_layers": 1},
}


SHARDED: dict[str, dict[str, Any]] = {
    "sharded": {},
    "sharded-clipped": {"max_grad_norm": 0.05, "weight_decay": 0.1},
    "sharded-uneven": {"batch_tokens": 20},  # the processes cut their rows differently often
    "sharded-lonely": {"batch_size": 1},
    "sharded-recomputed": {"gradient_checkpointing": True, "micro_batch": 3},
    "sharded-lora": {"lora": "r=4"},
    "sharded-frozen": {"freeze_embeddings": True, "freeze_layers": 1},
    "sharded-distilbert": {"family": "distilbert", "problem": "tokens"},
}


class Tight(torch.nn.Module):
    """A model on a device with memory for `room` rows; one more and it fails, in the backward pass
    of every second failure, where gradients have been left already."""

    def __init__(self, inner: Any, room: int) -> None:
        super().__init__()
        self.inner, self.room = inner, room
        self.largest = self.failures = 0

    def forward(self, **inputs: torch.Tensor) -> Any:
        rows = len(inputs["input_ids"])
        outputs = self.inner(**inputs)
        if rows > self.room:
            self.failures += 1
            if self.failures % 2 and torch.is_grad_enabled():
                next(iter(self.inner.parameters())).register_hook(self._fail)
                return outputs
            raise torch.OutOfMemoryError("out of memory")
        self.largest = max(self.largest, rows)
        return outputs

    def _fail(self, gradient: torch.Tensor) -> None:
        if self.failures % 2:
            self.failures += 1
            raise torch.OutOfMemoryError("out of memory")


class WithUnusedPart(torch.nn.Module):
    """A model with a pooler nobody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_model()
        self.pooler = torch.nn.Linear(4, 4)

    def forward(self, **inputs: torch.Tensor) -> Any:
        return self.inner(**inputs)


def main(folder: Path) -> None:
    """Run every case in one group of two processes; each rank leaves a file of results."""
    accelerator = make_accelerator("cpu", "fp32", 2)
    rank = accelerator.process_index
    results: dict[str, Any] = {}
    weights: dict[str, np.ndarray] = {}

    for family, problem in CASES:
        place = folder / family / problem
        cut = problem in ("regression", "span", "graded", "triplets")
        curves, weights[f"{family}-{problem}"], digest = invariance_case(
            place, family, problem, accelerator, micro=3 if cut else None
        )
        results[f"{family}-{problem}"] = {"curves": curves, "digest": digest}

    for name, changes in {"row": {}, "step": lonely_step()}.items():
        parts = make_parts(
            folder / f"lonely-{name}", accelerator=accelerator, parts=changes, **LONELY
        )
        losses = losses_of(train(parts))
        results[f"lonely-{name}"] = {"losses": losses, "digest": fingerprint(parts.model)}
        weights[f"lonely-{name}"] = flat(parts.model)

    model = WithUnusedPart()
    before = fingerprint(model.pooler)
    parts = make_parts(
        folder / "unused", accelerator=accelerator, parts={"model": model}, max_steps=3,
        weight_decay=0.1, micro_batch=4,
    )  # fmt: skip
    list(train(parts))
    results["unused"] = {
        "digest": fingerprint(model),
        "pooler": before == fingerprint(model.pooler),
    }

    parts = make_parts(folder / "marked", accelerator=accelerator, max_steps=3)
    accelerator.prepare_model(parts.model, evaluation_mode=True)  # "score before training"
    list(train(parts))
    results["marked"] = {"digest": fingerprint(parts.model)}

    for name, settings in MEMORY.items():
        changes: dict[str, Any] = {}
        if name == "auto":  # one process has less room than the other; both must agree
            changes = {"model": Tight(tiny_model(), room=3 if rank else 99)}
        parts = make_parts(
            folder / name, accelerator=accelerator, parts=changes, max_steps=4, warmup=0, **settings
        )
        list(train(parts))
        results[name] = {"digest": fingerprint(parts.model)}
        weights[name] = flat(parts.model)
        if name == "auto":
            results[name]["failures"] = parts.model.failures

    for name, settings in SHARDED.items():
        parts = make_parts(
            folder / name, accelerator=accelerator, max_steps=4, warmup=0, fsdp=True,
            num_processes=2, **settings,
        )  # fmt: skip
        parts = scored(parts)
        events = list(train(parts))
        results[name] = {
            "digest": fingerprint(parts.model),
            "norms": [event.grad_norm for event in events if isinstance(event, Step)],
            "score": [event.scores["score"] for event in events if isinstance(event, Evaluation)],
        }
        weights[name] = flat(parts.model)

    results["resume"] = resumed_case(folder / "resume", accelerator)
    results["resume-sharded"] = resumed_case(
        folder / "resume-sharded", accelerator, fsdp=True, num_processes=2
    )
    (folder / f"rank-{rank}.json").write_text(json.dumps(results))
    np.savez(folder / f"rank-{rank}.npz", **weights)


def resumed_case(folder: Path, accelerator: Accelerator, **settings: Any) -> dict[str, str]:
    """The digests of a whole run and of one that was stopped on one rank only, and went on."""
    again = {"accelerator": accelerator, "dropout": 0.1, "max_steps": 6, **settings}
    whole = make_parts(folder / "whole", **again)
    list(train(whole))
    first = make_parts(folder / "cut", **again)
    for event in train(first):
        if getattr(event, "step", 0) == 2 and accelerator.process_index == 1:
            first.stop.signum = 15  # as if a signal had come to this process only
        last = event
    second = make_parts(folder / "cut", **again)
    list(train(second, second.checkpoints.newest()))
    return {
        "stopped": f"{last.reason} {last.signum} at {last.step}",
        "digest": fingerprint(second.model),
        "whole": fingerprint(whole.model),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
