"""Question answering on squad_v2: beside Trainer with the pre- and post-processing of run_qa.

Windows with a stride; a window without the answer is trained on [CLS]; of each window the n best
starts and ends are paired; the null score is the smallest over the windows; a question whose null
score is above that of its best answer by more than 0 gets none. Both sides are scored by the rules
of SQuAD 2.0 (`squad.py`): at the threshold 0, and at the best one (`best_f1`).

Two epochs of 2000 questions do not teach MiniLM to answer: it leaves all of them unanswered. So
there is a second set that it learns something from: questions of SQuAD 1.1, each with the one
sentence that holds its answer.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.ours import finetuned
from benchmarks.quality.peers import best, train
from benchmarks.quality.rows import checksum, drawn, squad
from benchmarks.quality.squad import scores

SETTINGS = {
    "task": "qa", "lr": 2e-4, "warmup": 0.1, "weight_decay": 0.01, "max_length": 256, "stride": 64,
}  # fmt: skip
JOBS = [
    {"set": "squad_v2", "epochs": 2, "batch_size": 16, **SETTINGS},
    {"set": "squad_v1 sentences", "epochs": 5, "batch_size": 8, **SETTINGS},
]
FILES = {
    "squad_v2": ("squad_v2/train.json", "squad_v2/validation.json"),
    "squad_v1 sentences": ("squad_v1/train.json", "squad_v1/validation.json"),
}
SCORES = ["f1", "exact", "f1_has", "f1_no", "best_f1", "best_exact", "f1_span"]
N_BEST = 20
MAX_ANSWER = 30  # tokens


def with_peer(job: dict, models: Path) -> dict[str, Any]:
    from transformers import (
        AutoModelForQuestionAnswering,
        AutoTokenizer,
        DataCollatorWithPadding,
        set_seed,
    )

    from hfkit.model.locate import packaged_minilm

    training, validation = both(job)
    rows = drawn(training, job["limit"], job["seed"])
    folder = str(packaged_minilm())
    set_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    held_out = windows(tokenizer, validation, job)
    golds = [[text for text, _ in row["answers"]] for row in validation]

    def score(predicted: Any) -> dict[str, float]:
        starts, ends = predicted.predictions[:2]
        found = [
            answer(row["context"], [(starts[window], ends[window], held_out["offsets"][window])
                                    for window in held_out["of"][index]])
            for index, row in enumerate(validation)
        ]  # fmt: skip
        return scores(golds, [text for text, _ in found], [null for _, null in found])

    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    history = train(
        job, model, dataset(targets(tokenizer, rows, job)), dataset(held_out),
        DataCollatorWithPadding(tokenizer), score,
    )  # fmt: skip
    return {**best(history, "best_f1"), "rows": checksum([row["question"] for row in rows])}


def both(job: dict) -> tuple[list[dict], list[dict]]:
    """Training and validation questions."""
    training, validation = (squad(name) for name in FILES[job["set"]])
    if job["set"].endswith("sentences"):
        return [in_sentence(row) for row in training], [in_sentence(row) for row in validation]
    return training, validation


def in_sentence(row: dict) -> dict:
    """The question with the sentence of its first answer for a context.

    >>> in_sentence({"context": "It rains. Ann ran. No.", "answers": [("Ann", 10), ("No", 19)]})
    {'context': 'Ann ran.', 'answers': [('Ann', 0)]}
    """
    text, start = row["answers"][0]
    context = row["context"]
    first = context.rfind(". ", 0, start) + 2 if ". " in context[:start] else 0
    last = context.find(". ", start + len(text))
    last = len(context) if last < 0 else last + 1
    kept = [(said, place - first) for said, place in row["answers"]
            if first <= place and place + len(said) <= last]  # fmt: skip
    return {**row, "context": context[first:last], "answers": kept}


def write(rows: list[dict], name: str) -> str:
    """A nested file, as SQuAD's, with one paragraph for each question."""
    paragraphs = [
        {"context": row["context"], "qas": [{
            "id": row["id"], "question": row["question"], "is_impossible": not row["answers"],
            "answers": [{"text": text, "answer_start": start} for text, start in row["answers"]],
        }]} for row in rows
    ]  # fmt: skip
    Path(name).write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": paragraphs}]}))
    return name


def windows(tokenizer: Any, rows: list[dict], job: dict) -> dict[str, Any]:
    """The windows of all rows: `of` lists those of each row, `offsets` has None outside the
    context."""
    found = tokenizer(
        [row["question"].lstrip() for row in rows], [row["context"] for row in rows],
        truncation="only_second", max_length=job["max_length"], stride=job["stride"],
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    of: list[list[int]] = [[] for _ in rows]
    offsets = []
    for window, row in enumerate(found["overflow_to_sample_mapping"]):
        of[row].append(window)
        parts = found.sequence_ids(window)
        offsets.append(
            [place if part == 1 else None
             for place, part in zip(found["offset_mapping"][window], parts, strict=True)]
        )  # fmt: skip
    inputs = {name: found[name] for name in tokenizer.model_input_names if name in found}
    return {"inputs": inputs, "of": of, "offsets": offsets}


def targets(tokenizer: Any, rows: list[dict], job: dict) -> dict[str, Any]:
    """Windows with the tokens of the first answer, or of [CLS] where it is not wholly inside."""
    found = windows(tokenizer, rows, job)
    starts, ends = [], []
    for row, of in zip(rows, found["of"], strict=True):
        for window in of:
            cls = found["inputs"]["input_ids"][window].index(tokenizer.cls_token_id)
            start, end = located(row["answers"], found["offsets"][window]) or (cls, cls)
            starts.append(start)
            ends.append(end)
    inputs = {**found["inputs"], "start_positions": starts, "end_positions": ends}
    return {**found, "inputs": inputs}


def located(answers: list[tuple[str, int]], offsets: list) -> tuple[int, int] | None:
    """First and last token of the first answer, if it is inside the window."""
    if not answers:
        return None
    text, start = answers[0]
    end = start + len(text)
    inside = [place for place, offset in enumerate(offsets) if offset is not None]
    if offsets[inside[0]][0] > start or offsets[inside[-1]][1] < end:
        return None
    first = max(place for place in inside if offsets[place][0] <= start)
    last = min(place for place in inside if offsets[place][1] >= end)
    return first, last


def answer(context: str, parts: list[tuple[Any, Any, list]]) -> tuple[str, float]:
    """The best text that is not empty, and how much better the null answer is."""
    null = min(float(starts[0] + ends[0]) for starts, ends, _ in parts)
    candidates = []
    for starts, ends, offsets in parts:
        size = len(offsets)
        for first in np.argsort(-starts[:size])[:N_BEST].tolist():
            for last in np.argsort(-ends[:size])[:N_BEST].tolist():
                if offsets[first] is None or offsets[last] is None:
                    continue
                if first <= last < first + MAX_ANSWER:
                    span = offsets[first][0], offsets[last][1]
                    candidates.append((float(starts[first] + ends[last]), span))
    spoken = [(score, context[start:end]) for score, (start, end) in candidates]
    spoken = [found for found in spoken if found[1]]
    if not spoken:
        return "empty", null  # as the example says where nothing is left
    score, text = max(spoken, key=lambda found: found[0])
    return text, null - score


def dataset(found: dict[str, Any]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(found["inputs"])


def with_hfkit(job: dict, models: Path) -> dict[str, Any]:
    training, validation = both(job)
    asked = [{name: row[name] for name in ("question", "context")} for row in validation]
    with tempfile.TemporaryDirectory() as folder:
        files = FILES[job["set"]]
        if job["set"].endswith("sentences"):
            files = write(training, f"{folder}/train.json"), write(validation, f"{folder}/dev.json")
        with finetuned(job, files, stride=job["stride"]) as (model, own, rows):
            answers = model.predict(asked)
    golds = [[text for text, _ in row["answers"]] for row in validation]
    texts = [answer["best_answer"] for answer in answers]
    found = scores(golds, texts, [answer["no_answer_score"] for answer in answers])
    return {**found, "own": own, "rows": checksum([row["question"] for row in rows])}
