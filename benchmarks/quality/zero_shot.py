"""Zero-shot on ag_news and trec6: beside transformers' zero-shot-classification pipeline.

Both use the same NLI model: MiniLM fine-tuned on SNLI by hfkit, one for each seed, kept in the
folder beside the results. `how: embedding` is plain MiniLM with labels compared as vectors, which
the pipeline cannot do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.quality.rows import checksum, news, path, questions

TRAINING = {
    "epochs": 3, "lr": 2e-4, "batch_size": 16, "warmup": 0.1, "weight_decay": 0.01,
    "max_length": 128,
}  # fmt: skip
SETS = {"ag_news": (news, "ag_news/validation.csv"), "trec6": (questions, "trec6/validation.txt")}
JOBS = [
    {"task": "zero-shot", "set": name, "how": "nli", "limit": None, **TRAINING} for name in SETS
] + [
    {"task": "zero-shot", "set": name, "how": "embedding", "limit": None, "seed": 0,
     "max_length": 512} for name in SETS
]  # fmt: skip
SCORES = ["accuracy"]
LABELS = {
    "ag_news": {"1": "world", "2": "sports", "3": "business", "4": "science and technology"},
    "trec6": {
        "ABBR": "abbreviation", "DESC": "description", "ENTY": "thing", "HUM": "person",
        "LOC": "location", "NUM": "number",
    },
}  # fmt: skip
TEMPLATE = "This example is about {}."


def nli_model(job: dict, models: Path) -> Path:
    """The folder of the NLI model of this seed; trained when it is first asked for."""
    import hfkit

    folder = models / f"snli-{job['seed']}"
    hfkit.finetune(
        str(path("snli/train.tsv")), validation=str(path("snli/validation.tsv")), task="nli",
        text_column="sentence1", text_pair_column="sentence2", label_column="gold_label",
        model="minilm", output=str(folder), seed=job["seed"],
        **{name: job[name] for name in TRAINING},
    )  # fmt: skip
    return folder


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    from transformers import pipeline

    texts, gold = rows(job)
    ask = pipeline("zero-shot-classification", model=str(nli_model(job, models)), device="cpu")
    candidates = list(LABELS[job["set"]].values())
    found = ask(texts, candidates, hypothesis_template=TEMPLATE, batch_size=32)
    return scores(texts, gold, [answer["labels"][0] for answer in found])


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    import hfkit

    texts, gold = rows(job)
    settings = {"task": "zero-shot", "labels": ",".join(LABELS[job["set"]].values())}
    if job["how"] == "embedding":
        model = hfkit.load("minilm", max_length=512, **settings)
    else:
        model = hfkit.load(str(nli_model(job, models)), template=TEMPLATE, **settings)
    answers = model.predict(texts)
    return scores(texts, gold, [answer["label"] for answer in answers])


def rows(job: dict) -> tuple[list[str], list[str]]:
    read, name = SETS[job["set"]]
    found = read(name)
    return [text for text, _ in found], [LABELS[job["set"]][label] for _, label in found]


def scores(texts: list[str], gold: list[str], given: list[str]) -> dict[str, Any]:
    right = sum(map(str.__eq__, gold, given))
    return {"accuracy": right / len(gold), "rows": checksum(texts), "given": checksum(given)}
