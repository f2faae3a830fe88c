"""NER on wnut17: beside Trainer with the pre- and post-processing of its example run_ner.

The peer labels the first sub-word of each word, cuts what is too long, and scores what is left.
Both sides are scored by seqeval twice: its default way, as the example does, on the words that the
tool read (`f1_read`); and strictly (IOB2) on all gold words, where a word without a prediction has
none and its entity is missed (`f1`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.quality.ours import finetuned
from benchmarks.quality.peers import best, train
from benchmarks.quality.rows import checksum, conll, drawn

JOBS = [
    {
        "task": "ner", "set": "wnut17", "epochs": 3, "lr": 2e-4, "batch_size": 16,
        "warmup": 0.1, "weight_decay": 0.01, "max_length": 128,
    },
]  # fmt: skip
FILES = {"wnut17": ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll")}
SCORES = ["f1", "precision", "recall", "f1_read"]

Tags = list[list[str]]


def scores(gold: Tags, given: Tags, read: list[list[int]]) -> dict[str, float]:
    """By seqeval. `given` has a tag for each gold word, O where the tool read nothing; `read`
    lists the words that it read."""
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    part = [[tags[word] for word in words] for tags, words in zip(gold, read, strict=True)]
    answer = [[tags[word] for word in words] for tags, words in zip(given, read, strict=True)]
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    return {
        "f1": float(f1_score(gold, given, **strict)),
        "precision": float(precision_score(gold, given, **strict)),
        "recall": float(recall_score(gold, given, **strict)),
        "f1_read": float(f1_score(part, answer, zero_division=0)),
        "words": sum(map(len, gold)),
        "words_read": sum(map(len, read)),
    }


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        set_seed,
    )

    from hfkit.model.locate import packaged_minilm

    training, validation = (conll(name) for name in FILES[job["set"]])
    labels = sorted({tag for _, tags in training for tag in tags})
    rows = drawn(training, job["limit"], job["seed"])
    folder = str(packaged_minilm())
    set_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def encoded(part: list) -> tuple[Dataset, list[list[int]]]:
        """Labels stand on the first sub-word of each word; also the words that were read."""
        found = tokenizer(
            [words for words, _ in part], is_split_into_words=True, truncation=True,
            max_length=job["max_length"],
        )  # fmt: skip
        targets, read = [], []
        for index, (_, tags) in enumerate(part):
            numbers = found.word_ids(index)
            first = [
                number is not None and number not in numbers[:place]
                for place, number in enumerate(numbers)
            ]
            pairs = list(zip(numbers, first, strict=True))
            targets.append(
                [labels.index(tags[number]) if is_first else -100 for number, is_first in pairs]
            )
            read.append([number for number, is_first in pairs if is_first])
        return Dataset.from_dict({**found, "labels": targets}), read

    held_out, read = encoded(validation)
    gold = [tags for _, tags in validation]

    def score(predicted: Any) -> dict[str, float]:
        given = [["O"] * len(tags) for tags in gold]
        choices = predicted.predictions.argmax(-1)
        for index, words in enumerate(read):
            spoken = choices[index][predicted.label_ids[index] != -100]
            for word, choice in zip(words, spoken, strict=True):
                given[index][word] = labels[choice]
        return scores(gold, given, read)

    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(labels))
    collator = DataCollatorForTokenClassification(tokenizer)
    history = train(job, model, encoded(rows)[0], held_out, collator, score)
    return {**best(history, "f1"), "rows": checksum([words for words, _ in rows])}


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    validation = conll(FILES[job["set"]][1])
    with finetuned(job, FILES[job["set"]]) as (model, own, rows):
        answers = model.predict([{"tokens": words} for words, _ in validation])
    gold = [tags for _, tags in validation]
    found = scores(
        gold, [answer["tags"] for answer in answers], [[*range(len(tags))] for tags in gold]
    )
    return {**found, "own": own, "rows": checksum([row["tokens"] for row in rows])}
