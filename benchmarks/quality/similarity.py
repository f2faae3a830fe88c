"""Similarity on the STS benchmark: beside sentence-transformers' trainer with its CoSENT loss.

Both are scored by rank correlation of the cosine with the gold score; the peer by its own
EmbeddingSimilarityEvaluator.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.quality.ours import finetuned
from benchmarks.quality.peers import arguments, best
from benchmarks.quality.rows import checksum, drawn, pairs

JOBS = [
    {
        "task": "similarity", "set": "stsb", "epochs": 3, "lr": 5e-5, "batch_size": 16,
        "warmup": 0.1, "weight_decay": 0.01, "max_length": 128,
    },
]  # fmt: skip
FILES = {"stsb": ("stsb/sts-train.csv", "stsb/sts-dev.csv")}
READING = {
    "input_format": "tsv", "no_header": True, "quoting": "none", "extra_columns": "ignore",
    "columns": "_,_,_,_,label,text,text_pair",
}  # fmt: skip
SCORES = ["spearman", "pearson"]


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.losses import CoSENTLoss
    from transformers import set_seed

    from hfkit.model.locate import packaged_minilm

    training, validation = (pairs(name) for name in FILES[job["set"]])
    rows = drawn(training, job["limit"], job["seed"])
    set_seed(job["seed"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(str(packaged_minilm()), device=device)
    model.max_seq_length = job["max_length"]
    judge = EmbeddingSimilarityEvaluator(
        [first for first, _, _ in validation],
        [second for _, second, _ in validation],
        [score / 5 for _, _, score in validation],
        main_similarity="cosine",
    )
    history: list[dict[str, float]] = []

    class Kept(SentenceTransformerTrainer):
        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            found = judge(self.model)
            history.append({name: float(found[f"{name}_cosine"]) for name in SCORES})
            return history[-1]

    data = Dataset.from_dict(
        {
            "sentence1": [first for first, _, _ in rows],
            "sentence2": [second for _, second, _ in rows],
            "score": [score / 5 for _, _, score in rows],
        }
    )
    with tempfile.TemporaryDirectory() as out:
        trainer = Kept(
            model=model,
            args=SentenceTransformerTrainingArguments(out, **arguments(job)),
            train_dataset=data,
            loss=CoSENTLoss(model),
            evaluator=judge,
        )  # fmt: skip
        trainer.train()
    return {**best(history, "spearman"), "rows": checksum([row[:2] for row in rows])}


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    from scipy.stats import pearsonr, spearmanr

    validation = pairs(FILES[job["set"]][1])
    with finetuned(job, FILES[job["set"]], **READING) as (model, own, rows):
        answers = model.predict(
            [first for first, _, _ in validation], [second for _, second, _ in validation]
        )
    given, gold = [answer["score"] for answer in answers], [score for _, _, score in validation]
    return {
        "spearman": float(spearmanr(gold, given).statistic),
        "pearson": float(pearsonr(gold, given).statistic),
        "own": own,
        "rows": checksum([[row["text"], row["text_pair"]] for row in rows]),
    }
