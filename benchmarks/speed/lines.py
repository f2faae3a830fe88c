"""What is measured: the groups of contestants, and the lines of the table made of them.

A group is measured once, its contestants in turns; each of its lines sets one of hfkit's
contestants beside one or more peers. "reach" is what hand-made prototypes did, "aim" where to go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmarks.speed import texts
from benchmarks.speed.models import Models

Compared = Literal["", "logits", "labels", "vectors", "agreement"]
ENGINES = ("onnx", "openvino")


class Peer(NamedTuple):
    """A contestant, or the fastest of several, that a line is compared with."""

    names: tuple[str, ...]
    reach: float | None = None
    aim: float | None = None
    shown: str = ""

    @property
    def title(self) -> str:
        return self.shown or self.names[0]


@dataclass(frozen=True)
class Line:
    """One of hfkit's contestants beside its peers, on one part of a group's texts."""

    name: str
    title: str
    part: str
    ours: str
    peers: tuple[Peer, ...]
    dtype: str = "fp32"
    compared: Compared = ""
    with_whom: str = ""  # whose outputs are compared, if not the first peer's
    times_forward: int = 1  # work of a row, in forward passes

    def needs(self) -> set[str]:
        """The contestants that it is made of."""
        return {self.ours, *(name for peer in self.peers for name in peer.names)} | (
            {self.with_whom} if self.with_whom else set()
        )


@dataclass(frozen=True)
class Group:
    """`jobs` are made when the group is measured; `exports` names engines that a model is to be
    exported for first."""

    name: str
    lines: tuple[Line, ...]
    jobs: Callable[[Setting], dict[str, dict[str, Any]]]
    rounds: int = 5
    exports: tuple[str, ...] = ()
    model: Callable[[Models], Path] = field(default=lambda models: models.encoder())


@dataclass(frozen=True)
class Setting:
    """Of a whole run."""

    models: Models
    device: str
    threads: int
    quick: bool

    def size(self, rows: int) -> int:
        """So many rows; in a quick run just enough to see that it works."""
        return min(rows, 4) if self.quick else rows

    def job(self, function: str, folder: Path, given: Mapping[str, Any], **more: Any) -> dict:
        """What a contestant is told; `given` are the texts of each part."""
        base = {"device": self.device, "threads": self.threads, "folder": str(folder)}
        return {"function": f"benchmarks.speed.{function}", **base, "texts": given, **more}


def training_group(longest: int, peers: dict[str, dict], lines: tuple[Line, ...]) -> Group:
    """Training on mixed texts, batch 8; a round is one pass over the rows."""

    def jobs(setting: Setting) -> dict[str, dict[str, Any]]:
        folder = setting.models.encoder()
        rows = {"mixed": texts.texts("mixed", setting.size(64 if longest > 128 else 160), folder)}
        same = {
            "max_length": longest, "batch_size": 8, "epochs": 100,
            "fitting": {"lr": 5e-5, "warmup": 0, "weight_decay": 0},
        }  # fmt: skip
        found = {
            name: setting.job("peers:trainer", folder, rows, **same, **settings)
            for name, settings in peers.items()
        }
        for precision in ("fp32", "bf16"):
            found[f"hfkit {precision}"] = setting.job(
                "ours:training", folder, rows, **same, precision=precision
            )
        return found

    return Group(f"train-{longest}", lines, jobs, rounds=3)


def _trainer(padding: str, sampling: str, *, bf16: bool = False) -> dict[str, Any]:
    return {"padding": padding, "sampling": sampling, "bf16": bf16}


PADDED = "Trainer, padded to max"
DYNAMIC = "Trainer, dynamic padding"
GROUPED = "Trainer, dynamic, group_by_length"
BF16 = "Trainer, dynamic, group_by_length, bf16"
GROUPED_PEERS = {
    GROUPED: _trainer("longest", "group_by_length"),
    BF16: _trainer("longest", "group_by_length", bf16=True),
}


def _train_line(longest: int, dtype: str, *peers: Peer) -> Line:
    title = f"training, mixed ≤ {longest}, {dtype}"
    name = f"train-{longest}-{dtype}"
    return Line(name, title, "mixed", f"hfkit {dtype}", peers, dtype, times_forward=3)


TRAIN_128 = training_group(
    128,
    {PADDED: _trainer("max", "random"), **GROUPED_PEERS},
    (
        _train_line(128, "fp32", Peer((PADDED,), 5, 7), Peer((GROUPED,), 2.8, 4)),
        _train_line(128, "bf16", Peer((PADDED,), 6.5, 12), Peer((BF16,), 2.5, 5)),
    ),
)
TRAIN_512 = training_group(
    512,
    {DYNAMIC: _trainer("longest", "random"), **GROUPED_PEERS},
    (
        _train_line(512, "fp32", Peer((DYNAMIC,), 5, 9), Peer((GROUPED,))),
        _train_line(512, "bf16", Peer((DYNAMIC,), 6, 9), Peer((BF16,))),
    ),
)

# Texts of each part, and the ratios: to batch 32, to the better of 1 and 32, and in bf16.
PREDICT = {
    "short": (512, (5, 7), (4, 5.4), 7.5),
    "mixed": (192, (8.5, 12), (2, 3), 14),
    "long": (48, (3.4, 5), (1.6, 2.5), 6),
}
ONE, MANY = "pipeline, batch 1", "pipeline, batch 32"
PREDICTORS = {
    "hfkit torch": ("torch", "fp32"),
    "hfkit torch bf16": ("torch", "bf16"),
    "hfkit onnx": ("onnx", "fp32"),
    "hfkit openvino": ("openvino", "fp32"),
    "hfkit openvino bf16": ("openvino", "bf16"),
}


def _predict_jobs(setting: Setting) -> dict[str, dict[str, Any]]:
    folder = setting.models.with_head("classifier")
    given = {
        part: texts.texts(part, setting.size(size), folder)
        for part, (size, *_) in PREDICT.items()
    }  # fmt: skip
    found = {
        name: setting.job("peers:pipeline", folder, given, batch_size=size)
        for name, size in ((ONE, 1), (MANY, 32))
    }
    for name, (engine, precision) in PREDICTORS.items():
        found[name] = setting.job(
            "ours:predicting", folder, given, engine=engine, precision=precision, compared="logits"
        )
    return found


def _predict_lines() -> tuple[Line, ...]:
    found = []
    for part, (_, many, better, bf16) in PREDICT.items():
        for ours, (engine, dtype) in PREDICTORS.items():
            peers = (
                Peer((MANY,), *many),
                Peer((ONE, MANY), *better, "the better of batch 1 and 32"),
            )
            if dtype == "bf16":
                peers = (Peer((MANY,), bf16),)
            if ours == "hfkit torch bf16":
                peers += (Peer(("hfkit openvino bf16",), None, 1.1),)
            found.append(
                Line(
                    f"predict-{part}-{engine}-{dtype}", f"prediction, {part}, {dtype}, {engine}",
                    part, ours, peers, dtype, "agreement" if dtype == "bf16" else "logits", ONE,
                )
            )  # fmt: skip
    return tuple(found)


def _embed_jobs(setting: Setting) -> dict[str, dict[str, Any]]:
    folder = setting.models.encoder()
    given = {
        part: texts.texts(part, setting.size(PREDICT[part][0]), folder)
        for part in ("short", "mixed")
    }
    found = {
        ENCODE: setting.job("peers:embedder", folder, given, batch_size=32, max_length=512),
    }
    for precision in ("fp32", "bf16"):
        found[f"hfkit {precision}"] = setting.job(
            "ours:embedding", folder, given, engine="torch", precision=precision, max_length=512
        )
    return found


ENCODE = "sentence-transformers, batch 32"
EMBED_LINES = tuple(
    Line(
        f"embed-{part}-{dtype}", f"embedding, {part}, {dtype}", part, f"hfkit {dtype}",
        (Peer((ENCODE,), 2.4 if dtype == "fp32" else 3.5, 4),), dtype,
        "vectors" if dtype == "fp32" else "",
    )
    for part in ("short", "mixed") for dtype in ("fp32", "bf16")
)  # fmt: skip


def _zero_shot_jobs(setting: Setting) -> dict[str, dict[str, Any]]:
    folder = setting.models.with_head("judge")
    given = {"articles": texts.articles(setting.size(24), folder)}
    labels = list(texts.LABELS)
    found = {
        f"zero-shot pipeline, batch {size}": setting.job(
            "peers:zero_shot", folder, given, labels=labels, batch_size=size
        )
        for size in (1, 32)
    }
    ask = {"task": "zero-shot", "labels": ",".join(labels)}
    found["hfkit torch"] = setting.job(
        "ours:predicting", folder, given, engine="torch", precision="fp32", ask=ask,
        compared="labels",
    )  # fmt: skip
    return found


def _ner_jobs(setting: Setting) -> dict[str, dict[str, Any]]:
    folder = setting.models.with_head("tagger")
    given = {"sentences": texts.sentences(setting.size(256), folder)}
    found = {
        f"token-classification pipeline, batch {size}": setting.job(
            "peers:tagger", folder, given, batch_size=size
        )
        for size in (1, 32)
    }
    found["hfkit torch"] = setting.job(
        "ours:predicting", folder, given, engine="torch", precision="fp32", ask={"task": "ner"},
        compared="",
    )  # fmt: skip
    return found


def _qa_jobs(setting: Setting) -> dict[str, dict[str, Any]]:
    folder = setting.models.with_head("reader")
    given = {"questions": texts.questions(setting.size(48))}
    same = {"max_length": 384, "stride": 128}
    found = {
        LOOP: setting.job("peers:reader", folder, given, padding="max", batch_size=8, **same),
        BEST_LOOP: setting.job(
            "peers:reader", folder, given, padding="longest", batch_size=32, **same
        ),
        "hfkit torch": setting.job(
            "ours:predicting", folder, given, engine="torch", precision="fp32",
            ask={"task": "qa", **same}, compared="",
        ),
    }  # fmt: skip
    return found


LOOP, BEST_LOOP = "loop of run_qa", "loop of run_qa, dynamic padding, batch 32"


def _beside_pipeline(
    name: str, title: str, part: str, pipeline: str, reach: float, aim: float, compared: Compared
) -> Line:
    one, many = f"{pipeline}, batch 1", f"{pipeline}, batch 32"
    peers = (Peer((one,), reach, aim), Peer((many,)))
    return Line(name, title, part, "hfkit torch", peers, compared=compared)


GROUPS = {
    group.name: group
    for group in (
        TRAIN_128,
        TRAIN_512,
        Group("predict", _predict_lines(), _predict_jobs, exports=ENGINES,
              model=lambda models: models.with_head("classifier")),
        Group("embed", EMBED_LINES, _embed_jobs),
        Group("zero-shot", (_beside_pipeline(
            "zero-shot", "zero-shot, 20 labels", "articles", "zero-shot pipeline", 6, 10, "labels",
        ),), _zero_shot_jobs, rounds=3),
        Group("ner", (_beside_pipeline(
            "ner", "entities", "sentences", "token-classification pipeline", 5, 8, "",
        ),), _ner_jobs),
        Group("qa", (Line(
            "qa", "question answering", "questions", "hfkit torch",
            (Peer((LOOP,), 5, 8), Peer((BEST_LOOP,))),
        ),), _qa_jobs, rounds=3),
    )
}  # fmt: skip
